// SPDX-License-Identifier: Apache-2.0
// Handles one message from the loader, and one batch of them: concludes, stores or prints, then acknowledges. State and effects are
// arguments. main.ts connects the parts and shuts down.
import { conclude } from './core/conclude.ts';
import { CrashPlaces } from './core/crash/history.ts';
import { type Aggregate, CrashLoops } from './core/filter/aggregate.ts';
import { arm } from './core/filter/arming.ts';
import { comebackOf } from './core/filter/loop-member.ts';
import { type LoopNews, Loops } from './core/filter/loops.ts';
import { Endings, Last, Recent, Seen } from './core/filter/memory.ts';
import { Repeats } from './core/filter/repeats.ts';
import type { RecentTermination, Rule } from './core/filter/rules.ts';
import type { ArgumentsMode } from './core/identity/arguments.ts';
import type { Host } from './core/identity/host.ts';
import { type OriginKey, OTHER_ORIGINS } from './core/shares.ts';
import type { Attributes } from './core/telemetry/attributes.ts';
import { buildLoop } from './core/telemetry/loop.ts';
import { buildRestart, Restarts } from './core/telemetry/restart.ts';
import { IDENTITY_DROPPED, LOG_RECORD_UID } from './core/telemetry/semconv.ts';
import { buildSpan, type SpansMode } from './core/telemetry/span.ts';
import { storeRecord } from './core/telemetry/stored.ts';
import { buildSummary } from './core/telemetry/summary.ts';
import { uidOf } from './core/telemetry/uid.ts';
import { isoTime } from './core/time.ts';
import type { Verdict } from './core/verdict/verdict.ts';
import type { Death, Repeat, Restart } from './core/wire/event.ts';
import type { LoaderMessage, Received } from './io/loader/socket.ts';
import type { Open } from './io/queue/open-rows.ts';
import { type Item, UIDS_MAX } from './io/queue/queue.ts';

/** Terminations in /recent. */
const RECENT_MAX = 100;

export interface Settings {
  readonly arguments: ArgumentsMode;
  /** Records of one service per minute. Infinity: no limit. */
  readonly recordsPerMinute: number;
  /** Which records are also sent as spans, if spans are sent: those that name a trace, or all. */
  readonly spans: SpansMode;
}

/** What the queue kept of the previous run. */
export interface Remembered extends Open {
  readonly uids: readonly string[];
}

/** `RecentTermination`, as far as it costs nothing. */
interface Latest extends Omit<RecentTermination, 'time'> {
  readonly endedNs: bigint;
}

/** State that is kept between messages. */
export interface State {
  /** Replaced when the rules file is reloaded. */
  rules: readonly Rule[];
  readonly seen: Seen;
  readonly recent: Recent;
  readonly places: CrashPlaces;
  readonly loops: CrashLoops;
  readonly restartLoops: Loops;
  readonly restarts: Restarts;
  readonly endings: Endings;
  readonly repeats: Repeats;
  readonly latest: Last<Latest>;
  /** Terminations received again: the loader resends what was not acknowledged. */
  duplicates: number;
  /** Records of processes that claimed what only the kernel states. */
  falseClaims: number;
  /** Result of the last batch. The next is stored after it, so that batches are stored in the order of their conclusion. */
  stored: Promise<boolean>;
}

export interface Clock {
  /** ms since 1970. */
  readonly wallMs: () => number;
  /** ms of a monotonic clock. */
  readonly steadyMs: () => number;
}

export interface Effects {
  /** null: spans are not sent. */
  readonly sendSpan: ((span: ReturnType<typeof buildSpan>, origin: OriginKey) => void) | null;
  /** Counts terminations in the metrics. Not called for those that a rule ignores. */
  readonly countTermination: (resource: Attributes, verdict: Counted, origin: OriginKey, times: number) => void;
  /** Resolves when the items are on disk, or printed if nothing is sent. False: the service is shutting down, and they are neither. */
  readonly store: (items: readonly Item[], open: Open) => Promise<boolean>;
  /** Terminations that the kernel counted under a key that this service does not know. */
  readonly unknownRepeats: (count: number) => void;
}

/** What the metrics count of a verdict. */
export type Counted = Pick<Verdict, 'cause' | 'errorType'>;

export interface Pipeline {
  readonly settings: Settings;
  readonly state: State;
  readonly host: () => Host;
  readonly clock: Clock;
  readonly effects: Effects;
}

