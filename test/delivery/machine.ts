// SPDX-License-Identifier: Apache-2.0
// A Debian in its own namespaces, with systemd as process 1 or without, for tests that install packages. Changes to its root file system
// are discarded at the end.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Program, ROOT, startProgram, temporaryDirectory, until } from '../../scripts/stack/program.ts';

const BOOTED_WITHIN_MS = 120_000;
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;
const GONE_WITHIN_MS = 10_000;

export interface Machine {
  /** Runs a command on the machine, and returns its status and output. */
  readonly call: (...command: string[]) => { status: number | null; output: string };
  /** Starts a command on the machine. It ends with the machine. */
  readonly start: (...command: string[]) => Program;
  /** The path outside of a file on the machine. */
  readonly path: (inside: string) => string;
  readonly stop: () => Promise<void>;
}

const SYSTEMD = [
  '/lib/systemd/systemd',
  ...['--system', '--unit=multi-user.target', '--log-target=journal', '--show-status=no'],
];
/** Process 1 of a machine that has none: a shell that waits. */
const NO_INIT = ['sh', '-c', 'while :; do sleep 1000; done'];

/** Boots from a Debian tree, which is not changed. */
export function bootMachine(debian: string): Promise<Machine> {
  // Some units fail in a container, so `degraded` is enough.
  return boot(debian, SYSTEMD, (call) => /^(running|degraded)/.test(call('systemctl', 'is-system-running').output));
}

/** As bootMachine(), but nothing runs on it. */
export function bootWithoutSystemd(debian: string): Promise<Machine> {
  const commandLine = NO_INIT.map((word) => `${word}\0`).join('');
  return boot(debian, NO_INIT, (call) => call('cat', '/proc/1/cmdline').output === commandLine);
}

async function boot(
  debian: string,
  processOne: readonly string[],
  hasBooted: (call: Machine['call']) => boolean,
): Promise<Machine> {
  const directory = temporaryDirectory();
  const cgroup = join(unifiedMount(), `whodunit-test-machine-${process.pid}`);
  mkdirSync(cgroup);
  const script = join(ROOT, 'test/delivery/boot.sh');
  const booting = startProgram('sh', [script, debian, directory.path, cgroup, ...processOne]);
  const init = () => readFileSync(`/proc/${booting.pid}/task/${booting.pid}/children`, 'utf8').trim();
  const env = { PATH: '/usr/sbin:/usr/bin' };
  const inside = (command: readonly string[]) => ['--target', init(), '--all', '--', ...command];
  const start = (...command: string[]) => startProgram('nsenter', inside(command), { env });
  const call = (...command: string[]) => {
    const { status, stdout, stderr } = spawnSync('nsenter', inside(command), {
      encoding: 'utf8',
      env,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
    return { status, output: `${stdout}${stderr}` };
  };
  const stop = async () => {
    booting.child.kill('SIGKILL'); // --kill-child kills process 1, and the kernel the rest of its pid namespace
    await booting.ended;
    await until('its cgroups are empty', GONE_WITHIN_MS, () => removeBelow(cgroup) || undefined);
    directory.remove();
  };
  try {
    await until(
      'it has booted',
      BOOTED_WITHIN_MS,
      () => {
        if (!booting.alive()) throw new Error(`process 1 has exited:\n${booting.output()}`);
        return (init() !== '' && hasBooted(call)) || undefined;
      },
      booting.output,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { call, start, path: (file) => `/proc/${init()}/root${file}`, stop };
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
