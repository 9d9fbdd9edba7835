// SPDX-License-Identifier: Apache-2.0
// Handles one message from the loader, and one batch of them: concludes, stores or prints, then acknowledges. State and effects are
// arguments. main.ts connects the parts and shuts down.
import type { MemoryReading } from './core/cgroup/use.ts';
import { conclude, isToWait } from './core/conclude.ts';
import { arm } from './core/filter/arming.ts';
import { comebackOf } from './core/filter/loop-member.ts';
import { requestWithoutLogins, withoutLogins } from './core/identity/logins.ts';
import { buildRestart } from './core/telemetry/restart.ts';
import { IDENTITY_DROPPED, LOG_RECORD_UID } from './core/telemetry/semconv.ts';
import { buildSpan } from './core/telemetry/span.ts';
import { storeRecord } from './core/telemetry/stored.ts';
import type { Death, Request, Restart } from './core/wire/event.ts';
import type { Gap } from './core/wire/gap.ts';
import { equalOf, handleEqual, handleRepeat } from './counted.ts';
import { WAIT_MS } from './deferred.ts';
import type { LoaderMessage, Received } from './io/loader/socket.ts';
import type { Item } from './io/queue/queue.ts';
import { gapItem, observedAt } from './items.ts';
import { type MemoryReadings, NO_READINGS, type OutOfMemory } from './out-of-memory.ts';
import type { Settings } from './state.ts';
import { acknowledge, hold, type Storing, store } from './storing.ts';

export interface Pipeline extends Storing {
  readonly settings: Settings;
  /** null: nothing is read of cgroups. */
  readonly outOfMemory: OutOfMemory | null;
}

/**
 * Handles one batch, and acknowledges it once it is stored; then the loader may count further terminations under the keys that this batch
 * armed. That is done once before the end of the batch: until then, each termination of a storm crosses the ring. False: it was not stored,
 * because the service is shutting down.
 */
export async function handleBatch(pipeline: Pipeline, received: Received): Promise<boolean> {
  const { outOfMemory, clock, state } = pipeline;
  const { messages, hello } = received;
  const readings = outOfMemory?.concerns(messages) ? await outOfMemory.read(messages, clock) : NO_READINGS;
  state.repeats.greet(hello);
  const count = await handlePart(pipeline, received, readings, true);
  if (count === null) return false;
  const rest = messages.slice(count);
  return rest.length === 0 || (await handlePart(pipeline, { ...received, messages: rest }, readings, false)) !== null;
}

/** `untilArmed`: up to the first message that arms a key. Returns how many messages it handled. null: they were not stored. */
async function handlePart(
  pipeline: Pipeline,
  { messages, hello, connection }: Received,
  readings: MemoryReadings,
  untilArmed: boolean,
): Promise<number | null> {
  const { deferred, repeats } = pipeline.state;
  const items: Item[] = [];
  const handled: LoaderMessage[] = [];
  for (const message of messages) {
    const isDeferred = defer(pipeline, message, hello.boot_id);
    const item = isDeferred ? null : handleMessage(pipeline, message, hello.boot_id, readings);
    if (item !== null) items.push(item);
    if ('seq' in message) deferred.read(connection, message.seq);
    handled.push(message);
    if (untilArmed && repeats.hasRequests) break;
  }
  if (handled.some(({ type }) => type === 'request_end')) items.push(...handleDeferred(pipeline));
  const requests = repeats.requests();
  // What is counted or armed is answered when it is stored.
  const isAnswered = requests.length > 0 || handled.some(({ type }) => type === 'repeat');
  const lastNs = handled.flatMap((message) => ('time_ns' in message ? [message.time_ns] : [])).at(-1);
  if (!isAnswered && hold(pipeline, items)) {
    readUntil(pipeline, lastNs);
    return handled.length;
  }
  const read = deferred.acknowledgement();
  if (!(await store(pipeline, items))) return null;
  readUntil(pipeline, lastNs);
  acknowledge(pipeline, read);
  for (const message of handled) if (message.type === 'repeat') connection.counted(message.id, message.total);
  for (const { key, as, untilNs } of requests) connection.arm(key, as, untilNs);
  return handled.length;
}

function readUntil({ state, clock }: Pipeline, timeNs: bigint | undefined): void {
  if (timeNs !== undefined) state.incidents.readUntil(timeNs, clock.steadyMs());
}

/** Lets a termination wait for the end of a tool, and its restart for it. False: it does not have to. */
function defer(pipeline: Pipeline, message: LoaderMessage, bootId: string): boolean {
  const { state, clock } = pipeline;
  if (message.type !== 'death' && message.type !== 'restart') return false;
  if (message.type === 'death' && state.deferred.has(message.process)) return true;
  const isToWait =
    message.type === 'restart'
      ? state.deferred.has(message.dead)
      : !state.requests.allEnded && !state.deferred.isFull && waits(pipeline, message, bootId);
  if (!isToWait) return false;
  state.deferred.add(message, bootId, clock.steadyMs() + WAIT_MS);
  clock.later(() => void releaseDeferred(pipeline), WAIT_MS);
  return true;
}

function waits({ settings, state, host }: Pipeline, death: Death, bootId: string): boolean {
  return isToWait(death, state.requests.of(bootId), host(), settings.arguments);
}

/** The items of those that wait no longer. */
function handleDeferred(pipeline: Pipeline): Item[] {
  const { state, clock } = pipeline;
  const taken = state.deferred.take(({ message, bootId, untilMs }) => {
    if (untilMs <= clock.steadyMs()) return false;
    return message.type === 'restart' ? state.deferred.has(message.dead) : waits(pipeline, message, bootId);
  });
  return taken.flatMap(({ message, bootId }) => handleMessage(pipeline, message, bootId) ?? []);
}