/** `nowMs`: of the steady clock. */
export function newState(
  rules: readonly Rule[],
  settings: Settings,
  before: Remembered | null = null,
  nowMs = performance.now(),
): State {
  return {
    rules,
    seen: new Seen(UIDS_MAX, before?.uids),
    recent: new Recent(),
    places: new CrashPlaces(),
    loops: new CrashLoops(settings.recordsPerMinute, before?.open),
    restartLoops: new Loops(before?.loops, nowMs),
    restarts: new Restarts(),
    endings: new Endings(),
    repeats: new Repeats(before?.repeats),
    latest: new Last(RECENT_MAX),
    duplicates: 0,
    falseClaims: 0,
    stored: Promise.resolve(true),
  };
}

/**
 * Handles one batch, and acknowledges it once it is stored; then the loader may count further terminations under the keys that this batch
 * armed. False: it was not stored, because the service is shutting down.
 */
export async function handleBatch(pipeline: Pipeline, { messages, hello, connection }: Received): Promise<boolean> {
  const items: Item[] = [];
  const totals: Repeat[] = [];
  let seq: bigint | null = null;
  pipeline.state.repeats.greet(hello);
  for (const message of messages) {
    const item = handleMessage(pipeline, message, hello.boot_id);
    if (item !== null) items.push(item);
    if ('seq' in message) seq = message.seq;
    if (message.type === 'repeat') totals.push(message);
  }
  const requests = pipeline.state.repeats.requests();
  if (!(await store(pipeline, items))) return false;
  if (seq !== null) connection.ack(seq);
  for (const { id, total } of totals) connection.counted(id, total);
  for (const { key, as, untilNs } of requests) connection.arm(key, as, untilNs);
  return true;
}

/** A batch for each message, so that each is acknowledged for itself. */
export function oneByOne(received: Received): Received[] {
  return received.messages.map((message) => ({ ...received, messages: [message] }));
}

/** Returns the item to store, or null if there is none. */
export function handleMessage(pipeline: Pipeline, message: LoaderMessage, bootId: string): Item | null {
  const { state, clock } = pipeline;
  if ('time_ns' in message) state.restartLoops.read(message, clock.wallMs(), clock.steadyMs());
  switch (message.type) {
    case 'death':
      return handleTermination(pipeline, message, bootId);
    case 'restart':
      return handleRestart(pipeline, message, bootId);
    case 'repeat':
      return handleRepeat(pipeline, message, bootId);
    case 'repeats':
      pipeline.state.repeats.keep(message.ids, bootId);
      return null;
    case 'hello':
    case 'status':
    case 'unreadable':
      return null;
  }
}

/** Returns the item to store, with a record if the termination is reported. null: a duplicate. */
export function handleTermination(pipeline: Pipeline, death: Death, bootId: string): Item | null {
  const { settings, state, clock, effects } = pipeline;
  const endedNs = death.time_ns + death.clock_offset_ns;
  const conclusion = conclude(death, {
    ...state,
    bootId,
    host: pipeline.host(),
    argumentsMode: settings.arguments,
    observedNs: observedAt(endedNs, clock),
    nowMs: clock.steadyMs(),
  });
  if (conclusion.kind === 'duplicate') {
    state.duplicates += 1;
    return null;
  }
  const { uid, outcome, rule, subject, verdict, candidate, record } = conclusion;
  const { origin, resource } = candidate;
  if (rule.action !== 'ignore') effects.countTermination(resource, verdict, origin, 1);
  if (settings.recordsPerMinute !== Number.POSITIVE_INFINITY) arm(state, death, conclusion, bootId);
  if (record?.attributes[IDENTITY_DROPPED] !== undefined) state.falseClaims += 1;
  if (record !== null && (settings.spans === 'all' || record.spanContext !== undefined))
    effects.sendSpan?.(buildSpan(record, death.process.start_boottime_ns + death.clock_offset_ns), origin);
  state.latest.add({ endedNs, pid: death.process.pid, outcome, rule: rule.name, subject }, origin);
  const kind = outcome === 'aggregated' ? { kind: outcome } : {};
  return { uid, origin, ...kind, endedMs: Number(endedNs / 1_000_000n), record: record && storeRecord(record) };
}

/**
 * Returns the item to store. null: the termination has no record, the restart is rate-limited, or it is a duplicate. So is one in a loop,
 * which says itself that the program is started again.
 */
export function handleRestart(pipeline: Pipeline, restart: Restart, bootId: string): Item | null {
  const { state, clock } = pipeline;
  const isInLoop = state.restartLoops.restarted(comebackOf(restart), clock.steadyMs());
  const death = state.restarts.take(restart, bootId);
  const timeNs = restart.time_ns + restart.clock_offset_ns;
  if (death === null || isInLoop) return null;
  const { service: key, origin } = death;
  if (!state.loops.reserve({ key, origin, endedNs: timeNs }, clock.steadyMs())) return null;
  const record = buildRestart(restart, death, observedAt(timeNs, clock));
  const uid = String(record.attributes[LOG_RECORD_UID]);
  if (!state.seen.add(uid)) return null;
  return { uid, origin, kind: 'summary', endedMs: Number(timeNs / 1_000_000n), record: storeRecord(record) };
}

