// SPDX-License-Identifier: Apache-2.0
// The pipeline without a loader, a disk or a collector: state and effects are arguments.
import { describe, expect, it } from 'vitest';
import { golden, goldenDeath } from '../scripts/stack/fake-loader.ts';
import { rulesOf } from '../src/core/filter/built-in.ts';
import { RECEIVED_FIRST } from '../src/core/filter/repeats.ts';
import { readRecord } from '../src/core/telemetry/stored.ts';
import { isoTime } from '../src/core/time.ts';
import type { Death, Hello, Restart } from '../src/core/wire/event.ts';
import type { Equal, Repeat } from '../src/core/wire/repeat.ts';
import { Decoder } from '../src/core/wire/wire.ts';
import { WAIT_MS } from '../src/deferred.ts';
import type { LoaderMessage, Received } from '../src/io/loader/socket.ts';
import type { Item } from '../src/io/queue/queue.ts';
import { OutOfMemory } from '../src/out-of-memory.ts';
import { handleBatch, handleMessage, oneByOne, type Pipeline } from '../src/pipeline.ts';
import { newState, recentTerminations, type Settings } from '../src/state.ts';
import { flushSummaries, HELD_MAX, HOLD_MS } from '../src/storing.ts';
import { ABORT, aborted, frames } from './support/crashes.ts';
import {
  actor,
  END,
  exitedWith,
  fault,
  killedBy,
  noinfoSignal,
  OFFSET,
  oom,
  signal,
  victim,
} from './support/deadly.ts';
import { host } from './support/host.ts';
import { reading } from './support/memory-use.ts';
import { endOf, request, stoppedContainer } from './support/requests.ts';

const BOOT = 'first-boot';

interface Options {
  readonly recordsPerMinute?: number;
  readonly spans?: Settings['spans'];
  readonly arguments?: 'redacted' | 'off';
  readonly mode?: 'all' | 'default';
  /** Whether a write to the disk succeeds. */
  readonly stores?: () => boolean;
  /** false: there is no queue. */
  readonly durable?: boolean;
  /** ms of the steady clock. */
  readonly nowMs?: () => number;
  readonly clock?: Pick<Pipeline['clock'], 'steadyMs' | 'later'>;
  /** ms since 1970. */
  readonly wallMs?: number;
  readonly outOfMemory?: OutOfMemory;
  readonly keepUnreported?: Pipeline['effects']['keepUnreported'];
}

/** A machine on which time passes, and nothing else happens. */
function silentMachine() {
  let nowMs = 0;
  const timers: { readonly atMs: number; readonly work: () => void }[] = [];
  return {
    clock: {
      steadyMs: () => nowMs,
      later: (work: () => void, ms: number) => void timers.push({ atMs: nowMs + ms, work }),
    },
    async pass(ms: number): Promise<void> {
      for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 1) {
        for (const timer of timers.filter(({ atMs }) => atMs === nowMs)) timer.work();
        await new Promise(setImmediate);
      }
    },
  };
}

/** A pipeline, and its effects in order. */
function build(options: Options = {}) {
  const {
    recordsPerMinute = Number.POSITIVE_INFINITY,
    arguments: mode = 'redacted',
    stores = () => true,
    spans = 'all',
  } = options;
  const settings = { arguments: mode, logins: 'on', recordsPerMinute, spans } as const;
  const did: string[] = [];
  const stored: (readonly Item[])[] = [];
  const open: number[] = [];
  const pipeline: Pipeline = {
    settings,
    state: newState(rulesOf([], options.mode ?? 'all'), settings),
    host: () => host,
    clock: {
      wallMs: () => options.wallMs ?? 1_795_443_600_000,
      steadyMs: options.nowMs ?? (() => 0),
      later: () => {},
      ...options.clock,
    },
    outOfMemory: options.outOfMemory ?? null,
    effects: {
      sendSpan: () => did.push('span'),
      countTermination: (_, { cause }, __, times) =>
        did.push(times === 1 ? `count ${cause}` : `count ${times} × ${cause}`),
      durable: options.durable ?? true,
      keepUnreported: options.keepUnreported ?? null,
      unknownRepeats: (count) => did.push(`unknown ${count}`),
      store: async (items, { open: aggregates }) => {
        if (!stores()) return false;
        did.push(`store ${items.length}`);
        stored.push(items);
        open.push(aggregates.length);
        return true;
      },
    },
  };
  return { pipeline, did, stored, open };
}

function received(
  messages: readonly LoaderMessage[],
  acks: bigint[] = [],
  bootId = BOOT,
  sent: string[] = [],
): Received {
  const hello = { boot_id: bootId, origin_keys_max: 128 } as Hello;
  const connection = {
    ack: (seq: bigint) => acks.push(seq),
    arm: (key: string, as: string, untilNs: bigint) => sent.push(`arm ${key} ${as} ${untilNs}`),
    counted: (id: bigint, total: bigint) => sent.push(`counted ${id} ${total}`),
  };
  return { messages, hello, connection };
}

const restartOf = (death: Death): Restart => {
  const [decoded] = new Decoder().push(Buffer.from(golden('restart-of-exit-3')));
  if (!decoded?.ok || decoded.message.type !== 'restart') throw new Error('the golden line is not a restart');
  const { pid, start_boottime_ns } = death.process;
  return { ...decoded.message, dead: { pid, start_boottime_ns, time_ns: death.time_ns }, process: death.process };
};

const failing = (pid: number, seq: bigint): Death => ({ ...exitedWith(3, { process: victim({ pid }) }), seq });