/** Stores the records whose time to wait is over. */
async function releaseDeferred(pipeline: Pipeline): Promise<void> {
  const { deferred, ended } = pipeline.state;
  if (deferred.isEmpty || ended) return; // The loader sends them again to the next service.
  const items = handleDeferred(pipeline);
  const read = deferred.acknowledgement();
  if (await store(pipeline, items)) acknowledge(pipeline, read);
}

/** A batch for each message, so that each is acknowledged for itself. */
export function oneByOne(received: Received): Received[] {
  return received.messages.map((message) => ({ ...received, messages: [message] }));
}

/** Returns the item to store, or null if there is none. */
export function handleMessage(
  pipeline: Pipeline,
  message: LoaderMessage,
  bootId: string,
  readings: MemoryReadings = NO_READINGS,
): Item | null {
  const { state, clock } = pipeline;
  if ('time_ns' in message) state.restartLoops.read(message, clock.wallMs(), clock.steadyMs());
  switch (message.type) {
    case 'death': {
      const meaning = state.repeats.meaningOf(message, bootId);
      if (meaning !== null) return handleEqual(pipeline, equalOf(message, meaning), bootId, meaning);
      return handleTermination(pipeline, message, bootId, readings.get(message));
    }
    case 'restart':
      return handleRestart(pipeline, message, bootId);
    case 'equal':
      return handleEqual(pipeline, message, bootId, state.repeats.meaningOfKey(message.key, bootId));
    case 'repeat':
      return handleRepeat(pipeline, message, bootId);
    case 'repeats':
      pipeline.state.repeats.keep(message.ids, bootId);
      return null;
    case 'request':
      handleRequest(pipeline, message, bootId);
      return null;
    case 'request_end':
      pipeline.state.requests.end(message);
      return null;
    case 'gap':
      return handleGap(pipeline, message, bootId);
    case 'hello':
    case 'status':
    case 'unreadable':
      return null;
  }
}

function handleRequest({ settings, state }: Pipeline, request: Request, bootId: string): void {
  const shown = settings.logins === 'off' ? requestWithoutLogins(request) : request;
  state.requests.add(shown, bootId, settings.arguments);
}

/** Returns the item to store, with a record if the termination is reported. null: a duplicate. */
export function handleTermination(
  pipeline: Pipeline,
  received: Death,
  bootId: string,
  reading: MemoryReading | null = null,
): Item | null {
  const { settings, state, clock, effects } = pipeline;
  const death = settings.logins === 'off' ? withoutLogins(received) : received;
  const endedNs = death.time_ns + death.clock_offset_ns;
  const observedNs = observedAt(endedNs, clock);
  const conclusion = conclude(death, {
    ...state,
    requests: state.requests.of(bootId),
    bootId,
    host: pipeline.host(),
    argumentsMode: settings.arguments,
    reading,
    observedNs,
    nowMs: clock.steadyMs(),
  });
  if (conclusion.kind === 'duplicate') {
    state.duplicates += 1;
    return null;
  }
  const { uid, outcome, rule, subject, verdict, candidate, record } = conclusion;
  const { origin, resource } = candidate;
  if (rule.action !== 'ignore') effects.countTermination(resource, verdict, origin, 1);
  if (settings.recordsPerMinute !== Number.POSITIVE_INFINITY)
    arm(state, death, conclusion, bootId, observedNs - endedNs);
  if (record?.attributes[IDENTITY_DROPPED] !== undefined) state.falseClaims += 1;
  if (record !== null && (settings.spans === 'all' || record.spanContext !== undefined))
    effects.sendSpan?.(buildSpan(record, death.process.start_boottime_ns + death.clock_offset_ns), origin);
  state.latest.add({ endedNs, pid: death.process.pid, outcome, rule: rule.name, subject }, origin);
  if (outcome !== 'reported') {
    const { pid } = death.process;
    effects.keepUnreported?.({ uid, origin, timeNs: endedNs, pid, outcome, rule: rule.name, subject });
  }
  const kind = outcome === 'aggregated' ? { kind: outcome } : {};
  return { uid, origin, ...kind, endedMs: Number(endedNs / 1_000_000n), record: record && storeRecord(record) };
}

/**
 * Returns the item to store. null: the termination has no record, the restart is rate-limited, or it is a duplicate. So is one in a loop,
 * which says itself that the program is started again.
 */
export function handleRestart(pipeline: Pipeline, restart: Restart, bootId: string): Item | null {
  const { settings, state, clock } = pipeline;
  const isInLoop = state.restartLoops.restarted(comebackOf(restart, settings.arguments), clock.steadyMs());
  const death = state.restarts.take(restart, bootId);
  const timeNs = restart.time_ns + restart.clock_offset_ns;
  if (death === null || isInLoop) return null;
  const { service: key, origin } = death;
  if (!state.loops.reserve({ key, origin, endedNs: timeNs }, clock.steadyMs())) return null;
  const record = buildRestart(restart, death, observedAt(timeNs, clock), settings.arguments);
  const uid = String(record.attributes[LOG_RECORD_UID]);
  if (!state.seen.add(uid)) return null;
  return { uid, origin, kind: 'summary', endedMs: Number(timeNs / 1_000_000n), record: storeRecord(record) };
}

/** Returns the item to store. null: a duplicate. */
function handleGap({ state, host, clock }: Pipeline, gap: Gap, bootId: string): Item | null {
  const item = gapItem(gap, bootId, host(), clock);
  return state.seen.add(item.uid) ? item : null;
}
