// SPDX-License-Identifier: Apache-2.0
// A virtual machine of the tests: its first file system, with static Go programs in it, and the command that emulates it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../base/run.ts';

/** Go's names of the processors that are emulated. */
export type Arch = 'amd64' | 'arm64';

/** Builds the programs (name → package) into the directory, and packs all of it as the kernel expects it (newc). Gives the archive's path. */
export async function packInitramfs(
  root: string,
  programs: Readonly<Record<string, string>>,
  arch: Arch,
): Promise<string> {
  const env = { CGO_ENABLED: '0', GOARCH: arch };
  for (const [name, source] of Object.entries(programs))
    await run('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', join(root, name), source], { env });
  for (const name of ['dev', 'proc', 'sys', 'tmp', 'run']) mkdirSync(join(root, name), { recursive: true });
  // A console, because the kernel opens it before anything is mounted.
  await run('mknod', [join(root, 'dev/console'), 'c', '5', '1']);
  await run('sh', ['-c', `cd '${root}' && find . | cpio -o -H newc --quiet > '${root}.cpio'`]);
  return `${root}.cpio`;
}

/**
 * What runs a machine so that it leaves the processors to the suites on this kernel. It still gets about a tenth where these take all:
 * a machine that stands still for seconds would run into its own timeouts.
 */
export const YIELDING = ['nice', '-n', '10'];

interface MachineOptions {
  readonly arch: Arch;
  readonly cpu: string;
  /** The paths of the kernel and of its first file system. */
  readonly image: string;
  readonly archive: string;
  readonly memoryMiB: number;
}

/** The command of a machine. The caller appends `-append` with `line`, the kernel's command line, and the devices that it needs. */
export interface MachineCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly line: string;
}

export function qemu({ arch, cpu, image, archive, memoryMiB }: MachineOptions): MachineCommand {
  const { program, machine, console } =
    arch === 'arm64'
      ? { program: 'qemu-system-aarch64', machine: ['-M', 'virt'], console: 'ttyAMA0' }
      : { program: 'qemu-system-x86_64', machine: [], console: 'ttyS0' };
  const emulated = ['-accel', 'tcg', '-m', String(memoryMiB), '-smp', '2', '-cpu', cpu];
  const quiet = ['-display', 'none', '-monitor', 'none', '-no-reboot', '-nic', 'none'];
  return {
    program,
    args: [...machine, ...emulated, '-kernel', image, '-initrd', archive, ...quiet],
    // An oops ends the machine: nothing after it would prove anything.
    line: `console=${console} quiet loglevel=1 panic=-1 oops=panic rdinit=/init`,
  };
}