describe('a batch', () => {
  it('is counted, stored in one piece, and acknowledged at its last position', async () => {
    const { pipeline, did, stored } = build();
    const acks: bigint[] = [];
    const batch = [failing(1, 10n), failing(2, 20n), { type: 'unreadable', seq: 30n } as const];
    expect(await handleBatch(pipeline, received(batch, acks))).toBe(true);
    const one = ['count exit', 'span'];
    expect(did).toEqual([...one, ...one, 'store 2']);
    expect(stored[0]?.map(({ record }) => record !== null)).toEqual([true, true]);
    expect(acks).toEqual([30n]);
  });

  it('with a time without probes has one record, also if the loader sends it again', async () => {
    const { pipeline, stored } = build();
    const acks: bigint[] = [];
    const [decoded] = new Decoder().push(Buffer.from(golden('gap')));
    if (!decoded?.ok || decoded.message.type !== 'gap') throw new Error('the golden line is no gap');
    const gap = decoded.message;
    await handleBatch(pipeline, received([gap, { ...gap, seq: gap.seq + 8n }], acks));
    expect(acks).toEqual([gap.seq + 8n]);
    const [item, ...more] = stored.flat();
    expect(more).toEqual([]);
    expect(item).toMatchObject({ kind: 'summary', endedMs: Number((gap.time_ns + gap.clock_offset_ns) / 1_000_000n) });
    const { eventName, attributes, body, resource } = readRecord(item?.record ?? new Uint8Array());
    expect(eventName).toBe('whodunit.events.gap');
    expect(attributes).toEqual({
      'log.record.uid': item?.uid,
      'whodunit.gap.start_time': isoTime(gap.from_ns + gap.clock_offset_ns),
      'whodunit.gap.end_time': isoTime(gap.time_ns + gap.clock_offset_ns),
    });
    expect(body).toMatch(/^No probe was attached for 4\.3 s, /);
    expect(resource.attributes).toMatchObject({ 'service.name': 'whodunit', 'host.name': host.name });
  });

  it('without events is stored, and nothing is acknowledged', async () => {
    const acks: bigint[] = [];
    expect(await handleBatch(build().pipeline, received([{ type: 'hello' } as Hello], acks))).toBe(true);
    expect(acks).toEqual([]);
  });

  it('that could not be stored is not acknowledged', async () => {
    const acks: bigint[] = [];
    const { pipeline } = build({ stores: () => false });
    expect(await handleBatch(pipeline, received([failing(1, 10n)], acks))).toBe(false);
    expect(acks).toEqual([]);
  });

  it('is split into one for each message where each is acknowledged for itself', async () => {
    let room = 2;
    const { pipeline, stored } = build({ stores: () => room-- > 0 });
    const acks: bigint[] = [];
    const batches = oneByOne(received([failing(1, 10n), failing(2, 20n), failing(3, 30n)], acks));
    const results = [];
    for (const batch of batches) results.push(await handleBatch(pipeline, batch));
    expect([results, acks, stored.length]).toEqual([[true, true, false], [10n, 20n], 2]);
  });
});

describe('a filtered termination', () => {
  const short = victim({ start_boottime_ns: 11_000_000_000n, cgroup: null });
  const filtered = (pid: number): Death => ({
    ...exitedWith(3, { process: { ...short, pid } }),
    seq: 10n * BigInt(pid),
  });
  const several = (from: number, count: number) => Array.from({ length: count }, (_, index) => filtered(from + index));
  const byDefault = (changes: Options = {}) => build({ mode: 'default', recordsPerMinute: 10, ...changes });

  it('waits a moment for others; they are stored in one piece, and then acknowledged', async () => {
    const machine = silentMachine();
    const { pipeline, stored } = byDefault({ clock: machine.clock });
    const acks: bigint[] = [];
    for (const one of several(1, 3)) expect(await handleBatch(pipeline, received([one], acks))).toBe(true);
    await machine.pass(HOLD_MS);
    expect([stored, acks]).toEqual([[], []]);
    await machine.pass(2);
    expect([stored.map(({ length }) => length), acks]).toEqual([[3], [30n]]);
  });

  it('is stored before what comes after it', async () => {
    const { pipeline, stored } = byDefault();
    const acks: bigint[] = [];
    await handleBatch(pipeline, received([filtered(1)], acks));
    const killed = { ...killedBy(9, { process: victim({ pid: 2 }) }), seq: 20n };
    await handleBatch(pipeline, received([killed], acks));
    expect([stored.flat().map(({ record }) => record !== null), acks]).toEqual([[false, true], [20n]]);
  });

  it('is stored when the service ends', async () => {
    const { pipeline, stored } = byDefault();
    const acks: bigint[] = [];
    await handleBatch(pipeline, received([filtered(1)], acks));
    await flushSummaries(pipeline, true);
    expect([stored.flat().length, acks]).toEqual([1, [10n]]);
  });

  it('does not wait if there are many: what is not acknowledged takes up the ring', async () => {
    const { pipeline, stored } = byDefault();
    const acks: bigint[] = [];
    await handleBatch(pipeline, received(several(1, HELD_MAX - 1), acks));
    expect(stored).toEqual([]);
    await handleBatch(pipeline, received(several(HELD_MAX, 2), acks));
    expect([stored.flat().length, acks]).toEqual([HELD_MAX + 1, [10n * BigInt(HELD_MAX + 1)]]);
  });

  it('that could not be stored is not acknowledged', async () => {
    const { pipeline } = byDefault({ stores: () => false });
    const acks: bigint[] = [];
    await handleBatch(pipeline, received([filtered(1)], acks));
    await flushSummaries(pipeline, true);
    expect(acks).toEqual([]);
  });

  it('is acknowledged at once where nothing is stored', async () => {
    const { pipeline } = byDefault({ durable: false });
    const acks: bigint[] = [];
    await handleBatch(pipeline, received([filtered(1)], acks));
    expect(acks).toEqual([10n]);
  });
});

