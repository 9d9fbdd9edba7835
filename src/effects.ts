// SPDX-License-Identifier: Apache-2.0
// What the pipeline does beyond its state: it counts, stores or prints, and sends spans. main.ts has the real ones.
import type { Counted as CountedRow, Row } from './core/history/unreported.ts';
import type { OriginKey } from './core/shares.ts';
import type { Attributes } from './core/telemetry/attributes.ts';
import type { buildSpan } from './core/telemetry/span.ts';
import type { Verdict } from './core/verdict/verdict.ts';
import type { Open } from './io/queue/open-rows.ts';
import type { Item } from './io/queue/queue.ts';

/** What the metrics count of a verdict. */
export type Counted = Pick<Verdict, 'cause' | 'errorType'>;

export interface Effects {
  /** null: spans are not sent. */
  readonly sendSpan: ((span: ReturnType<typeof buildSpan>, origin: OriginKey) => void) | null;
  /** Counts terminations in the metrics. Not called for those that a rule ignores. */
  readonly countTermination: (resource: Attributes, verdict: Counted, origin: OriginKey, times: number) => void;
  /** Resolves when the items are on disk, or printed if nothing is sent. False: the service is shutting down, and they are neither. */
  readonly store: (items: readonly Item[], open: Open) => Promise<boolean>;
  /** What is stored survives this process: a member may be acknowledged before its incident has a record. */
  readonly durable: boolean;
  /** Keeps a termination without a record of its own, or how many equal ones the kernel counted. null: they are not kept. */
  readonly keepUnreported: ((one: Row | CountedRow) => void) | null;
  /** Terminations that the kernel counted under a key that this service does not know. */
  readonly unknownRepeats: (count: number) => void;
}

/** For a termination that is only looked at, as by the doctor. */
export const NO_EFFECTS: Effects = {
  sendSpan: null,
  countTermination: () => {},
  store: async () => true,
  durable: true,
  keepUnreported: null,
  unknownRepeats: () => {},
};
