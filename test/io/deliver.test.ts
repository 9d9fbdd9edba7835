// SPDX-License-Identifier: Apache-2.0
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BATCH_RECORDS_MAX, Delivery, PENDING_MAX } from '../../src/io/deliver.ts';
import { Log } from '../../src/io/log.ts';
import type { Outcome } from '../../src/io/otlp.ts';
import { newStats, type Stats } from '../../src/io/stats.ts';
import { until } from '../fake-loader.ts';

const OK: Outcome = { kind: 'success', refused: 0, reason: null };
const LATER: Outcome = { kind: 'retryable', reason: 'gRPC 14 unavailable' };
const NEVER: Outcome = { kind: 'permanent', reason: 'HTTP 400 bad' };

const record = (body: string): ReadableLogRecord => ({ body }) as unknown as ReadableLogRecord;

let stats: Stats;
let sent: string[][];
let acks: bigint[];
let lines: string[];
let stop: AbortController;
let delivery: Delivery;
const connection = { ack: (seq: bigint) => void acks.push(seq) };

beforeEach(() => {
  [sent, acks, lines] = [[], [], []];
  stats = newStats(0);
  stop = new AbortController();
});

afterEach(async () => {
  stop.abort();
  await delivery.close(0);
});

function start(answer: (bodies: string[], attempt: number) => Outcome | Promise<Outcome>): Delivery {
  delivery = new Delivery({
    send: async (records) => {
      const bodies = records.map(({ body }) => String(body));
      sent.push(bodies);
      return answer(bodies, sent.length);
    },
    onDelivered: () => {},
    stats,
    log: new Log((text) => lines.push(text)),
    signal: stop.signal,
    target: 'the collector',
    backoffFirstMs: 5,
  });
  return delivery;
}

const submit = (seq: number, body: string | null = `r${seq}`) =>
  delivery.submit({ record: body === null ? null : record(body), seq: BigInt(seq), connection });

describe('batches', () => {
  it('what comes within 50 ms goes in one request, and is acknowledged once', async () => {
    start(() => OK);
    for (const seq of [1, 2, 3]) void submit(seq);
    await until(() => acks.length > 0, 'the ack');
    expect([sent, acks, stats.reported, stats.pending]).toEqual([[['r1', 'r2', 'r3']], [3n], 3, 0]);
  });

  it('goes at once when it is full', async () => {
    start(() => OK);
    for (let seq = 1; seq <= BATCH_RECORDS_MAX + 1; seq += 1) void submit(seq);
    await until(() => stats.reported === BATCH_RECORDS_MAX + 1, 'all');
    expect(sent.map(({ length }) => length)).toEqual([BATCH_RECORDS_MAX, 1]);
  });

  it('screened deaths are acknowledged without a request', async () => {
    start(() => OK);
    void submit(1, null);
    void submit(2, null);
    await until(() => acks.includes(2n), 'the ack');
    expect([sent, stats.reported]).toEqual([[], 0]);
  });
});

describe('acknowledgements', () => {
  it('come only after the collector said yes', async () => {
    let yes: (outcome: Outcome) => void = () => {};
    start(
      () =>
        new Promise((resolve) => {
          yes = resolve;
        }),
    );
    void submit(1);
    await until(() => sent.length === 1, 'the request');
    void submit(2, null);
    await new Promise((resolve) => setTimeout(resolve, 80));
    expect(acks).toEqual([]);
    yes(OK);
    await until(() => acks.includes(2n), 'the acks');
    expect(acks).toEqual([1n, 2n]);
  });

  it('a screened death waits for the record before it', async () => {
    start((_, attempt) => (attempt < 3 ? LATER : OK));
    void submit(1);
    void submit(2, null);
    await until(() => acks.length > 0, 'the ack');
    expect([acks, sent.length]).toEqual([[2n], 3]);
  });

  it('each connection is told its own last', async () => {
    const other: bigint[] = [];
    start(() => OK);
    void submit(1);
    void delivery.submit({ record: record('x'), seq: 7n, connection: { ack: (seq) => void other.push(seq) } });
    await until(() => other.length > 0, 'both');
    expect([acks, other]).toEqual([[1n], [7n]]);
  });
});

describe('failures', () => {
  it('what may be tried again is tried until it is taken, and told in one line', async () => {
    start((_, attempt) => (attempt <= 6 ? LATER : OK));
    void submit(1);
    await until(() => acks.length > 0, 'the ack');
    expect([sent.length, stats.reported, stats.rejected]).toEqual([7, 1, 0]);
    expect(lines).toEqual([
      'whodunit: the collector does not take records (gRPC 14 unavailable); 1 wait, none is lost. Trying again.\n',
      'whodunit: the collector answers again\n',
    ]);
  });

  it('one bad record takes no other with it', async () => {
    start((bodies) => (bodies.includes('r2') ? NEVER : OK));
    for (const seq of [1, 2, 3]) void submit(seq);
    await until(() => acks.length > 0, 'the ack');
    expect(sent).toEqual([['r1', 'r2', 'r3'], ['r1'], ['r2'], ['r3']]);
    expect([acks, stats.reported, stats.rejected, stats.exports.logs.lastError]).toEqual([[3n], 2, 1, null]);
    expect(lines.join()).toContain('refused a record for good (HTTP 400 bad): r2');
  });

  it('a partial success is counted and not sent again', async () => {
    start(() => ({ kind: 'success', refused: 2, reason: 'too old' }));
    for (const seq of [1, 2, 3]) void submit(seq);
    await until(() => acks.length > 0, 'the ack');
    expect([sent.length, stats.reported, stats.rejected]).toEqual([1, 1, 2]);
    expect(lines.join()).toContain('refused 2 of 3 records (partial success): too old');
  });
});

describe('limits', () => {
  it('who waits for room is held back when so many are pending, and let go when there is room', async () => {
    let open = false;
    start(async () => (open ? OK : LATER));
    for (let seq = 1; seq < PENDING_MAX; seq += 1) await submit(seq);
    let room = false;
    void submit(PENDING_MAX).then(() => {
      room = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(room).toBe(false);
    open = true;
    await until(() => room, 'room');
  });

  it('who waits for room is let go when the intake ends', async () => {
    start(() => LATER);
    for (let seq = 1; seq < PENDING_MAX; seq += 1) await submit(seq);
    const waiting = submit(PENDING_MAX);
    stop.abort();
    await waiting;
  });
});

describe('the end', () => {
  it('delivers what is pending without waiting for a batch to fill', async () => {
    start(() => OK);
    void submit(1);
    expect(await delivery.close(1_000)).toEqual({ left: 0 });
    expect(acks).toEqual([1n]);
  });

  it('gives up in time on a collector that never answers, and acknowledges nothing', async () => {
    start(() => new Promise(() => {}));
    void submit(1);
    await until(() => sent.length === 1, 'the request');
    const start_ = performance.now();
    expect(await delivery.close(60)).toEqual({ left: 1 });
    expect(performance.now() - start_).toBeLessThan(500);
    expect(acks).toEqual([]);
  });

  it('gives up in time on a collector that always refuses', async () => {
    start(() => LATER);
    void submit(1);
    expect(await delivery.close(60)).toEqual({ left: 1 });
    expect(acks).toEqual([]);
  });
});
