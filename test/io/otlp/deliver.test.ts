// SPDX-License-Identifier: Apache-2.0
// From a real queue to a sender whose outcomes each test defines.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../../scripts/stack/fake-loader.ts';
import { grpcFailure, httpFailure, type Outcome, unreached } from '../../../src/core/delivery/outcome.ts';
import { Log } from '../../../src/io/log.ts';
import { BATCH_RECORDS_MAX, Delivery } from '../../../src/io/otlp/deliver.ts';
import type { Queue } from '../../../src/io/queue/queue.ts';
import { accounted, item, StateDirectory } from '../../support/state.ts';

const OK: Outcome = { kind: 'success', partial: null };
const answered = (status: number, text: string): Outcome => httpFailure({ status, retryAfter: undefined, text }, 0);
const RETRYABLE = answered(503, '');
const AMBIGUOUS = answered(500, '');
const REJECTED = answered(400, 'bad');
const MISCONFIGURED = grpcFailure({ code: 12, message: 'unknown service', details: undefined });
const retryAfter = (afterMs: number): Outcome => ({
  kind: 'retryable',
  status: { kind: 'http', code: 503 },
  message: '',
  reached: true,
  afterMs,
});

let state: StateDirectory;
let queue: Queue;
let sent: string[][];
let lines: string[];
let delivered: number[];
let delivery: Delivery | null;

beforeEach(() => {
  [sent, lines, delivered, delivery] = [[], [], [], null];
  state = new StateDirectory();
  queue = state.open();
});

afterEach(async () => {
  await delivery?.close(0);
  queue.close();
  state.remove();
});

type Answer = (bodies: string[], attempt: number) => Outcome | Promise<Outcome>;

function start(answer: Answer, endpoint = 'http://collector'): Delivery {
  delivery = new Delivery({
    queue,
    send: async (records) => {
      const bodies = records.map((record) => Buffer.from(record).toString());
      sent.push(bodies);
      return answer(bodies, sent.length);
    },
    onDelivered: (endedMs) => delivered.push(endedMs),
    log: new Log((text) => lines.push(text)),
    target: { protocol: 'grpc', endpoint },
    backoffFirstMs: 5,
  });
  return delivery;
}

function put(...numbers: number[]): void {
  queue.put(numbers.map((number) => item(number)));
  delivery?.wake();
}

/** Resolves after due timers and settled promises. */
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1);
const done = (count: number) =>
  until(() => state.totals.reported === count && state.totals.pending === 0, `${count} reported`);

describe('batches', () => {
  it('send a record at once if no request is in flight', async () => {
    start(() => OK);
    await nextTurn();
    put(1);
    await nextTurn();
    expect(sent).toEqual([['r1']]);
    await done(1);
    expect(delivered).toEqual([1]);
  });

  it('contain all records that arrived during the previous request', async () => {
    let accept: (outcome: Outcome) => void = () => {};
    start((_, attempt) => (attempt > 1 ? OK : new Promise((resolve) => (accept = resolve))));
    put(1);
    await until(() => sent.length === 1, 'the request');
    put(2);
    put(3);
    expect(state.totals.reported).toBe(0);
    accept(OK);
    await done(3);
    expect(sent).toEqual([['r1'], ['r2', 'r3']]);
  });

  it('are in order, with no more records than the limit', async () => {
    put(...range(BATCH_RECORDS_MAX + 1));
    start(() => OK);
    await done(BATCH_RECORDS_MAX + 1);
    expect(sent.map(({ length }) => length)).toEqual([BATCH_RECORDS_MAX, 1]);
    expect(sent.flat()).toEqual(range(BATCH_RECORDS_MAX + 1).map((number) => `r${number}`));
  });

  // Retried, because a busy machine may need 50 ms for three writes.
  it('grow in a storm, for 50 ms at most', { retry: 9 }, async () => {
    start(() => OK);
    put(...range(40));
    await done(40);
    for (const number of [41, 42, 43]) {
      put(number);
      await nextTurn();
    }
    await done(43);
    expect(sent.slice(1)).toEqual([['r41', 'r42', 'r43']]);
  });
});