describe('an out-of-memory kill', () => {
  it('has what was read of its cgroup; the order of terminations stays as it is', async () => {
    const outOfMemory = new OutOfMemory({ isVisible: true, read: async () => reading() });
    const { pipeline, stored } = build({ outOfMemory });
    const kill = killedBy(9, {
      oom_victim: true,
      oom: oom({ cgroup: '/shop' }),
      clock_offset_ns: 1_795_443_600_000_000_000n - END,
    });
    await handleBatch(pipeline, received([failing(1, 10n), kill, failing(2, 20n)]));
    const bodies = stored.flat().map(({ record }) => String(readRecord(record as Uint8Array).body));
    expect(bodies[1]).toContain('; redis-server (pid 99) had 12 MiB');
    expect(bodies.map((body) => /was killed/.test(body))).toEqual([false, true, false]);
  });
});

describe('a member of an incident', () => {
  const killed = (pid: number, seq: bigint): Death => {
    const death = killedBy(9, { process: victim({ pid }), signal: signal(9) });
    return { ...death, seq };
  };
  const deaths = [killed(1, 10n), killed(2, 20n), killed(3, 30n), failing(4, 40n)];

  it('counts as aggregated, and their record as a summary; without a queue, it is acknowledged when that is printed', async () => {
    let nowMs = 0;
    const { pipeline, did, stored } = build({ recordsPerMinute: 10, durable: false, nowMs: () => nowMs });
    const acks: bigint[] = [];
    for (const batch of oneByOne(received(deaths, acks))) await handleBatch(pipeline, batch);
    expect(acks).toEqual([10n]);
    expect(stored.flat().map(({ kind = 'own' }) => kind)).toEqual(['own', 'aggregated', 'aggregated', 'own']);
    expect(did.filter((one) => one === 'count killed')).toHaveLength(3);
    nowMs = 2_000;
    expect(await flushSummaries(pipeline)).toBe(true);
    expect(acks).toEqual([10n, 40n]);
    const last = stored.at(-1)?.[0];
    expect(last).toMatchObject({ kind: 'summary' });
    expect(readRecord(last?.record as Uint8Array)).toMatchObject({
      eventName: 'whodunit.incident',
      attributes: { 'whodunit.aggregated.count': 2 },
    });
    await flushSummaries(pipeline);
    expect(stored.flat()).toHaveLength(5);
  });

  it('is reported within 2 s, whatever else terminates meanwhile', async () => {
    let nowMs = 0;
    const { pipeline, stored } = build({ recordsPerMinute: 10, nowMs: () => nowMs });
    await handleBatch(pipeline, received([killed(1, 10n), killed(2, 20n)]));
    const incidents = () => stored.flat().filter(({ kind }) => kind === 'summary');
    for (; incidents().length === 0 && nowMs < 10_000; nowMs += 100) {
      const other = { ...failing(100 + nowMs, 30n), time_ns: END + BigInt(nowMs) * 1_000_000n };
      await handleBatch(pipeline, received([other]));
    }
    expect(nowMs).toBeLessThan(2_000);
  });

  it('may still come while what is read is as old as the others', async () => {
    let nowMs = 0;
    const { pipeline, stored } = build({ recordsPerMinute: 10, nowMs: () => nowMs });
    await handleBatch(pipeline, received([killed(1, 10n), killed(2, 20n)]));
    const counts = () =>
      stored
        .flat()
        .filter(({ kind }) => kind === 'summary')
        .map(({ record }) => readRecord(record as Uint8Array).attributes['whodunit.aggregated.count']);
    for (; nowMs < 3_000; nowMs += 100) {
      await handleBatch(pipeline, received([failing(100 + nowMs, 30n)]));
      await flushSummaries(pipeline);
    }
    await handleBatch(pipeline, received([killed(3, 40n)]));
    expect(counts()).toEqual([]);
    nowMs += 400;
    await flushSummaries(pipeline);
    expect(counts()).toEqual([2]);
  });

  it('stays in the ring if that cannot be printed', async () => {
    let [nowMs, prints] = [0, true];
    const stores = () => prints;
    const { pipeline } = build({ recordsPerMinute: 10, durable: false, nowMs: () => nowMs, stores });
    const acks: bigint[] = [];
    for (const batch of oneByOne(received(deaths, acks))) await handleBatch(pipeline, batch);
    [nowMs, prints] = [2_000, false];
    expect(await flushSummaries(pipeline)).toBe(false);
    expect(acks).toEqual([10n]);
  });

  it('is only counted in the kernel beyond those whose pids are listed, and is in the same record', async () => {
    let nowMs = 0;
    const { pipeline, did, stored } = build({ recordsPerMinute: 10, nowMs: () => nowMs });
    pipeline.state.repeats.greet({ origin_keys_max: 128 });
    const key = { key: 'k', file: true, claims: true };
    const crowd = Array.from({ length: 300 }, (_, index) => ({ ...killed(1 + index, 1n), repeat: key }));
    const sent: string[] = [];
    const { connection, ...batch } = received(crowd);
    const arm = (name: string, as: string, untilNs: bigint) => sent.push(`${name} ${as} ${untilNs}`);
    await handleBatch(pipeline, { ...batch, connection: { ...connection, arm } });
    expect(sent).toEqual([`k aggregated ${END - 1_000_000n + 1_000_000_000n}`]);
    const [first_ns, last_ns] = [END, END + 5n];
    const total = {
      type: 'repeat',
      id: 7n,
      key: 'k',
      as: 'aggregated',
      total: 99_700n,
      first_ns,
      last_ns,
      clock_offset_ns: OFFSET,
    } as const;
    await handleBatch(pipeline, received([total]));
    expect(did).toContain('count 99700 × killed');
    nowMs = 5_000;
    await flushSummaries(pipeline, true);
    const items = stored.at(-1) ?? [];
    expect(
      items
        .map(({ record }) => readRecord(record as Uint8Array))
        .map(({ eventName, attributes }) => [eventName, attributes['whodunit.aggregated.count']]),
    ).toEqual([['whodunit.incident', 99_999]]);
  });

  it('with a queue is acknowledged at once, and stored with its incident', async () => {
    const { pipeline, open } = build({ recordsPerMinute: 10 });
    const acks: bigint[] = [];
    await handleBatch(pipeline, received(deaths, acks));
    expect([acks, open]).toEqual([[40n], [0]]);
    expect(pipeline.state.incidents.open().map(({ total }) => total)).toEqual([3, 1]);
  });
});

