// SPDX-License-Identifier: Apache-2.0
// A virtual machine for tests: its initramfs with static Go programs, and the QEMU command that runs it.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../base/run.ts';

/** The emulated architectures, as Go names them. */
export type Arch = 'amd64' | 'arm64';

/** Builds the programs (name → package) into the directory and packs it in the format of the kernel (newc). Returns the archive's path. */
export async function packInitramfs(
  root: string,
  programs: Readonly<Record<string, string>>,
  arch: Arch,
): Promise<string> {
  const env = { CGO_ENABLED: '0', GOARCH: arch };
  for (const [name, source] of Object.entries(programs))
    await run('go', ['build', '-trimpath', '-ldflags=-s -w', '-o', join(root, name), source], { env });
  for (const name of ['dev', 'proc', 'sys', 'tmp', 'run']) mkdirSync(join(root, name), { recursive: true });
  // The kernel opens the console before anything is mounted.
  await run('mknod', [join(root, 'dev/console'), 'c', '5', '1']);
  await run('sh', ['-c', `cd '${root}' && find . | cpio -o -H newc --quiet > '${root}.cpio'`]);
  return `${root}.cpio`;
}

/**
 * Runs a machine at low priority, so that it yields to the suites on this kernel. At this niceness it still gets about a tenth of a busy
 * processor: a machine that is stopped for seconds would run into its own timeouts.
 */
export const YIELDING = ['nice', '-n', '10'];

interface MachineOptions {
  readonly arch: Arch;
  readonly cpu: string;
  /** The paths of the kernel and of its initramfs. */
  readonly image: string;
  readonly archive: string;
  readonly memoryMiB: number;
}

/** The command that runs a machine. The caller adds `-append` with `line`, the kernel's command line, and the devices that it needs. */
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
  // A kernel without ACPI finds the processors in the firmware's MP table, which has one of each socket.
  const emulated = ['-accel', 'tcg', '-m', String(memoryMiB), '-smp', '2,sockets=2', '-cpu', cpu];
  const quiet = ['-display', 'none', '-monitor', 'none', '-no-reboot', '-nic', 'none'];
  return {
    program,
    args: [...machine, ...emulated, '-kernel', image, '-initrd', archive, ...quiet],
    // An oops stops the machine: results after it would be meaningless.
    line: `console=${console} quiet loglevel=1 panic=-1 oops=panic rdinit=/init`,
  };
}
