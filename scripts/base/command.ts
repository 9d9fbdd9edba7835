// SPDX-License-Identifier: Apache-2.0
// Common to all commands: flags, exit code, and failures reported in one sentence instead of a stack trace.
import { type ParseArgsConfig, parseArgs } from 'node:util';
import { FatalError } from '../../src/core/errors.ts';

/** A failure that the user can fix. `output`: what the failed program printed. */
export class Failure extends Error {
  readonly output: string;

  constructor(message: string, output = '') {
    super(message);
    this.output = output;
  }
}

/** Runs `main` and sets the exit code to its result. On a Failure, or a FatalError of the service's code, prints the message and exits with 1 at once, even if work is pending. */
export async function command(main: () => Promise<number>): Promise<void> {
  // A closed terminal or pipe must not end the command before it has cleaned up.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof Failure || error instanceof FatalError)) throw error;
    if (error instanceof Failure && error.output !== '') console.error(error.output.trimEnd());
    console.error(`\n${error.message}`);
    process.exit(1);
  }
}

/** Returns the flags of the command line, as parseArgs of node:util does. Throws a Failure that points to --help on a wrong flag. */
export function readFlags<const Options extends NonNullable<ParseArgsConfig['options']>>(options: Options) {
  try {
    return parseArgs({ options }).values;
  } catch (error) {
    throw new Failure(`${(error as Error).message} See --help.`);
  }
}
