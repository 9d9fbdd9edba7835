// SPDX-License-Identifier: Apache-2.0
// What a case of test/crashes is: a program, how it ends, and what the record must say.
import { join } from 'node:path';
import { CRASHES } from '../../scripts/paths.ts';

export interface Case {
  readonly name: string;
  readonly command: readonly [program: string, ...args: string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** A signal, or an exit code. */
  readonly ends: NodeJS.Signals | number;
  /** The program crashes in a child process of its own, and this is how the child ends. */
  readonly child?: NodeJS.Signals;
  /**
   * The functions, innermost first. Others may lie between, but none of the program's own file: of that, all functions are listed.
   */
  readonly functions: readonly string[];
  /** Functions of the program's own file that may be anywhere. */
  readonly also?: readonly string[];
  /** What the sentence says after the first colon, without the place. undefined: nothing. */
  readonly says: string | RegExp | undefined;
  /** The function that the sentence names. null: none. */
  readonly place: string | null;
  /** There is no stack, and the evidence says why. */
  readonly unknown?: string;
  /** Some frames are guesses, and say so. */
  readonly guesses?: boolean;
  /** The stack does not reach the thread's first function. */
  readonly incomplete?: boolean;
  /** The stack is copied only where that is done at the exit. */
  readonly onlyAtExit?: boolean;
  /** The program is copied first, to a path that it can unlink. */
  readonly copied?: boolean;
}

/** The path of a built program (scripts/build/crash-victims.ts). */
export const built = (name: string): string => join(CRASHES, name);
