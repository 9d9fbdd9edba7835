// SPDX-License-Identifier: Apache-2.0
// A program that a test kills and starts again, with its data.
import { type Program, until } from './program.ts';

export interface Restartable {
  /** The one that runs, or ran last. */
  readonly program: Program;
  /** Kills it with SIGKILL. */
  readonly crash: () => Promise<void>;
  /** Starts it again and waits until it is ready. */
  readonly restart: () => Promise<void>;
  readonly stop: () => Promise<void>;
}

interface Options {
  /** For error messages. */
  readonly name: string;
  readonly readyWithinMs: number;
  readonly start: () => Program;
  /** undefined: not yet. */
  readonly isReady: (running: Program) => Promise<true | undefined> | undefined;
  /** Removes its data. */
  readonly remove: () => void;
}

/** Starts a program and waits until it is ready. If it does not become so, throws an error with its output. */
export async function startRestartable({ name, readyWithinMs, start, isReady, remove }: Options): Promise<Restartable> {
  let program = start();
  const ready = () =>
    until(
      name,
      readyWithinMs,
      () => {
        if (!program.alive()) throw new Error(`${name} has ended:\n${program.output()}`);
        return isReady(program);
      },
      () => program.output(),
    );
  const stop = async () => {
    await program.stop();
    remove();
  };
  try {
    await ready();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    get program() {
      return program;
    },
    crash: async () => {
      program.child.kill('SIGKILL');
      await program.ended;
    },
    restart: async () => {
      program = start();
      await ready();
    },
    stop,
  };
}