/** Returns the item that counts what the total adds. null: nothing. */
function handleRepeat({ state, clock, effects }: Pipeline, repeat: Repeat, bootId: string): Item | null {
  const { count, firstNs, lastNs, meaning } = state.repeats.count(repeat, bootId);
  if (count === 0) return null;
  const endedNs = lastNs + repeat.clock_offset_ns;
  if (meaning === null) effects.unknownRepeats(count);
  else {
    const { key, origin, cause, resource, metric } = meaning;
    if (cause !== 'graceful_stop') state.recent.add(key, origin, lastNs, count);
    if (metric) effects.countTermination(resource, meaning, origin, count);
    const firstAtNs = firstNs + repeat.clock_offset_ns;
    const { loop = null, command = null, cgroup = null } = meaning;
    const counted = { count, lastNs, offsetNs: repeat.clock_offset_ns, outcome: loop?.outcome ?? '' };
    const aggregates = repeat.as === 'aggregated';
    const isInLoop = loop !== null && state.restartLoops.addCounted(loop.key, counted, aggregates, clock.steadyMs());
    if (aggregates && !isInLoop)
      state.loops.addCounted(
        { ...meaning, endedNs, cgroup, command: () => command },
        count,
        firstAtNs,
        clock.steadyMs(),
      );
  }
  const kind = repeat.as === 'aggregated' ? { kind: repeat.as } : {};
  const uid = uidOf(`${bootId}/repeat/${repeat.id}/${repeat.total}`);
  const origin = meaning?.origin ?? OTHER_ORIGINS;
  return { uid, origin, ...kind, endedMs: Number(endedNs / 1_000_000n), record: null, times: count };
}

/** Stores the summaries and the records of loops that are due. `all`: also those of minutes that are not over. */
export function flushSummaries(pipeline: Pipeline, all = false): Promise<boolean> {
  return store(pipeline, [], all ? Number.POSITIVE_INFINITY : undefined);
}

/** What origins lost in the memories. */
export function displaced({ loops, restartLoops, recent, restarts }: State) {
  return {
    open_minutes: loops.closedEarly,
    recent_services: recent.forgotten,
    loops: restartLoops.forgotten,
    restarts: restarts.forgotten,
  };
}

/** The last terminations, oldest first, as /recent shows them. */
export function recentTerminations(settings: Settings, state: State): readonly RecentTermination[] {
  return state.latest.members().map(({ endedNs, subject, ...same }) => {
    const shown = settings.arguments === 'off' ? null : subject.arguments;
    return { time: isoTime(endedNs), ...same, subject: { ...subject, arguments: shown } };
  });
}

/** Called in the tick in which the items were concluded, so that the open aggregates include them. */
function store(pipeline: Pipeline, items: readonly Item[], nowMs = pipeline.clock.steadyMs()): Promise<boolean> {
  const { state, effects } = pipeline;
  const all = [
    ...items,
    ...state.restartLoops.due(nowMs).map((news) => loopItem(pipeline, news)),
    ...state.loops.due(nowMs).map((aggregate) => summaryOf(pipeline, aggregate)),
  ];
  const open = { open: state.loops.open(), loops: state.restartLoops.open(), repeats: state.repeats.stored() };
  state.stored = state.stored.then(() => effects.store(all, open));
  return state.stored;
}

function summaryOf({ host, clock }: Pipeline, aggregate: Aggregate): Item {
  const record = buildSummary(aggregate, host(), observedAt(aggregate.lastNs, clock));
  const uid = String(record.attributes[LOG_RECORD_UID]);
  // Delivery time of a summary is measured from its creation.
  return { uid, origin: aggregate.origin, kind: 'summary', endedMs: clock.wallMs(), record: storeRecord(record) };
}

function loopItem({ host, clock }: Pipeline, news: LoopNews): Item {
  const { lastAtNs, origin } = news.loop;
  const record = buildLoop(news, host(), observedAt(BigInt(lastAtNs), clock));
  const uid = String(record.attributes[LOG_RECORD_UID]);
  return { uid, origin, kind: 'summary', endedMs: clock.wallMs(), record: storeRecord(record) };
}

/** The current time in ns since 1970, but never before the event: the wall clock is in whole milliseconds. */
function observedAt(eventNs: bigint, { wallMs }: Clock): bigint {
  const nowNs = BigInt(wallMs()) * 1_000_000n;
  return nowNs > eventNs ? nowNs : eventNs;
}
