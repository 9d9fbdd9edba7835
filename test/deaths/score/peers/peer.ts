// SPDX-License-Identifier: Apache-2.0
// Another tool that is scored: its command, and how to parse a line of its output. weigh.ts scores the result.
import type { Observation, Subject } from '../observed.ts';

export interface Peer {
  readonly name: string;
  /** The Debian package. The page shows its version. */
  readonly package: string;
  /** Must not buffer its output. */
  readonly command: readonly string[];
  readonly shows: readonly Subject[];
  /** Returns undefined if the line is about neither a termination nor a signal. */
  readonly parse: (line: string) => Observation | undefined;
}
