// SPDX-License-Identifier: Apache-2.0
// From a real queue to a sender whose outcomes each test defines.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../../scripts/stack/fake-loader.ts';
import { grpcFailure, httpFailure, type Outcome, unreached } from '../../../src/core/delivery/outcome.ts';
import { Log } from '../../../src/io/log.ts';
import { BATCH_RECORDS_MAX, Delivery } from '../../../src/io/otlp/deliver.ts';
import type { Queue } from '../../../src/io/queue/queue.ts';
import { ROW_BYTES } from '../../../src/io/queue/tables.ts';
import { kept } from '../../support/history.ts';
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
  sent: true,
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

  it('honours a wait that release 0.1.0 stored with the credentials of the endpoint', async () => {
    queue.postpone({ target: 'the collector at http://me:secret@collector', untilMs: Date.now() + 60_000 });
    put(1);
    start(() => OK, 'http://me:secret@collector');
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(sent).toEqual([]);
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

  it('sends others past a record that the server fails on alone (HTTP 500), and keeps it as long as it is the only one', async () => {
    put(1, 2);
    start((bodies) => (bodies.includes('r1') ? AMBIGUOUS : OK));
    await until(() => sent.length > 12, 'many attempts');
    expect(state.totals).toMatchObject({ reported: 1, rejected: 0, pending: 1 });
    expect(delivery?.snapshot()).toMatchObject({
      lastFailure: null,
      suspects: [{ record: Buffer.from('r1'), passed: 1, failure: { status: { kind: 'http', code: 500 } } }],
    });
    expect(delivery?.snapshot().suspects[0]?.attempts).toBeGreaterThan(8);
    expect(lines.join()).toContain('accepts other records, but not 1 of them (HTTP 500): they wait on disk');
  });

  it('rejects it once the server accepted others between its rounds, and never before', async () => {
    put(1, 2);
    start((bodies) => (bodies.includes('r1') ? AMBIGUOUS : OK));
    for (let number = 3; state.totals.rejected === 0; number += 1) {
      put(number);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    expect(state.totals.rejected).toBe(1);
    const alone = sent.filter((bodies) => bodies.join() === 'r1').length;
    expect(alone).toBeGreaterThanOrEqual(2 + 3 + 4 + 5);
    const [last] = queue.lastRejections(1);
    expect(last?.reason).toMatch(/^HTTP 500, \d+ times alone, while it accepted other records$/);
    expect(Buffer.from(last?.record ?? '').toString()).toBe('r1');
    expect(lines.join()).toContain('rejected a record permanently (HTTP 500, ');
  });

  it('loses no record however long the server fails on all (HTTP 500), and sends all once it works', async () => {
    put(...range(40));
    let works = false;
    start(() => (works ? OK : AMBIGUOUS));
    await until(() => (delivery?.snapshot().suspects.length ?? 0) >= 2, 'records that were refused alone');
    expect(state.totals).toMatchObject({ reported: 0, rejected: 0, pending: 40 });
    expect(lines).toEqual([
      'whodunit: the collector at http://collector does not accept records (HTTP 500); 40 records wait on disk, none is lost. Trying again.\n',
    ]);
    works = true;
    await done(40);
    expect(delivery?.snapshot()).toMatchObject({ suspects: [], lastFailure: null });
    expect(state.totals.rejected).toBe(0);
  });

  it('keeps what is refused alone for the next start', async () => {
    put(1, 2, 3);
    start((bodies) => (bodies.includes('r2') ? AMBIGUOUS : OK));
    await until(() => state.totals.reported === 2, 'the others');
    expect(await delivery?.close(1_000)).toEqual({ left: 1 });
    queue.close();
    queue = state.open();
    start(() => OK);
    await done(3);
    expect(sent.at(-1)).toEqual(['r2']);
  });

  it('says how many records were lost, if some were', async () => {
    queue.close();
    queue = state.open({ bytesMax: 3 * (2 + ROW_BYTES) });
    let answer: (outcome: Outcome) => void = () => {};
    start(() => new Promise((resolve) => (answer = resolve)));
    put(1);
    await until(() => sent.length > 0, 'a request');
    put(2, 3, 4, 5, 6);
    answer(AMBIGUOUS);
    await until(() => lines.length > 0, 'a log line');
    expect(lines.join()).toContain('3 records wait on disk; 3 were lost since the start of the service');
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

describe('records that are not to be sent', () => {
  const records = range(4).map((number) => ({ ...kept({ pid: number }), endedMs: number }));
  const wanted = (...numbers: number[]) => new Map(numbers.map((id) => [id, records[id - 1]?.uid ?? '']));
  const uidsSent = () => sent.flat().map((body) => JSON.parse(body).attributes['log.record.uid']);

  it('leave the queue, whether they were taken or not, and are counted', async () => {
    queue.put(records);
    queue.take(1, Number.POSITIVE_INFINITY);
    expect(queue.purge(wanted(1, 3, 9)).map(({ id }) => id)).toEqual([1, 3]);
    expect(queue.purge(wanted(1, 3))).toEqual([]);
    expect(state.totals).toMatchObject({ received: 4, purged: 2, pending: 2 });
    expect(accounted(state.totals)).toBe(4);
    queue.close();
    queue = state.open();
    start(() => OK);
    await done(2);
    expect(uidsSent()).toEqual([records[1]?.uid, records[3]?.uid]);
    expect(state.totals).toMatchObject({ purged: 2, bytes: 0 });
  });

  it('stay if the uid is another one: the queue may have been replaced', () => {
    queue.put(records);
    expect(queue.purge(new Map([[1, records[1]?.uid ?? '']]))).toEqual([]);
    expect(state.totals.pending).toBe(4);
  });

  it('are not sent again after a request with them failed; while it is on its way, they wait', async () => {
    let answer: (outcome: Outcome) => void = () => {};
    queue.put(records);
    start((_, attempt) => (attempt > 1 ? OK : new Promise((resolve) => (answer = resolve))));
    await until(() => sent.length === 1, 'the request');
    expect(delivery?.purge(wanted(1, 2))).toBeNull();
    answer(retryAfter(50));
    await until(() => delivery?.purge(wanted(1, 2)) === 2, 'the end of the request');
    await done(2);
    expect(uidsSent().slice(4)).toEqual([records[2]?.uid, records[3]?.uid]);
    expect(state.totals).toMatchObject({ reported: 2, purged: 2, pending: 0, bytes: 0 });
  });
});