describe('after a failure', () => {
  it('retries until the collector accepts, and logs once', async () => {
    start((_, attempt) => (attempt <= 6 ? RETRYABLE : OK));
    put(1);
    await done(1);
    expect([sent.length, state.totals.rejected]).toEqual([7, 0]);
    expect(lines).toEqual([
      'whodunit: the collector at http://collector does not accept records (HTTP 503); 1 records wait on disk, none is lost. Trying again.\n',
      'whodunit: the collector at http://collector accepts records again\n',
    ]);
  });

  it('waits at least as long as Retry-After', async () => {
    let first = 0;
    let second = 0;
    start((_, attempt) => {
      if (attempt === 1) first = performance.now();
      else second = performance.now();
      return attempt === 1 ? retryAfter(150) : OK;
    });
    put(1);
    await done(1);
    expect(second - first).toBeGreaterThanOrEqual(148);
  });

  it('waits as long as Retry-After also after a restart, for the same target', async () => {
    start(() => retryAfter(60_000));
    put(1);
    await until(() => queue.retry !== null, 'the stored wait');
    await delivery?.close(1_000);
    queue.close();
    queue = state.open();
    sent = [];
    start(() => OK);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect([sent, queue.retry?.target]).toEqual([[], 'the collector at http://collector']);
    await delivery?.close(1_000);
    start(() => OK, 'http://another');
    await done(1);
  });

  it('finds a bad record by halving the batch, and loses no other record', async () => {
    put(...range(64));
    start((bodies) => (bodies.includes('r20') ? REJECTED : OK));
    await until(() => state.totals.pending === 0, 'all settled');
    expect([state.totals.reported, state.totals.rejected, delivery?.snapshot()]).toEqual([
      63,
      1,
      expect.objectContaining({ lastFailure: null, rejected: 1 }),
    ]);
    expect(sent.length).toBe(1 + 2 * 6);
    const [last] = queue.lastRejections(5);
    expect([last?.reason, Buffer.from(last?.record ?? '').toString()]).toEqual(['HTTP 400 bad', 'r20']);
    expect(lines.join()).toContain('rejected a record permanently (HTTP 400 bad)');
    expect(accounted(state.totals)).toBe(state.totals.received);
  });

  it('counts a partial success, and does not retry it', async () => {
    put(1, 2, 3);
    start(() => ({ kind: 'success', partial: { rejected: 2, message: 'too old' } }));
    await until(() => state.totals.pending === 0, 'settled');
    expect([sent.length, state.totals.reported, state.totals.rejected, delivery?.snapshot().rejected]).toEqual([
      1, 1, 2, 2,
    ]);
    expect(queue.lastRejections(1)).toMatchObject([{ count: 2, reason: 'partial success: too old', record: null }]);
    expect(lines.join()).toContain('rejected 2 of 3 records (partial success): too old');
  });

  it('rejects a record after several retries if the server keeps failing on it (HTTP 500)', async () => {
    put(1, 2);
    start((bodies) => (bodies.includes('r1') ? AMBIGUOUS : OK));
    await until(() => state.totals.pending === 0, 'settled');
    expect([state.totals.reported, state.totals.rejected]).toEqual([1, 1]);
    expect(sent.length).toBe(6 + 2 + 1);
  });

  it('retries a misconfigured target about twice a minute, logs once, and loses no record', async () => {
    put(1);
    start(() => MISCONFIGURED);
    await until(() => lines.length > 0, 'a log line');
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([sent.length, state.totals.pending]).toEqual([1, 1]);
    expect(delivery?.snapshot()).toMatchObject({
      lastFailure: { kind: 'misconfigured', status: { kind: 'grpc', code: 12 }, message: 'unknown service' },
    });
    expect(delivery?.snapshot().nextAttemptMs).toBeGreaterThan(Date.now() + 10_000);
    expect(lines.join()).toContain('does not accept our logs (gRPC 12 unknown service): check endpoint');
  });
});

describe('shutting down', () => {
  it('delivers queued records', async () => {
    put(1, 2);
    expect(await start(() => OK).close(1_000)).toEqual({ left: 0 });
    expect(sent).toEqual([['r1', 'r2']]);
  });

  it('stops in time if the collector never answers; the record stays for the next start', async () => {
    start(() => new Promise(() => {}));
    put(1);
    await until(() => sent.length === 1, 'the request');
    expect(await delivery?.close(60)).toEqual({ left: 1 });
    queue.close();
    queue = state.open();
    expect(queue.waiting).toBe(1);
  });

  it('makes one last attempt if the collector is down, and does not wait', async () => {
    start(() => unreached('ECONNREFUSED', 'refused'));
    put(1);
    await until(() => sent.length >= 1, 'the request');
    const before = performance.now();
    expect(await delivery?.close(60_000)).toEqual({ left: 1 });
    expect(performance.now() - before).toBeLessThan(60_000);
  });
});
