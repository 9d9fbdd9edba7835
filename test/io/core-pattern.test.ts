// SPDX-License-Identifier: Apache-2.0
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { temporaryDirectory } from '../../scripts/stack/program.ts';
import { corePatternReader } from '../../src/io/core-pattern.ts';

let directory: ReturnType<typeof temporaryDirectory>;
const write = (name: string, text: string) => writeFileSync(join(directory.path, name), text);

beforeEach(() => {
  directory = temporaryDirectory();
  vi.useFakeTimers({ toFake: ['performance'] });
});
afterEach(() => {
  vi.useRealTimers();
  directory.remove();
});

it('reads the pattern, and again when it is older than a second', () => {
  write('core_pattern', '|/usr/bin/handler %P\n');
  write('core_uses_pid', '0\n');
  const read = corePatternReader(directory.path);
  expect(read()).toEqual({ pattern: '|/usr/bin/handler %P', usesPid: false });
  write('core_pattern', '/cores/core \n');
  write('core_uses_pid', '1\n');
  vi.advanceTimersByTime(999);
  expect(read()?.pattern).toBe('|/usr/bin/handler %P');
  vi.advanceTimersByTime(1);
  expect(read()).toEqual({ pattern: '/cores/core ', usesPid: true });
});

it('knows nothing where it cannot be read', () => {
  rmSync(join(directory.path, 'core_pattern'), { force: true });
  expect(corePatternReader(directory.path)()).toBeNull();
});

it('reads that of this machine', () => {
  const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').replace(/\n$/, '');
  expect(corePatternReader()()?.pattern).toBe(pattern);
});
