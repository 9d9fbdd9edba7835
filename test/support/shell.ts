// SPDX-License-Identifier: Apache-2.0
// The shell of the stories: it starts `sleep 100` and sends it SIGSEGV on request, as a user would.
import { readFileSync } from 'node:fs';
import { type Program, startProgram, until } from '../../scripts/stack/program.ts';

const SLEEP_WITHIN_MS = 60_000;

export interface Shell {
  readonly program: Program;
  readonly sleepPid: number;
  /** Makes the shell send the signal. Returns the time before that (performance.now()). */
  readonly kill: () => number;
  readonly close: () => Promise<void>;
}

export async function shellWithSleep(): Promise<Shell> {
  // The shell runs until its stdin is closed, so that its name can be compared.
  const program = startProgram('sh', ['-c', 'sleep 100 & echo $!; read -r order; kill -SEGV $!; wait $!; read -r end']);
  const sleepPid = await until(
    'the pid of sleep',
    SLEEP_WITHIN_MS,
    () => Number(program.stdout()) || undefined,
    program.output,
  );
  // Until execve() succeeds, it is a copy of the shell.
  await until(
    'execve() of sleep',
    SLEEP_WITHIN_MS,
    () => readFileSync(`/proc/${sleepPid}/comm`, 'utf8') === 'sleep\n' || undefined,
    program.output,
  );
  const kill = () => {
    const before = performance.now();
    program.child.stdin?.write('kill\n');
    return before;
  };
  const close = async () => {
    program.child.stdin?.end();
    await program.ended;
  };
  return { program, sleepPid, kill, close };
}