describe('a termination', () => {
  it('that was seen before is counted as a duplicate, and not stored again', () => {
    const { pipeline, did } = build();
    expect(handleMessage(pipeline, failing(1, 10n), BOOT)).not.toBeNull();
    const before = did.length;
    expect(handleMessage(pipeline, failing(1, 20n), BOOT)).toBeNull();
    expect([did.length, pipeline.state.duplicates]).toEqual([before, 1]);
  });

  it('of another boot is not a duplicate: the boot id comes from its connection', () => {
    const { pipeline } = build();
    const uids = [BOOT, 'second-boot'].map((boot) => handleMessage(pipeline, failing(1, 10n), boot)?.uid);
    expect(new Set(uids).size).toBe(2);
    expect(pipeline.state.duplicates).toBe(0);
  });

  it.each([
    ['all', undefined, ['span']],
    ['joined', undefined, []],
    ['joined', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00', ['span']],
  ] as const)('with WHODUNIT_SPANS=%s and the trace %s has the spans %j', (spans, TRACEPARENT, expected) => {
    const { pipeline, did } = build({ spans });
    const process = victim(TRACEPARENT === undefined ? {} : { env: { TRACEPARENT } });
    handleMessage(pipeline, exitedWith(3, { process }), BOOT);
    expect(did.filter((what) => what === 'span')).toEqual(expected);
  });

  it('that a rule filters has no record, and is counted in the metrics', () => {
    const { pipeline, did } = build({ mode: 'default' });
    const short = victim({ start_boottime_ns: 11_000_000_000n, cgroup: null });
    expect(handleMessage(pipeline, exitedWith(3, { process: short }), BOOT)?.record).toBeNull();
    expect(did).toEqual(['count exit']);
  });

  it('beyond the limit per minute is aggregated; the summary is stored when it is due', async () => {
    const { pipeline, did, stored, open } = build({ recordsPerMinute: 1 });
    await handleBatch(pipeline, received([failing(1, 1n), failing(2, 2n), failing(3, 3n)]));
    expect(stored[0]?.map(({ kind, record }) => [kind, record !== null])).toEqual([
      [undefined, true],
      ['aggregated', false],
      ['aggregated', false],
    ]);
    expect(open).toEqual([1]);
    await flushSummaries(pipeline);
    expect(stored[1]).toEqual([]);
    await flushSummaries(pipeline, true);
    expect(stored[2]?.map(({ kind }) => kind)).toEqual(['summary']);
    expect([did.at(-1), open]).toEqual(['store 1', [1, 1, 0]]);
    expect(readRecord(stored[2]?.[0]?.record as Uint8Array).eventName).toBe('whodunit.process.termination.summary');
  });
});

const stopping = (pid: number, changes: Partial<Death> = {}): Death => {
  const request = signal(15, { action: 'handled' });
  return { ...exitedWith(0, { request, process: victim({ pid }), ...changes }), seq: BigInt(pid) };
};

describe('a graceful stop', () => {
  const attributesOf = (item: Item | null) => readRecord(item?.record as Uint8Array).attributes;

  it('has a record, no error, and no part in the recent abnormal terminations', () => {
    const { pipeline, did } = build();
    handleMessage(pipeline, failing(1, 1n), BOOT);
    const attributes = attributesOf(handleMessage(pipeline, stopping(2), BOOT));
    expect([
      attributes['whodunit.cause'],
      attributes['error.type'],
      attributes['whodunit.recent_terminations'],
    ]).toEqual(['graceful_stop', undefined, 1]);
    expect(did).toContain('count graceful_stop');
  });

  it('uses up no record of a service that fails, and has a summary of its own', async () => {
    const { pipeline, stored } = build({ recordsPerMinute: 1 });
    const another = signal(15, { action: 'handled', sender: actor({ pid: 98 }) });
    await handleBatch(pipeline, received([stopping(1), stopping(2, { request: another }), failing(3, 3n)]));
    expect(stored[0]?.map(({ record }) => record !== null)).toEqual([true, false, true]);
    await flushSummaries(pipeline, true);
    expect(stored[1]?.map(({ record }) => readRecord(record as Uint8Array).body)).toEqual([
      'unknown_service:sleep terminated 1 more time within 0 µs: 1 × graceful_stop; sent by 1 × bash.',
    ]);
  });

  it('has a span without an error', () => {
    const { pipeline } = build();
    const spans: unknown[] = [];
    const effects = { ...pipeline.effects, sendSpan: ({ status }: { status: unknown }) => spans.push(status) };
    handleMessage({ ...pipeline, effects }, stopping(1), BOOT);
    expect(spans).toEqual([{ code: 0 }]);
  });
});

describe('a parent whose child follows it', () => {
  const child = (parent: Death['process']): Death => ({
    ...killedBy(15, {
      pdeath_signal: 15,
      process: victim({ pid: 2 }),
      signal: noinfoSignal(15, {
        sender: actor({ pid: parent.pid, start_boottime_ns: parent.start_boottime_ns, exiting: true, exe: null }),
        syscall: null,
      }),
    }),
    seq: 2n,
  });
  const parent = victim({ pid: 1 });
  const killed: Death = { ...killedBy(9, { signal: signal(9), process: parent }), seq: 1n };

  it('is named, with how it ended and its record', () => {
    const { pipeline } = build();
    const before = handleMessage(pipeline, killed, BOOT);
    const { body, attributes } = readRecord(handleMessage(pipeline, child(parent), BOOT)?.record as Uint8Array);
    expect(body).toMatch(
      /: its parent, sleep \(pid 1, .*\).*, terminated \(PR_SET_PDEATHSIG\); it was killed by SIGKILL, sent by bash \(pid 99, .*\.$/,
    );
    expect([attributes['whodunit.trigger.pid'], attributes['whodunit.trigger.termination.uid']]).toEqual([
      1,
      before?.uid,
    ]);
  });

  it.each([
    ['another process with its pid', { ...parent, start_boottime_ns: 1n }],
    ['one of which nothing is known', victim({ pid: 3 })],
  ])('is not said to have ended like %s', (_, other) => {
    const { pipeline } = build();
    handleMessage(pipeline, killed, BOOT);
    const { body, attributes } = readRecord(handleMessage(pipeline, child(other), BOOT)?.record as Uint8Array);
    expect(body).toMatch(/terminated \(PR_SET_PDEATHSIG\)\.$/);
    expect(attributes['whodunit.trigger.termination.uid']).toBeUndefined();
  });
});

describe('equal terminations', () => {
  const KEY = { key: 'f00d', file: true, claims: true };
  const equal = (pid: number, changes: Partial<Death> = {}): Death => ({
    ...failing(pid, BigInt(pid)),
    repeat: KEY,
    ...changes,
  });
  const total = (count: number, changes: Partial<Repeat> = {}): Repeat => ({
    type: 'repeat',
    id: 7n,
    key: KEY.key,
    as: 'aggregated',
    total: BigInt(count),
    first_ns: END + 1_000_000n,
    last_ns: END + 9_000_000n,
    clock_offset_ns: OFFSET,
    ...changes,
  });
  const minuteEnd = END + 60_000_000_000n;
  const short = { process: victim({ start_boottime_ns: END - 1n, cgroup: null }) };

  it('over the budget are armed once, until the minute is over, after what armed them is stored', async () => {
    const { pipeline, did } = build({ recordsPerMinute: 1 });
    const sent: string[] = [];
    await handleBatch(pipeline, received([equal(1), equal(2), equal(3)], [], BOOT, sent));
    expect(sent).toEqual([`arm f00d aggregated ${minuteEnd}`]);
    await handleBatch(pipeline, received([equal(4)], [], BOOT, sent));
    expect([sent.length, did.at(-1)]).toEqual([1, 'store 1']);
  });

  it('are armed before the rest of their batch is handled; those in it count under the key, once each', async () => {
    const { pipeline, did, stored } = build({ recordsPerMinute: 1 });
    const sent: string[] = [];
    const acks: bigint[] = [];
    const connection = { ...received([], acks).connection, arm: () => did.push('arm') };
    const messages = [equal(1), equal(2), equal(3), failing(4, 4n), equal(3), equal(5)];
    await handleBatch(pipeline, { ...received(messages, acks, BOOT, sent), connection });
    const first = ['count exit', 'span', 'count exit', 'store 2', 'arm'];
    expect(did).toEqual([...first, 'count exit', 'count exit', 'count exit', 'store 3']);
    expect(acks).toEqual([2n, 5n]);
    expect(stored.flat().map(({ kind, times }) => [kind, times])).toEqual([
      [undefined, undefined],
      ['aggregated', undefined],
      ['aggregated', 1],
      ['aggregated', undefined],
      ['aggregated', 1],
    ]);
    expect(pipeline.state.duplicates).toBe(1);
    await flushSummaries(pipeline, true);
    const { attributes } = readRecord(stored.at(-1)?.[0]?.record as Uint8Array);
    expect(attributes['whodunit.aggregated.count']).toBe(4);
  });

  it('that the loader sends in short count under their key, once each; without it they are counted all the same', async () => {
    const { pipeline, did, stored } = build({ recordsPerMinute: 1 });
    const acks: bigint[] = [];
    const inShort = ({ seq, process }: Death, changes: Partial<Equal> = {}): Equal => ({
      type: 'equal',
      seq,
      time_ns: END,
      clock_offset_ns: OFFSET,
      key: KEY.key,
      as: 'aggregated',
      pid: process.pid,
      start_boottime_ns: process.start_boottime_ns,
      ...changes,
    });
    await handleBatch(pipeline, received([equal(1), equal(2)]));
    const messages = [inShort(equal(2)), inShort(equal(3)), inShort(equal(4), { key: 'lost', as: 'filtered' })];
    await handleBatch(pipeline, received(messages, acks));
    expect(did.slice(-3)).toEqual(['count exit', 'unknown 1', 'store 2']);
    expect(acks).toEqual([4n]);
    expect(stored[1]?.map(({ kind, times, record }) => [kind, times, record])).toEqual([
      ['aggregated', 1, null],
      [undefined, 1, null],
    ]);
    expect(pipeline.state.duplicates).toBe(1);
  });

  it('arm a second key at the end of their batch: it is stored in two pieces at most', async () => {
    const { pipeline, did } = build({ recordsPerMinute: 1 });
    const sent: string[] = [];
    const another = { repeat: { ...KEY, key: 'beef' } };
    const messages = [equal(1), equal(2), equal(3, another), equal(4, another), failing(5, 5n)];
    await handleBatch(pipeline, received(messages, [], BOOT, sent));
    expect(did.filter((what) => what.startsWith('store'))).toEqual(['store 2', 'store 3']);
    expect(sent).toEqual([`arm f00d aggregated ${minuteEnd}`, `arm beef aggregated ${minuteEnd}`]);
  });

  it.each([
    ['was killed', killedBy(9)],
    ['answered a request', exitedWith(3, { request: signal(15, { action: 'handled' }) })],
    ['had a fault', exitedWith(3, { handled_fault: fault(11, 1) })],
    ['was a victim of the OOM killer', exitedWith(3, { oom_victim: true })],
    ['terminated after the time of the key', exitedWith(3, { time_ns: minuteEnd })],
    ['has another key', exitedWith(3, { repeat: { ...KEY, key: 'beef' } })],
  ])('have a look at each that %s', async (_, changes) => {
    const { pipeline, stored } = build({ recordsPerMinute: 1 });
    await handleBatch(pipeline, received([equal(1), equal(2)]));
    const { process, seq } = failing(3, 3n);
    await handleBatch(pipeline, received([{ ...changes, repeat: changes.repeat ?? KEY, process, seq }]));
    expect(stored[1]?.map(({ times }) => times)).toEqual([undefined]);
  });

  it.each([
    ['in time', 0.9, 10],
    ['when the time of the key is over: for as long as the service is behind', 20, 40],
    ['after a minute, so that no service ran meanwhile', 70, 10],
  ])('are armed, if they are read %s', async (_, lateSeconds, untilSeconds) => {
    const wallMs = Number((END + OFFSET) / 1_000_000n) + lateSeconds * 1_000;
    const { pipeline } = build({ mode: 'default', recordsPerMinute: 10, wallMs });
    const sent: string[] = [];
    const all = Array.from({ length: RECEIVED_FIRST }, (_, index) =>
      equal(index, { process: { ...short.process, pid: index } }),
    );
    await handleBatch(pipeline, received(all, [], BOOT, sent));
    const untilNs = BigInt(sent[0]?.split(' ').at(-1) ?? 0);
    expect(Number(untilNs - END) / 1e9).toBeCloseTo(untilSeconds, 2);
  });

  it('are not armed by a batch that could not be stored', async () => {
    const sent: string[] = [];
    const { pipeline } = build({ recordsPerMinute: 1, stores: () => false });
    await handleBatch(pipeline, received([equal(1), equal(2)], [], BOOT, sent));
    expect(sent).toEqual([]);
  });

  it('are armed for 10 s if the rules filter all of them, and enough were received that a loop would show', async () => {
    const { pipeline } = build({ mode: 'default', recordsPerMinute: 10 });
    const sent: string[] = [];
    const first = Array.from({ length: RECEIVED_FIRST - 1 }, (_, index) =>
      equal(index + 2, { process: { ...short.process, pid: index + 2 } }),
    );
    await handleBatch(pipeline, received(first, [], BOOT, sent));
    expect(sent).toEqual([]);
    await handleBatch(pipeline, received([equal(1, short)], [], BOOT, sent));
    expect(sent).toEqual([`arm f00d filtered ${END + 10_000_000_000n}`]);
  });

  it('that are graceful stops are armed if the code of the request leaves no other cause', async () => {
    const { pipeline } = build({ mode: 'default', recordsPerMinute: 10 });
    const sent: string[] = [];
    const request = signal(15, { action: 'handled', code: -2, kernel_stack: ['do_rt_sigqueueinfo'] });
    await handleBatch(pipeline, received([stopping(1, { ...short, repeat: KEY, request })], [], BOOT, sent));
    expect(sent).toEqual([]);
    const other = victim({ ...short.process, pid: 2 });
    await handleBatch(pipeline, received([stopping(2, { process: other, repeat: KEY })], [], BOOT, sent));
    expect(sent).toEqual([`arm f00d filtered ${minuteEnd}`]);
  });

  it.each([
    ['the limit per minute is off', { mode: 'default' }, short],
    ['no key is known', { mode: 'default', recordsPerMinute: 10 }, { ...short, repeat: null }],
    [
      'the names of the service could not be read',
      { mode: 'default', recordsPerMinute: 10 },
      { ...short, repeat: { ...KEY, claims: false } },
    ],
    ['there is a record', { recordsPerMinute: 10 }, {}],
  ] as const)('are not armed if %s', async (_, options, changes) => {
    const { pipeline } = build(options);
    const sent: string[] = [];
    await handleBatch(pipeline, received([equal(1, changes)], [], BOOT, sent));
    expect(sent).toEqual([]);
  });

  it('count once however often their total is received, in the metrics and in the summary of their minute', async () => {
    const { pipeline, did, stored } = build({ recordsPerMinute: 1 });
    const sent: string[] = [];
    await handleBatch(pipeline, received([equal(1), equal(2)]));
    for (const count of [5, 5, 8]) await handleBatch(pipeline, received([total(count)], [], BOOT, sent));
    expect(sent).toEqual(['counted 7 5', 'counted 7 5', 'counted 7 8']);
    expect(did.filter((what) => /×/.test(what))).toEqual(['count 5 × exit', 'count 3 × exit']);
    expect(stored.flat().map(({ kind, times }) => [kind, times])).toEqual([
      [undefined, undefined],
      ['aggregated', undefined],
      ['aggregated', 5],
      ['aggregated', 3],
    ]);
    await flushSummaries(pipeline, true);
    const { attributes, body } = readRecord(stored.at(-1)?.[0]?.record as Uint8Array);
    expect(attributes['whodunit.aggregated.count']).toBe(9);
    expect(body).toContain('9 more times');
  });

  it('that are filtered make no summary', async () => {
    const { pipeline, stored } = build({ mode: 'default', recordsPerMinute: 10 });
    await handleBatch(pipeline, received([equal(1, short)]));
    await handleBatch(pipeline, received([total(4, { as: 'filtered' })]));
    expect(stored.flat().map(({ kind, times, record }) => [kind, times, record])).toEqual([
      [undefined, undefined, null],
      [undefined, 4, null],
    ]);
    await flushSummaries(pipeline, true);
    expect(stored.at(-1)).toEqual([]);
  });

  it('stand, in what is kept, with the termination that armed the key, which has what rules read', async () => {
    const kept: Parameters<NonNullable<Pipeline['effects']['keepUnreported']>>[0][] = [];
    const { pipeline } = build({ mode: 'default', recordsPerMinute: 10, keepUnreported: (one) => kept.push(one) });
    const one = (pid: number) => equal(pid, { process: { ...short.process, pid } });
    const crowd = Array.from({ length: RECEIVED_FIRST }, (_, index) => one(1 + index));
    await handleBatch(pipeline, received([...crowd, one(1)]));
    await handleBatch(pipeline, received([total(4, { as: 'filtered' }), total(4, { as: 'filtered' })]));
    expect(kept).toHaveLength(RECEIVED_FIRST + 1);
    const [armed, counted] = kept.slice(-2);
    expect(armed).toMatchObject({
      pid: RECEIVED_FIRST,
      outcome: 'filtered',
      rule: 'short-lived unnamed processes',
      subject: { exitCode: 3 },
    });
    expect(counted).toEqual({ uid: armed?.uid, counted: 4 });
  });

  it('count once after a restart of the service, under what they were armed as', async () => {
    const before = build({ recordsPerMinute: 1 });
    await handleBatch(before.pipeline, received([equal(1), equal(2)]));
    await handleBatch(before.pipeline, received([total(5)]));
    const after = build({ recordsPerMinute: 1 });
    const { loops, repeats } = before.pipeline.state;
    const remembered = JSON.parse(JSON.stringify({ uids: [], open: loops.open(), repeats: repeats.stored() }));
    const pipeline = { ...after.pipeline, state: newState(rulesOf([], 'all'), after.pipeline.settings, remembered) };
    await handleBatch(pipeline, received([total(5)]));
    await handleBatch(pipeline, received([total(6)]));
    expect(after.stored.flat().map(({ kind, times }) => [kind, times])).toEqual([
      ['summary', undefined],
      ['aggregated', 1],
    ]);
  });

  it('are counted without a summary if the state of the service was lost', async () => {
    const { pipeline, did, stored } = build({ recordsPerMinute: 1 });
    await handleBatch(pipeline, received([total(5)]));
    expect([did, stored[0]?.[0]?.times]).toEqual([['unknown 5', 'store 1'], 5]);
  });

  it('of another boot, or under another entry, are others', async () => {
    const { pipeline, stored } = build({ recordsPerMinute: 1 });
    await handleBatch(pipeline, received([equal(1), equal(2)]));
    await handleBatch(pipeline, received([total(5)]));
    await handleBatch(pipeline, received([total(5, { id: 8n })]));
    await handleBatch(pipeline, received([total(5, { id: 8n })], [], 'second-boot'));
    expect(stored.flat().flatMap(({ times }) => times ?? [])).toEqual([5, 5, 5]);
  });

  it('are forgotten when the loader has removed their entry', async () => {
    const { pipeline } = build({ recordsPerMinute: 1 });
    await handleBatch(pipeline, received([equal(1), equal(2)]));
    await handleBatch(pipeline, received([{ type: 'repeats', ids: [] }]));
    expect(pipeline.state.repeats.stored()).toHaveLength(1);
    await handleBatch(pipeline, received([total(5), { type: 'repeats', ids: [7n] }]));
    expect(pipeline.state.repeats.stored()).toMatchObject([{ id: '7', total: '5' }]);
    await handleBatch(pipeline, received([{ type: 'repeats', ids: [8n] }]));
    expect(pipeline.state.repeats.stored()).toEqual([]);
  });
});

describe('a restart', () => {
  it('gets a record if its termination has one, and only once', () => {
    const { pipeline } = build();
    const death = failing(1, 1n);
    handleMessage(pipeline, death, BOOT);
    const item = handleMessage(pipeline, restartOf(death), BOOT);
    expect(item?.kind).toBe('summary');
    expect(readRecord(item?.record as Uint8Array).eventName).toBe('whodunit.process.restart');
    expect(handleMessage(pipeline, restartOf(death), BOOT)).toBeNull();
  });

  it('gets no record if its termination has none, or is of another boot', () => {
    const { pipeline } = build();
    const death = failing(1, 1n);
    expect(handleMessage(pipeline, restartOf(death), BOOT)).toBeNull();
    handleMessage(pipeline, death, BOOT);
    expect(handleMessage(pipeline, restartOf(death), 'second-boot')).toBeNull();
  });
});

describe('/recent', () => {
  it('shows the last 100 terminations with their outcome and rule, duplicates excluded', async () => {
    const { pipeline } = build();
    const batch = Array.from({ length: 101 }, (_, i) => failing(i + 1, BigInt(i)));
    await handleBatch(pipeline, received([...batch, failing(101, 200n)]));
    const recent = recentTerminations(pipeline.settings, pipeline.state);
    expect([recent.length, recent[0]?.pid, recent.at(-1)?.pid]).toEqual([100, 2, 101]);
    expect(recent[0]).toMatchObject({ outcome: 'reported', rule: 'everything (WHODUNIT_REPORT=all)' });
  });

  it('shows no arguments if they are off', () => {
    for (const [mode, shown] of [
      ['redacted', 'sleep 100'],
      ['off', null],
    ] as const) {
      const { pipeline } = build({ arguments: mode });
      handleMessage(pipeline, goldenDeath('death-exit-3'), BOOT);
      handleMessage(pipeline, failing(1, 1n), BOOT);
      expect(recentTerminations(pipeline.settings, pipeline.state).at(-1)?.subject.arguments).toBe(shown);
    }
  });
});

describe('a crash', () => {
  it('is stored with its stack, and without the message where arguments are off', () => {
    const death = aborted({
      frames: frames(...ABORT, '__assert_fail@libc', 'f'),
      message: "f: Assertion `marker' failed.\n",
    });
    const recordOf = (mode: 'redacted' | 'off') => {
      const item = handleMessage(build({ arguments: mode }).pipeline, death, BOOT);
      return readRecord(item?.record as Uint8Array);
    };
    expect(recordOf('redacted').attributes).toMatchObject({
      'exception.stacktrace': expect.stringContaining('\n#4 f+0x1f (chain)'),
      'exception.message': "f: Assertion `marker' failed.",
      'whodunit.crash.reason': 'assertion',
      'whodunit.crash.place': 'f+0x1f (chain)',
      'whodunit.crash.fingerprint': expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(JSON.stringify(recordOf('off'))).not.toContain('marker');
  });
});

describe('a termination that a running tool may have asked for', () => {
  const docker = request('docker stop web');
  const end = endOf(docker);
  const stop = { ...stoppedContainer(), seq: 20n };
  const events = (seq: bigint) => [{ ...docker, seq }, stop, failing(2, 30n)] as const;
  const bodies = (stored: readonly (readonly Item[])[]) =>
    stored.flat().map(({ record }) => (record === null ? null : String(readRecord(record).body).slice(0, 12)));

  it('waits for its end, and others pass it; what is read after it is not acknowledged before', async () => {
    const { pipeline, stored } = build();
    const acks: bigint[] = [];
    const batch = received(events(10n), acks);
    expect(await handleBatch(pipeline, batch)).toBe(true);
    expect([bodies(stored), acks]).toEqual([['sleep (pid 2'], [10n]]);
    expect(await handleBatch(pipeline, { ...batch, messages: [{ ...end, seq: 40n }] })).toBe(true);
    expect([bodies(stored), acks]).toEqual([
      ['sleep (pid 2', 'app (pid 424'],
      [10n, 40n],
    ]);
    const [record] = stored.at(-1) ?? [];
    expect(String(record?.record && readRecord(record.record).body)).toMatch(
      /probably asked for by `docker stop web` \(root\)/,
    );
  });

  it('waits for less than a second', async () => {
    const machine = silentMachine();
    const { pipeline, stored } = build({ clock: machine.clock });
    const acks: bigint[] = [];
    await handleBatch(pipeline, received(events(10n), acks));
    await machine.pass(999);
    expect([bodies(stored), acks]).toEqual([
      ['sleep (pid 2', 'app (pid 424'],
      [10n, 30n],
    ]);
  });

  it('begins an incident that is reported within 2 s, though nothing else is received', async () => {
    const machine = silentMachine();
    const { pipeline, stored } = build({ recordsPerMinute: 10, clock: machine.clock });
    const other = { ...stop, seq: 21n, process: { ...stop.process, pid: stop.process.pid + 1 } };
    await handleBatch(pipeline, received([{ ...docker, seq: 10n }, stop, other]));
    await machine.pass(WAIT_MS + 2_000);
    expect(stored.flat().map(({ kind, record }) => [kind, record !== null])).toEqual([
      [undefined, true],
      ['aggregated', false],
      ['summary', true],
    ]);
  });

  it('is left to the next service if this one ends meanwhile', async () => {
    const machine = silentMachine();
    const { pipeline, stored } = build({ recordsPerMinute: 10, clock: machine.clock });
    const acks: bigint[] = [];
    await handleBatch(pipeline, received([{ ...docker, seq: 10n }, stop], acks));
    await flushSummaries(pipeline, true);
    await machine.pass(WAIT_MS + 2_000);
    expect([stored.flat(), acks]).toEqual([[], [10n]]);
  });

  it('is concluded once if the loader sends it again, and its restart waits for it', async () => {
    const { pipeline, stored } = build();
    const acks: bigint[] = [];
    const dead = { pid: stop.process.pid, start_boottime_ns: stop.process.start_boottime_ns, time_ns: stop.time_ns };
    const restart = { ...restartOf(stop), dead, seq: 25n };
    await handleBatch(pipeline, received([{ ...docker, seq: 10n }, stop, restart], acks));
    await handleBatch(pipeline, received([stop, restart, { ...end, seq: 40n }], acks));
    expect(bodies(stored)).toEqual(['app (pid 424', 'app was rest']);
    expect(acks).toEqual([10n, 40n]);
  });
});
