// SPDX-License-Identifier: Apache-2.0
// The frame of a command: its flags, its exit code, and a failure in one sentence instead of a stack trace.
import { type ParseArgsConfig, parseArgs } from 'node:util';

/** A failure that the person at the terminal can do something about. `output`: what a failed program printed. */
export class Failure extends Error {
  readonly output: string;

  constructor(message: string, output = '') {
    super(message);
    this.output = output;
  }
}

/** Runs `main` and sets the exit code that it gives. If it fails: the failure's message, and 1 at once, whatever else still runs. */
export async function command(main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.output !== '') console.error(error.output.trimEnd());
    console.error(`\n${error.message}`);
    process.exit(1);
  }
}

/** The flags of the command line, as parseArgs of node:util returns them. A wrong flag is a failure that points to --help. */
export function readFlags<const Options extends NonNullable<ParseArgsConfig['options']>>(options: Options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new Failure(`${(error as Error).message} See --help.`);
  }
}
