// SPDX-License-Identifier: Apache-2.0
// What the pipeline stores or prints, and when: terminations, and the summaries and incidents that are due. Then it acknowledges.
import type { Host } from './core/identity/host.ts';
import type { Effects } from './effects.ts';
import type { Read } from './io/loader/acks.ts';
import type { Item } from './io/queue/queue.ts';
import { incidentItem, loopItem, summaryItem } from './items.ts';
import type { State } from './state.ts';

/** How often what is open is looked at. */
const LOOK_MS = 500;
/** The longest that filtered terminations wait for others, and so for their acknowledgement. */
export const HOLD_MS = 250;
/** More are stored at once: what is not acknowledged takes up the ring. */
export const HELD_MAX = 16;

export interface Clock {
  /** ms since 1970. */
  readonly wallMs: () => number;
  /** ms of a monotonic clock. */
  readonly steadyMs: () => number;
  readonly later: (work: () => void, ms: number) => void;
}

/** What it needs of the pipeline. */
export interface Storing {
  readonly state: State;
  readonly host: () => Host;
  readonly clock: Clock;
  readonly effects: Effects;
}

/**
 * Lets filtered terminations wait, which a build brings one by one: a transaction for each costs more than all else of it. False: they are not
 * to wait.
 */
export function hold(pipeline: Storing, items: readonly Item[]): boolean {
  const { state, clock, effects } = pipeline;
  const isToWait =
    effects.durable && items.length > 0 && items.every(({ record, kind }) => record === null && kind === undefined);
  if (!isToWait || state.held.length + items.length > HELD_MAX) return false;
  if (state.held.length === 0) clock.later(() => void storeHeld(pipeline), HOLD_MS);
  state.held.push(...items);
  return true;
}

async function storeHeld(pipeline: Storing): Promise<void> {
  const { held, ended } = pipeline.state;
  if (held.length > 0 && !ended) await flushSummaries(pipeline);
}

/** Without a queue, a member of an incident is not acknowledged before their record is printed. `read`: what was stored or printed. */
export function acknowledge({ state, effects }: Storing, read: Read | null = null): void {
  if (read !== null) state.acks.handled(read);
  state.acks.acknowledge(effects.durable ? null : state.incidents.firstSeq);
}

/**
 * While a summary, an incident or a loop is open, looks twice a second whether its record is due. Otherwise nothing wakes the service. Call it for
 * what the previous run left open; store() does so for what this one opens.
 */
export function flushLater(pipeline: Storing): void {
  const { state, clock } = pipeline;
  const isIdle = state.loops.idle && state.incidents.idle && state.restartLoops.idle;
  if (isIdle || state.isLooking || state.ended) return;
  state.isLooking = true;
  clock.later(() => void lookAgain(pipeline), LOOK_MS);
}

async function lookAgain(pipeline: Storing): Promise<void> {
  if (pipeline.state.ended) return;
  await flushSummaries(pipeline);
  pipeline.state.isLooking = false;
  flushLater(pipeline);
}

/** Stores what is held, and the summaries and the records of incidents that are due. `all`: also those of which more may come, because the service ends. */
export async function flushSummaries(pipeline: Storing, all = false): Promise<boolean> {
  const { state } = pipeline;
  state.ended ||= all;
  const read = state.held.length === 0 ? null : state.deferred.acknowledgement();
  const stored = await store(pipeline, [], all ? Number.POSITIVE_INFINITY : undefined);
  if (stored) acknowledge(pipeline, read);
  return stored;
}

/** Called in the tick in which the items were concluded, so that what is open includes them. */
export function store(pipeline: Storing, items: readonly Item[], nowMs = pipeline.clock.steadyMs()): Promise<boolean> {
  const { state, host, clock, effects } = pipeline;
  const parts = state.incidents.due(nowMs);
  const all = [
    ...state.held.splice(0),
    ...items,
    ...parts.map((part) => incidentItem(part, clock)),
    ...state.restartLoops.due(nowMs).map((news) => loopItem(news, host(), clock)),
    ...state.loops.due(nowMs).map((aggregate) => summaryItem(aggregate, host(), clock)),
  ];
  const open = {
    open: state.loops.open(),
    incidents: state.incidents.open(),
    loops: state.restartLoops.open(),
    repeats: state.repeats.stored(),
    requests: state.requests.stored(),
  };
  flushLater(pipeline);
  const release = state.acks.hold(effects.durable ? [] : parts.map(({ seq }) => seq));
  state.stored = state.stored.then(async () => {
    const stored = await effects.store(all, open);
    if (stored) release();
    return stored;
  });
  return state.stored;
}
