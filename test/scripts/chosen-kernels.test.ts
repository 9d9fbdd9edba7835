// SPDX-License-Identifier: Apache-2.0
// Which kernels the flags of `npm run test:kernels` choose.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { KERNELS } from '../../scripts/build/kernel-images.ts';
import { chosenKernels } from '../../scripts/suites/chosen-kernels.ts';

let directory = '';

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'whodunit-images-'));
});

afterAll(() => rmSync(directory, { recursive: true }));

/** Writes what a kernel image begins with. `flags`: of the header, at 0x236. */
function image(name: string, { magic = 'HdrS', flags = 1, bytes = 1024 } = {}): string {
  const start = Buffer.alloc(bytes);
  start.write(magic, Math.min(0x202, bytes - magic.length));
  if (bytes > 0x237) start.writeUInt16LE(flags, 0x236);
  const path = join(directory, name);
  writeFileSync(path, start);
  return path;
}

it('chooses all kernels of the matrix, or those that are named', () => {
  expect(chosenKernels({})).toEqual(KERNELS);
  expect(chosenKernels({ kernel: '6.1,5.10' }).map(({ name }) => name)).toEqual(['6.1', '5.10']);
});

it('names the kernel of a file after the file', () => {
  const file = image('vmlinuz-5.4.0-42-generic');
  const [kernel, ...others] = chosenKernels({ image: file });
  expect(others).toEqual([]);
  expect(kernel).toMatchObject({ name: 'vmlinuz-5.4.0-42-generic', arch: 'amd64', source: { file }, parameters: [] });
});

it('lets the loader use the types of --btf', () => {
  const [kernel] = chosenKernels({ image: image('bzImage'), btf: 'vmlinux.btf' });
  expect(kernel?.parameters).toEqual(['WHODUNIT_BTF=/kernel.btf']);
});

it.each([
  [
    'a kernel that is not in the matrix',
    () => ({ kernel: '5.10,4.4' }),
    /Unknown kernel 4\.4; the kernels are 5\.10, /,
  ],
  ['a file that is missing', () => ({ image: join(directory, 'none') }), /none, which cannot be read: ENOENT/],
  ['a file that is no image', () => ({ image: image('text', { magic: 'text' }) }), /no kernel image for x86-64/],
  ['a file that is too short', () => ({ image: image('short', { bytes: 16 }) }), /no kernel image for x86-64/],
  ['a kernel of 32 bits', () => ({ image: image('i386', { flags: 0 }) }), /no kernel image for x86-64/],
  ['a name that a list cannot have', () => ({ image: image('a,b') }), /whose name has other characters/],
  ['a name of the matrix', () => ({ image: image('6.1') }), /whose name is that of a kernel of the matrix/],
  ['types without an image', () => ({ btf: 'vmlinux.btf' }), /--btf has the types of the kernel of --image/],
  ['a file and names', () => ({ image: image('b'), kernel: '6.1' }), /--image and --kernel exclude each other/],
  [
    'a file in the page of the matrix',
    () => ({ image: image('c'), write: true }),
    /--write and --image exclude each other/,
  ],
])('refuses %s', (_, flags, message) => {
  expect(() => chosenKernels(flags())).toThrow(message);
});
