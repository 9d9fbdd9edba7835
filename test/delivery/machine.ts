// SPDX-License-Identifier: Apache-2.0
// A Debian with systemd as process 1, in namespaces of its own, on which a test installs what a user would. Its own root file system is
// thrown away at the end.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';

const BOOTED_WITHIN_MS = 120_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const GONE_WITHIN_MS = 10_000;

export interface Machine {
  /** Runs a command on it; returns its status and what it printed. */
  readonly call: (...command: string[]) => { status: number | null; output: string };
  /** The path from outside of a file on it. */
  readonly path: (inside: string) => string;
  readonly stop: () => Promise<void>;
}

/** Boots it from the tree of a Debian, which stays as it is. */
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
    booting.child.kill('SIGKILL'); // its child goes with it, and with that all the others
    await booting.ended;
    await until('its cgroups are empty', GONE_WITHIN_MS, () => removeBelow(cgroup) || undefined);
    directory.remove();
  };
  try {
    await until(
      'systemd has booted',
      BOOTED_WITHIN_MS,
      () => {
        if (!booting.alive()) throw new Error(`it has ended:\n${booting.output()}`);
        // A container lacks something or other: degraded is booted, too.
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
  throw new Error('no cgroup2 is mounted here');
}

/** Removes a cgroup and those below. false: a process is still in one. */
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
