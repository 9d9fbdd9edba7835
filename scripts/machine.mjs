// A virtual machine of the tests: its first file system, with static Go programs in it, and the command that emulates it.
//
// SPDX-License-Identifier: Apache-2.0

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './steps.mjs';

/** Builds the programs (`{name: package}`) into the directory, and packs all of it as the kernel wants it (newc). Gives the archive's path. */
export async function packInitramfs(root, programs, arch) {
  const env = { CGO_ENABLED: '0', GOARCH: arch };
  for (const [name, source] of Object.entries(programs))
    await run('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', join(root, name), source], { env });
  for (const name of ['dev', 'proc', 'sys', 'tmp', 'run']) mkdirSync(join(root, name), { recursive: true });
  // A console, because the kernel opens it before anything is mounted.
  await run('mknod', [join(root, 'dev/console'), 'c', '5', '1']);
  await run('sh', ['-c', `cd '${root}' && find . | cpio -o -H newc --quiet > '${root}.cpio'`]);
  return `${root}.cpio`;
}

/** The program, its arguments, and the kernel's command line, to which `-append` and what only one machine needs are to be added. */
export function qemu({ arch, cpu, image, archive, memoryMiB }) {
  const [program, machine, console] =
    arch === 'arm64' ? ['qemu-system-aarch64', ['-M', 'virt'], 'ttyAMA0'] : ['qemu-system-x86_64', [], 'ttyS0'];
  const emulated = ['-accel', 'tcg', '-m', String(memoryMiB), '-smp', '2', '-cpu', cpu];
  const quiet = ['-display', 'none', '-monitor', 'none', '-no-reboot', '-nic', 'none'];
  return {
    program,
    args: [...machine, ...emulated, '-kernel', image, '-initrd', archive, ...quiet],
    // One oops is the end: what came after it would prove nothing.
    line: `console=${console} quiet loglevel=1 panic=-1 oops=panic rdinit=/init`,
  };
}
