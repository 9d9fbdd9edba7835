// SPDX-License-Identifier: Apache-2.0
// Which kernels the flags of `npm run test:kernels` choose: those of the matrix, or one that a person has as a file.
import { closeSync, openSync, readSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { Failure } from '../base/command.ts';
import { KERNELS, type Kernel, SKYLAKE } from '../build/kernel-images.ts';

export interface KernelFlags {
  /** Names, separated by commas. */
  readonly kernel?: string | undefined;
  /** The path of an image. */
  readonly image?: string | undefined;
  /** The path of a file with the types of that image. */
  readonly btf?: string | undefined;
  readonly write?: boolean | undefined;
}

/** Where the machine has the file of --btf. */
export const BTF_IN_MACHINE = '/kernel.btf';

/** Throws a Failure for a kernel that there is not, and for flags that exclude each other. */
export function chosenKernels({ kernel, image, btf, write }: KernelFlags): readonly Kernel[] {
  if (image === undefined) {
    if (btf !== undefined)
      throw new Failure('--btf has the types of the kernel of --image, which is missing. See --help.');
    return kernel === undefined ? KERNELS : kernel.split(',').map(kernelOfMatrix);
  }
  if (kernel !== undefined) throw new Failure('--image and --kernel exclude each other. See --help.');
  if (write)
    throw new Failure('docs/kernels.md has the kernels of the matrix: --write and --image exclude each other.');
  return [kernelOfFile(image, btf)];
}

function kernelOfMatrix(name: string): Kernel {
  const found = KERNELS.find((kernel) => kernel.name === name);
  if (found === undefined)
    throw new Failure(`Unknown kernel ${name}; the kernels are ${KERNELS.map((kernel) => kernel.name).join(', ')}.`);
  return found;
}

function kernelOfFile(file: string, btf: string | undefined): Kernel {
  const refuse = (why: string): never => {
    throw new Failure(`--image is ${file}, ${why}. See --help.`);
  };
  let start: Buffer = Buffer.alloc(0);
  try {
    start = startOf(file);
  } catch (error) {
    refuse(`which cannot be read: ${(error as Error).message}`);
  }
  if (!isBzImage(start)) refuse('which is no kernel image for x86-64 (bzImage)');
  const name = basename(file);
  if (!/^[\w.+-]+$/.test(name)) refuse('whose name has other characters than letters, digits, "_", ".", "+" and "-"');
  if (KERNELS.some((kernel) => kernel.name === name)) refuse('whose name is that of a kernel of the matrix');
  const parameters = btf === undefined ? [] : [`WHODUNIT_BTF=${BTF_IN_MACHINE}`];
  return { name, arch: 'amd64', source: { file: resolve(file) }, cpu: SKYLAKE, parameters, inTests: 'nothing' };
}

/** The real-mode header of an image, in Documentation/arch/x86/boot.rst. */
const HEADER = { magic: 0x202, loadFlags: 0x236, bytes: 0x238 };

/** Of the load flags: it has a 64-bit entry point. */
const KERNEL_64 = 1;

function startOf(file: string): Buffer {
  const descriptor = openSync(file, 'r');
  try {
    const start = Buffer.alloc(HEADER.bytes);
    return start.subarray(0, readSync(descriptor, start));
  } finally {
    closeSync(descriptor);
  }
}

function isBzImage(start: Buffer): boolean {
  if (start.length < HEADER.bytes || start.toString('latin1', HEADER.magic, HEADER.magic + 4) !== 'HdrS') return false;
  return (start.readUInt16LE(HEADER.loadFlags) & KERNEL_64) !== 0;
}
