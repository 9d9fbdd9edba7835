// SPDX-License-Identifier: Apache-2.0
// Another tool that is scored: how it is run, and how a line that it prints is read. What its words are worth is weigh.ts's.
import type { Observation, Subject } from '../observed.ts';

export interface Peer {
  readonly name: string;
  /** Debian's, with its version in the score. */
  readonly package: string;
  /** It prints each line at once. */
  readonly command: readonly string[];
  readonly shows: readonly Subject[];
  /** undefined: the line is about neither a termination nor a signal. */
  readonly parse: (line: string) => Observation | undefined;
}
