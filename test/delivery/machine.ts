// SPDX-License-Identifier: Apache-2.0
// A Debian with systemd as process 1, in its own namespaces, for tests that install packages. Changes to its root file system are discarded
// at the end.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';

const BOOTED_WITHIN_MS = 120_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const GONE_WITHIN_MS = 10_000;

export interface Machine {
  /** Runs a command on the machine, and returns its status and output. */
  readonly call: (...command: string[]) => { status: number | null; output: string };
  /** The path outside of a file on the machine. */
  readonly path: (inside: string) => string;
  readonly stop: () => Promise<void>;
}

/** Boots from a Debian tree, which is not changed. */
export async function bootMachine(debian: string): Promise<Machine> {
  const directory = temporaryDirectory();
  const cgroup = join(unifiedMount(), `whodunit-test-machine-${process.pid}`);
  mkdirSync(cgroup);
  const script = join(ROOT, 'test/delivery/boot-systemd.sh');
  const booting = startProgram('sh', [script, debian, directory.path, cgroup]);
  const init = () => readFileSync(`/proc/${booting.pid}/task/${booting.pid}/children`, 'utf8').trim();
  const call = (...command: string[]) => {
    const { status, stdout, stderr } = spawnSync('nsenter', ['--target', init(), '--all', '--', ...command], {
      encoding: 'utf8',
      env: { PATH: '/usr/sbin:/usr/bin' },
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    return { status, output: `${stdout}${stderr}` };
  };
  const stop = async () => {
    booting.child.kill('SIGKILL'); // --kill-child kills systemd, and the kernel the rest of its pid namespace
    await booting.ended;
    await until('its cgroups are empty', GONE_WITHIN_MS, () => removeBelow(cgroup) || undefined);
    directory.remove();
  };
  try {
    await until(
      'systemd has booted',
      BOOTED_WITHIN_MS,
      () => {
        if (!booting.alive()) throw new Error(`systemd has exited:\n${booting.output()}`);
        // Some units fail in a container, so `degraded` is enough.
        return init() !== '' && /^(running|degraded)/.test(call('systemctl', 'is-system-running').output)
          ? true
          : undefined;
      },
      booting.output,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { call, path: (inside) => `/proc/${init()}/root${inside}`, stop };
}

function unifiedMount(): string {
  for (const line of readFileSync('/proc/self/mountinfo', 'utf8').split('\n')) {
    const [mount = '', filesystem = ''] = line.split(' - ');
    if (filesystem.startsWith('cgroup2 ')) return mount.split(' ')[4] ?? '';
  }
  throw new Error('no cgroup2 file system is mounted');
}

/** Removes a cgroup and those below. Returns false if a process is still in one. */
function removeBelow(cgroup: string): boolean {
  if (!existsSync(cgroup)) return true;
  for (const entry of readdirSync(cgroup, { withFileTypes: true }))
    if (entry.isDirectory() && !removeBelow(join(cgroup, entry.name))) return false;
  try {
    rmdirSync(cgroup);
    return true;
  } catch {
    return false;
  }
}
