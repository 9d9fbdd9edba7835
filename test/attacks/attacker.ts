// SPDX-License-Identifier: Apache-2.0
// Runs the attacker (test/attacks/attacker) and other programs as unprivileged users.
import { ATTACKER, type Program, startProgram, until } from '../../scripts/stack/program.ts';

const READY_WITHIN_MS = 60_000;
/** The user who attacks, and another user whom the attack must not affect. Neither owns anything on any machine. */
export const MALLORY = 54_321;
export const ALICE = 54_322;

/** Starts a program as another user, without groups and capabilities. */
export function startAs(uid: number, program: string, args: readonly string[]): Program {
  const [setpriv = '', ...rest] = asUser(uid, program, args);
  return startProgram(setpriv, rest);
}

/** The command that executes a program as another user. */
export function asUser(uid: number, program: string, args: readonly string[]): string[] {
  return ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--inh-caps=-all', '--', program, ...args];
}

/** Starts an attack as MALLORY, and waits until it prints its first line. */
export async function attack(name: string, ...args: readonly string[]): Promise<Program> {
  return awaitFirstLine(startAs(MALLORY, ATTACKER, [name, ...args]));
}

/** Waits until the program prints its first line. */
export async function awaitFirstLine(program: Program): Promise<Program> {
  await until('the first line', READY_WITHIN_MS, () => {
    if (!program.alive() && program.stdout() === '') throw new Error(`it ended without a line:\n${program.output()}`);
    return program.stdout().includes('\n') || undefined;
  });
  return program;
}
