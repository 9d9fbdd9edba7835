// SPDX-License-Identifier: Apache-2.0
// The pipeline without a loader, a disk or a collector: state and effects are arguments.
import { describe, expect, it } from 'vitest';
import { golden, goldenDeath } from '../scripts/stack/fake-loader.ts';
import { rulesOf } from '../src/core/filter/rules.ts';
import { readRecord } from '../src/core/telemetry/stored.ts';
import type { Death, Hello, Restart } from '../src/core/wire/event.ts';
import { Decoder } from '../src/core/wire/wire.ts';
import type { LoaderMessage, Received } from '../src/io/loader/socket.ts';
import type { Item } from '../src/io/queue/queue.ts';
import {
  flushSummaries,
  handleBatch,
  handleMessage,
  newState,
  oneByOne,
  type Pipeline,
  recentTerminations,
  type Settings,
} from '../src/pipeline.ts';
import { exitedWith, victim } from './support/deadly.ts';
import { host } from './support/host.ts';

const BOOT = 'first-boot';

interface Options {
  readonly recordsPerMinute?: number;
  readonly spans?: Settings['spans'];
  readonly arguments?: 'redacted' | 'off';
  readonly mode?: 'all' | 'default';
  /** Whether a write to the disk succeeds. */
  readonly stores?: () => boolean;
}

/** A pipeline, and its effects in order. */
function build(options: Options = {}) {
  const {
    recordsPerMinute = Number.POSITIVE_INFINITY,
    arguments: mode = 'redacted',
    stores = () => true,
    spans = 'all',
  } = options;
  const settings = { arguments: mode, recordsPerMinute, spans };
  const did: string[] = [];
  const stored: (readonly Item[])[] = [];
  const open: number[] = [];
  const pipeline: Pipeline = {
    settings,
    state: newState(rulesOf([], options.mode ?? 'all'), settings),
    host: () => host,
    clock: { wallMs: () => 1_795_443_600_000, steadyMs: () => 0 },
    effects: {
      sendSpan: () => did.push('span'),
      countTermination: (_, { cause }) => did.push(`count ${cause}`),
      store: async (items, aggregates) => {
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

function received(messages: readonly LoaderMessage[], acks: bigint[] = [], bootId = BOOT): Received {
  const hello = { boot_id: bootId } as Hello;
  return { messages, hello, connection: { ack: (seq) => acks.push(seq) } };
}

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

describe('a restart', () => {
  const restartOf = (death: Death): Restart => {
    const [decoded] = new Decoder().push(Buffer.from(golden('restart-of-exit-3')));
    if (!decoded?.ok || decoded.message.type !== 'restart') throw new Error('the golden line is not a restart');
    const { pid, start_boottime_ns } = death.process;
    return { ...decoded.message, dead: { pid, start_boottime_ns, time_ns: death.time_ns }, process: death.process };
  };

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
