// SPDX-License-Identifier: Apache-2.0
// A real systemd as process 1 of its own namespaces, for tests: the undertaker starts it (undertaker/world_systemd.go). It sees this machine's
// file system read-only, and boots no service. scripts/stack/cgroup.ts has the paths of units without systemd.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { MORTAL, startProgram, UNDERTAKER, until } from './program.ts';

const READY_WITHIN_MS = 120_000;

export interface Systemd {
  /** Of process 1. */
  readonly pid: number;
  /** Runs a command in its namespaces, and returns its output. */
  readonly call: (...command: string[]) => string;
  /** Starts a command in its namespaces. It ends with them. */
  readonly background: (...command: string[]) => void;
  /** Writes a unit and starts it. `sections`: its lines, by section. */
  readonly start: (unit: string, sections: Readonly<Record<string, readonly string[]>>) => void;
  /** Kills it and its services. */
  readonly stop: () => Promise<void>;
}

export async function startSystemd(): Promise<Systemd> {
  const keeper = startProgram(UNDERTAKER, ['systemd-alone'], { env: { ...process.env, UNDERTAKER_MORTAL: MORTAL } });
  const answer = await until(
    'systemd',
    READY_WITHIN_MS,
    () => {
      if (!keeper.alive()) throw new Error(`the undertaker has ended:\n${keeper.output()}`);
      return /^\d+\n/.exec(keeper.stdout())?.[0];
    },
    keeper.output,
  );
  const pid = Number(answer);
  const inside = (...command: string[]) => ['--target', String(pid), '--pid', '--mount', '--cgroup', '--', ...command];
  const call = (...command: string[]): string => {
    const { status, stdout, stderr } = spawnSync('nsenter', inside(...command), { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command.join(' ')}: ${status}\n${stdout}${stderr}`);
    return stdout;
  };
  const background = (...command: string[]) => void startProgram('nsenter', inside(...command));
  const start: Systemd['start'] = (unit, sections) => {
    const lines = Object.entries(sections).flatMap(([name, settings]) => [`[${name}]`, ...settings]);
    writeFileSync(`/proc/${pid}/root/run/systemd/system/${unit}`, `${lines.join('\n')}\n`);
    call('systemctl', 'daemon-reload');
    call('systemctl', 'start', unit);
  };
  const stop = async () => {
    keeper.child.stdin?.end();
    await keeper.ended;
  };
  return { pid, call, background, start, stop };
}
