// SPDX-License-Identifier: Apache-2.0
// `whodunit explain`: renders the meanings of core/words/explain.ts for a terminal. Reads no files and opens no connections.
import { configError } from '../core/errors.ts';
import { SUCCESS } from '../core/words/exit-codes.ts';
import { explain } from '../core/words/explain.ts';

/** Returns a paragraph for each meaning, with its source. Throws a FatalError if `what` is neither an exit code nor a signal. */
export function renderMeanings({ what, executable }: { what: string; executable: string | null }): string {
  const meanings = explain(what, executable);
  if (meanings === null) {
    throw configError('the exit code or signal', what, '0 to 255, or a name such as SIGBUS', 'See whodunit --help.');
  }
  if (Number(what) === 0) return `${SUCCESS}\n`;
  if (meanings.length === 0) {
    const whose = executable === null ? '' : ` of ${executable}`;
    return `Exit code ${what}${whose} has no known meaning. See the documentation of the program.\n`;
  }
  return meanings.map(({ who, text, source }) => `${who}: ${text}\n    (${source})\n`).join('');
}
