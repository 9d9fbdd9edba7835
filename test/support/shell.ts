// SPDX-License-Identifier: Apache-2.0
// The shell of the stories: it starts `sleep 100` and sends it SIGSEGV on order, as a person would by hand.
import { readFileSync } from 'node:fs';
import { type Program, startProgram, until } from '../../scripts/stack/program.ts';

const SLEEP_WITHIN_MS = 60_000;

export interface Shell {
  readonly program: Program;
  readonly sleepPid: number;
  /** Lets the shell send the signal; returns the moment before (performance.now()). */
  readonly kill: () => number;
  readonly close: () => Promise<void>;
}

export async function shellWithSleep(): Promise<Shell> {
  // The shell lives on until its input ends, so that its own name is still there to be compared.
  const program = startProgram('sh', ['-c', 'sleep 100 & echo $!; read -r order; kill -SEGV $!; wait $!; read -r end']);
  const sleepPid = await until(
    'the pid of sleep',
    SLEEP_WITHIN_MS,
    () => Number(program.stdout()) || undefined,
    program.output,
  );
  // Until it has executed sleep it still is the shell.
  await until(
    'sleep itself',
    SLEEP_WITHIN_MS,
    () => readFileSync(`/proc/${sleepPid}/comm`, 'utf8') === 'sleep\n' || undefined,
    program.output,
  );
  const kill = () => {
    const moment = performance.now();
    program.child.stdin?.write('kill\n');
    return moment;
  };
  const close = async () => {
    program.child.stdin?.end();
    await program.ended;
  };
  return { program, sleepPid, kill, close };
}
