// SPDX-License-Identifier: Apache-2.0
// The disk queue on real files. The counters must add up: received = reported + filtered + aggregated + lost + pending.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoredAggregate } from '../../../src/core/filter/aggregate.ts';
import type { StoredRepeat } from '../../../src/core/filter/repeats.ts';
import { type Queue, UIDS_MAX, WINDOW_BYTES_MAX } from '../../../src/io/queue/queue.ts';
import { REJECTED_MAX, ROW_BYTES } from '../../../src/io/queue/tables.ts';
import { accounted, item, StateDirectory, uidOf } from '../../support/state.ts';

let state: StateDirectory;
let queue: Queue | null;

beforeEach(() => {
  state = new StateDirectory();
  queue = null;
});

afterEach(() => {
  queue?.close();
  state.remove();
});

const open = (options = {}): Queue => {
  queue = state.open(options);
  return queue;
};
const reopen = (options = {}): Queue => {
  queue?.close();
  return open(options);
};
const bodies = (rows: readonly { record: Uint8Array }[]): string[] =>
  rows.map(({ record }) => Buffer.from(record).toString());
/** Takes and settles all pending records. */
function drain(from: Queue): string[] {
  const all: string[] = [];
  for (let rows = from.take(512, 1 << 20); rows.length > 0; rows = from.take(512, 1 << 20)) {
    all.push(...bodies(rows));
    from.settle([]);
  }
  return all;
}
const file = (): string => join(state.path, 'queue.db');
const minuteOf = (key: string): StoredAggregate => ({
  startNs: '1',
  firstNs: '2',
  lastNs: '3',
  key,
  count: 1,
  byCause: [['exit', 1]],
  severity: { number: 17, text: 'ERROR' },
  resource: { 'service.name': key },
});
const repeatOf = (key: string): StoredRepeat => ({
  key,
  origin: '1000/1',
  bootId: 'boot',
  id: '7',
  total: '5',
  meaning: {
    as: 'aggregated',
    key: 'checkout',
    origin: '1000 ',
    executable: null,
    cause: 'exit',
    errorType: '3',
    sender: null,
    severity: { number: 17, text: 'ERROR' },
    resource: {},
    metric: true,
  },
});

describe('an item', () => {
  it('is still counted after the queue is closed, for the last metrics', () => {
    open().put([item(1), item(2)]);
    const closed = reopen();
    closed.close();
    expect(closed.snapshot()).toMatchObject({ oldestMs: null, error: null });
    expect(closed.totals).toMatchObject({ pending: 2 });
    expect(closed.lastRejections(5)).toEqual([]);
  });

  it('is taken once, in order, also after a restart', () => {
    open().put([item(1), item(2, null), item(3)]);
    queue?.put([item(4)]);
    expect(bodies(queue?.take(2, 1000) ?? [])).toEqual(['r1', 'r3']);
    queue?.settle([]);
    expect(state.totals).toMatchObject({ received: 4, filtered: 1, reported: 2, pending: 1 });
    expect(drain(reopen())).toEqual(['r4']);
    expect(state.totals).toMatchObject({ received: 4, filtered: 1, reported: 3, pending: 0, bytes: 0 });
    expect(drain(reopen())).toEqual([]);
  });

  it('is kept in a file that version 0.1.0 reads and writes: its names of the counters', () => {
    const aggregated = { ...item(2, null), kind: 'aggregated' } as const;
    open().put([item(1), aggregated, item(3, null), item(4, null)]);
    queue?.close();
    const db = new DatabaseSync(file());
    const { json } = db.prepare('SELECT json FROM totals').get() as { json: string };
    expect(JSON.parse(json)).toMatchObject({ received: 4, screened: 2, folded: 1, queued: 1 });
    expect(json).not.toMatch(/filtered|aggregated|pending/);
    const later = JSON.stringify({ ...JSON.parse(json), received: 5, screened: 3 });
    db.prepare('UPDATE totals SET json = ?, crc = ?').run(later, crc32(later));
    db.close();
    reopen();
    expect(state.totals).toMatchObject({ received: 5, filtered: 3, aggregated: 1, pending: 1 });
  });

  it('that is aggregated survives a restart, until its summary is put', () => {
    const aggregated = { ...item(2, null), kind: 'aggregated' } as const;
    const minute = minuteOf('checkout');
    open().put([item(1), aggregated], { open: [minute], incidents: [], loops: [], repeats: [], requests: [] });
    queue?.put([item(3)]);
    expect(reopen().open).toEqual({ open: [minute], incidents: [], loops: [], repeats: [], requests: [] });
    queue?.put([{ ...item(4), kind: 'summary' }], { open: [], incidents: [], loops: [], repeats: [], requests: [] });
    expect(reopen().open).toEqual({ open: [], incidents: [], loops: [], repeats: [], requests: [] });
    expect(drain(queue as Queue)).toEqual(['r1', 'r3', 'r4']);
    expect(state.totals).toMatchObject({ received: 3, aggregated: 1, summaries: 1, reported: 3 });
    expect(accounted(state.totals)).toBe(state.totals.received);
  });

  it('a request is written without an item, because it is acknowledged, too', () => {
    const requests = [{ bootId: 'one', known: { ask: {} } }];
    open().put([], { open: [], incidents: [], loops: [], repeats: [], requests });
    expect(reopen().open.requests).toEqual(requests);
    const [known] = queue?.open.requests ?? [];
    queue?.put([], {
      open: [minuteOf('checkout')],
      incidents: [],
      loops: [],
      repeats: [],
      requests: known === undefined ? [] : [known],
    });
    expect(reopen().open.open).toEqual([]);
  });

  it('that changes no open minute writes none of them again', () => {
    const minutes = Array.from({ length: 1_000 }, (_, index) => minuteOf(`service ${index}`));
    const repeats = Array.from({ length: 1_000 }, (_, index) => repeatOf(`key ${index}`));
    const written = (): number => statSync(`${file()}-wal`).size;
    open().put([item(1)], { open: minutes, incidents: [], loops: [], repeats, requests: [] });
    const before = written();
    const [, ...rest] = minutes;
    const changed = { ...minuteOf('service 0'), count: 2 };
    queue?.put([item(2)], { open: minutes, incidents: [], loops: [], repeats, requests: [] });
    queue?.put([item(3)], {
      open: [changed, ...rest],
      incidents: [],
      loops: [],
      repeats: repeats.slice(1),
      requests: [],
    });
    expect(written() - before).toBeLessThan(100_000);
    const stored = reopen().open;
    expect(new Set(stored.open.map(({ key, count }) => `${key} ${count}`)).size).toBe(1_000);
    expect(stored.open).toEqual(expect.arrayContaining([changed, ...rest.slice(0, 9)]));
    expect(stored.repeats).toEqual(repeats.slice(1));
  });

  it('that is aggregated and was stored by version 0.1.0 is kept until its summary is put', () => {
    open().put([item(1)]);
    queue?.close();
    const db = new DatabaseSync(file());
    const { json } = db.prepare('SELECT json FROM totals').get() as { json: string };
    const older = JSON.stringify({ ...JSON.parse(json), open: [minuteOf('checkout')] });
    db.prepare('UPDATE totals SET json = ?, crc = ?').run(older, crc32(older));
    db.exec('DROP TABLE open');
    db.close();
    expect(open().open.open).toEqual([minuteOf('checkout')]);
    drain(queue as Queue);
    expect(reopen().open.open).toEqual([minuteOf('checkout')]);
    queue?.put([{ ...item(2), kind: 'summary' }], { open: [], incidents: [], loops: [], repeats: [], requests: [] });
    expect(reopen().open.open).toEqual([]);
  });

  it('has open minutes and keys beside it: a damaged row of them is dropped, alone', () => {
    open().put([item(1)], {
      open: [minuteOf('checkout'), minuteOf('cart')],
      incidents: [],
      loops: [],
      repeats: [repeatOf('one')],
      requests: [],
    });
    queue?.close();
    const db = new DatabaseSync(file());
    db.exec("UPDATE open SET json = replace(json, 'cart', 'tart')");
    db.close();
    expect(open().open).toEqual({
      open: [minuteOf('checkout')],
      incidents: [],
      loops: [],
      repeats: [repeatOf('one')],
      requests: [],
    });
    queue?.put([item(2)], { open: [], incidents: [], loops: [], repeats: [], requests: [] });
    expect(reopen().open).toEqual({ open: [], incidents: [], loops: [], repeats: [], requests: [] });
  });

  it('is recognised by its uid after a restart, even if it was delivered or filtered', () => {
    open().put([item(1), item(2, null)]);
    drain(queue as Queue);
    expect(reopen().uids()).toEqual([uidOf(1), uidOf(2)]);
  });

  it('is not recognised if UIDS_MAX newer items were put', () => {
    open();
    for (let at = 0; at < UIDS_MAX + 2_000; at += 1_000)
      queue?.put(Array.from({ length: 1_000 }, (_, index) => item(at + index, null)));
    const uids = reopen().uids();
    expect(uids).toHaveLength(UIDS_MAX);
    expect(uids.at(-1)).toBe(uidOf(Math.ceil((UIDS_MAX + 2_000) / 1_000) * 1_000 - 1));
  });

  it('beyond the window is only on disk, and is taken in order', () => {
    const long = 'x'.repeat(100_000);
    const count = Math.ceil((2.5 * WINDOW_BYTES_MAX) / long.length);
    open();
    for (let number = 0; number < count; number += 1) queue?.put([item(number, `${number} ${long}`)]);
    const first = queue?.take(3, 1 << 30) ?? [];
    queue?.put([item(count, `${count} ${long}`)]);
    queue?.settle([]);
    const all = [...bodies(first), ...drain(queue as Queue)].map((body) => Number.parseInt(body, 10));
    expect(all).toEqual(Array.from({ length: count + 1 }, (_, number) => number));
  });

  it('that is not settled stays, also after later ones are settled and after a restart', () => {
    open().put([1, 2, 3, 4, 5].map((number) => item(number)));
    const [first, second, third] = queue?.take(3, 1000) ?? [];
    if (first === undefined || second === undefined || third === undefined) throw new Error('three were put');
    queue?.settle([], [third, first]);
    expect([bodies(queue?.take(1, 1000) ?? []), queue?.waiting]).toEqual([['r4'], 1]);
    expect(state.totals).toMatchObject({ reported: 2, pending: 3 });
    expect(queue?.snapshot().oldestMs).toBe(2);
    expect(drain(reopen())).toEqual(['r2', 'r4', 'r5']);
    expect(state.totals).toMatchObject({ reported: 5, pending: 0, bytes: 0 });
  });

  it('that is not settled stays, whichever of the others are settled first', () => {
    open().put(Array.from({ length: 6 }, (_, index) => item(index + 1)));
    const rows = queue?.take(6, 1000) ?? [];
    for (const at of [0, 1, 3, 5]) queue?.settle([], rows.slice(at, at + 1));
    expect(drain(reopen())).toEqual(['r3', 'r5']);
  });

  it('remembers what the metrics exported of the kernel, also after a restart', () => {
    const counts = { boot: 'b', normalExits: 7, kernel: 1, loader: 0 };
    expect(open().totals.exported).toBeNull();
    queue?.rememberExported(counts);
    expect(reopen().totals.exported).toEqual(counts);
  });

  it('is taken in batches that keep to the byte limit, but have at least one record', () => {
    open().put([item(1, 'a'.repeat(60)), item(2, 'b'.repeat(60)), item(3, 'c'.repeat(500))]);
    const lengths = () => queue?.take(512, 120).map(({ record }) => record.length);
    expect([lengths(), lengths()]).toEqual([[60, 60], [500]]);
  });
});

describe('rejected records', () => {
  it('are kept with the reason, newest first, up to the limit; all are counted', () => {
    open();
    for (let number = 0; number < REJECTED_MAX + 10; number += 1) {
      queue?.put([item(number)]);
      const [row] = queue?.take(1, 1000) ?? [];
      queue?.settle([{ count: 1, reason: `no ${number}`, record: row?.record ?? null }]);
    }
    expect(state.totals).toMatchObject({ reported: 0, rejected: REJECTED_MAX + 10, pending: 0 });
    const last = reopen().lastRejections(REJECTED_MAX * 2);
    expect(last).toHaveLength(REJECTED_MAX);
    expect([last[0]?.reason, Buffer.from(last[0]?.record ?? '').toString()]).toEqual(['no 1009', 'r1009']);
    expect(state.totals.rejected).toBe(REJECTED_MAX + 10);
  });
});

describe('the byte limit', () => {
  it('drops the oldest records, but never those in flight, and counts them', () => {
    const cost = 100 + ROW_BYTES;
    const body = (number: number) => `${number}`.padEnd(100);
    open({ bytesMax: 10 * cost });
    for (let number = 0; number < 10; number += 1) queue?.put([item(number, body(number))]);
    expect(bodies(queue?.take(2, 1000) ?? []).map(Number)).toEqual([0, 1]);
    for (let number = 10; number < 14; number += 1) queue?.put([item(number, body(number))]);
    expect(state.totals).toMatchObject({ received: 14, evicted: 4, pending: 10, bytes: 10 * cost });
    queue?.settle([]);
    expect(drain(reopen()).map(Number)).toEqual([6, 7, 8, 9, 10, 11, 12, 13]);
    expect(accounted(state.totals)).toBe(14);
    expect(state.lines.join()).toContain('or raise WHODUNIT_QUEUE_BYTES');
  });
});

describe('a full queue', () => {
  const cost = 1_000 + ROW_BYTES;
  const body = (number: number) => `${number}`.padEnd(1_000);
  const MALLORY = '54321 /user.slice/user-54321.slice';
  const ALICE = '54322 /user.slice/user-54322.slice';

  it('drops the oldest records of the origin that holds most, and none of the others', () => {
    open({ bytesMax: 50 * cost });
    queue?.put([item(0, body(0), ALICE), item(1, body(1), ALICE)]);
    for (let number = 2; number < 402; number += 10)
      queue?.put(Array.from({ length: 10 }, (_, at) => item(number + at, body(number + at), MALLORY)));
    queue?.put([item(402, body(402), ALICE)]);
    expect(drain(queue as Queue).map(Number)).toEqual([0, 1, ...Array.from({ length: 47 }, (_, at) => 355 + at), 402]);
    expect(state.totals).toMatchObject({ received: 403, evicted: 353, pending: 0, bytes: 0 });
    expect(accounted(state.totals)).toBe(403);
    expect([...(queue?.displaced ?? [])]).toEqual([[MALLORY, 353]]);
  });

  it('knows what each origin holds after a restart, and after records were delivered', () => {
    open({ bytesMax: 10 * cost }).put(Array.from({ length: 6 }, (_, number) => item(number, body(number), MALLORY)));
    queue?.put(Array.from({ length: 4 }, (_, number) => item(6 + number, body(6 + number), ALICE)));
    reopen({ bytesMax: 10 * cost }).put([item(10, body(10), ALICE)]);
    expect([...(queue?.displaced ?? [])]).toEqual([[MALLORY, 1]]);
    const rows = queue?.take(3, 1 << 20) ?? [];
    queue?.settle([], rows); // 1, 2, 3: mallory holds 2, alice 5
    for (const number of [11, 12, 13, 14]) queue?.put([item(number, body(number), 'bob')]);
    expect([...(queue?.displaced ?? [])]).toEqual([
      [MALLORY, 1],
      [ALICE, 1],
    ]);
    expect(drain(reopen()).map(Number)).toEqual([4, 5, 7, 8, 9, 10, 11, 12, 13, 14]);
  });

  it('drops records of another origin only if those of the largest are in flight', () => {
    open({ bytesMax: 4 * cost });
    for (const number of [0, 1, 2]) queue?.put([item(number, body(number), MALLORY)]);
    queue?.take(3, 1 << 20);
    queue?.put([item(3, body(3), ALICE), item(4, body(4), ALICE)]);
    queue?.settle([]);
    expect(drain(queue as Queue).map(Number)).toEqual([4]);
    expect([...(queue?.displaced ?? [])]).toEqual([[ALICE, 1]]);
  });

  it('keeps its limit and its counters for any origins, with takes and restarts in between', () => {
    const step = fc.record({ origin: fc.constantFrom('a', 'b', 'c'), bytes: fc.nat(2_000), act: fc.nat(9) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        state.remove();
        mkdirSync(state.path);
        const bytesMax = 10_000;
        open({ bytesMax });
        for (const [number, { origin, bytes, act }] of steps.entries()) {
          queue?.put([item(number, ''.padEnd(bytes), origin)]);
          if (act === 0) reopen({ bytesMax });
          if (act === 1) queue?.take(2, 1 << 20);
          if (act === 2) queue?.settle([]);
          expect(queue?.waiting === 0 || Number(queue?.totals.bytes) <= bytesMax).toBe(true);
        }
        expect(accounted(state.totals)).toBe(steps.length);
        const { pending } = state.totals;
        expect(drain(reopen({ bytesMax }))).toHaveLength(pending);
        expect(state.totals).toMatchObject({ pending: 0, bytes: 0 });
        queue?.close();
        queue = null;
      }),
      { numRuns: 20 },
    );
  });
});

describe('a file of version 0.1.0', () => {
  /** Creates it as that version does, with these records. */
  const write = (records: number): void => {
    const db = new DatabaseSync(file());
    db.exec(`PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;
      CREATE TABLE records (id INTEGER PRIMARY KEY, ended_ms REAL NOT NULL, crc INTEGER NOT NULL, record BLOB NOT NULL) STRICT;
      CREATE TABLE commits (id INTEGER PRIMARY KEY, uids BLOB NOT NULL) STRICT;
      CREATE TABLE rejected (id INTEGER PRIMARY KEY, time_ms REAL NOT NULL, count INTEGER NOT NULL, reason TEXT NOT NULL, record BLOB) STRICT;
      CREATE TABLE totals (one INTEGER PRIMARY KEY CHECK (one = 1), json TEXT NOT NULL, crc INTEGER NOT NULL) STRICT;
      PRAGMA user_version = 1;`);
    const insert = db.prepare('INSERT INTO records (id, ended_ms, crc, record) VALUES (?, ?, ?, ?)');
    let bytes = 0;
    for (let id = 1; id <= records; id += 1) {
      const record = Buffer.from(`r${id}`.padEnd(2_000));
      insert.run(id, id, crc32(record, crc32(String(id))), record);
      bytes += record.length + ROW_BYTES;
    }
    const json = JSON.stringify({ received: records, queued: records, bytes, lastId: records });
    db.prepare('INSERT INTO totals (one, json, crc) VALUES (1, ?, ?)').run(json, crc32(json));
    db.close();
  };
  const numbers = (from: Queue): number[] => drain(from).map((text) => Number(text.slice(1)));

  it('is read on; its records count to no origin', () => {
    write(20);
    open({ bytesMax: 20 * 2_064 }).put([item(21, 'r21'.padEnd(2_000), 'alice')]);
    expect(numbers(queue as Queue)).toEqual([...Array.from({ length: 19 }, (_, at) => at + 2), 21]);
    expect(state.totals).toMatchObject({ received: 21, evicted: 1, damaged: 0, bytes: 0 });
  });

  it('is written by that version again, with what was added', () => {
    write(1);
    open().put([item(2, 'r2', 'alice')]);
    queue?.close();
    const db = new DatabaseSync(file());
    const record = Buffer.from('r3');
    db.prepare('INSERT INTO records (id, ended_ms, crc, record) VALUES (?, ?, ?, ?)').run(
      3,
      3,
      crc32(record, crc32('3')),
      record,
    );
    expect(db.prepare('PRAGMA user_version').get()).toEqual({ user_version: 1 });
    db.close();
    expect(numbers(open())).toEqual([1, 2, 3]);
  });

  it.each([
    ['is damaged before it is opened', (bytes: Buffer) => bytes.fill(0xa5, 30 * 8_192, 31 * 8_192)],
    ['has lost its first page', (bytes: Buffer) => bytes.fill(0, 0, 8_192)],
  ])('that %s yields its readable records', (_, damage) => {
    write(400);
    const bytes = readFileSync(file());
    damage(bytes);
    writeFileSync(file(), bytes);
    const saved = numbers(open());
    expect(saved.length).toBeGreaterThan(380);
    expect(saved.length + state.totals.damaged).toBe(400);
    expect(state.lines.join()).toContain('was damaged');
  });
});

describe('the state directory', () => {
  it('is closed to other users, and its files to the group as well', () => {
    const directory = join(state.path, 'a', 'b');
    open({ directory }).put([item(1)]);
    expect(statSync(directory).mode & 0o777).toBe(0o750);
    for (const name of readdirSync(directory)) expect(statSync(join(directory, name)).mode & 0o777).toBe(0o600);
  });

  it('takes read permission from other users if a file has it', () => {
    open();
    queue?.close();
    chmodSync(file(), 0o644);
    open();
    expect(statSync(file()).mode & 0o777).toBe(0o600);
  });

  it('is used by one service: a second one is rejected', () => {
    open();
    expect(() => state.open()).toThrow(expect.objectContaining({ code: 'STATE_DIR_TAKEN' }));
  });

  it('that cannot be created is named, with the remedy', () => {
    writeFileSync(join(state.path, 'file'), '');
    expect(() => state.open({ directory: join(state.path, 'file', 'x') })).toThrow(
      expect.objectContaining({
        code: 'STATE_DIR_UNUSABLE',
        message: expect.stringMatching(/ENOTDIR.*WHODUNIT_STATE_DIR/),
      }),
    );
  });

  it('that is removed while the service runs is made again, with everything that waits', () => {
    const before = open();
    before.put([item(1), item(2)]);
    for (const number of [3, 4]) {
      rmSync(state.path, { recursive: true });
      before.put([item(number)]);
    }
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(state.lines).toEqual([expect.stringContaining('was removed'), expect.stringContaining('was removed')]);
    const after = reopen();
    expect([after.totals.received, accounted(after.totals)]).toEqual([4, 4]);
    expect(drain(after)).toEqual(['r1', 'r2', 'r3', 'r4']);
  });

  it('with a queue file of a later version is rejected', async () => {
    open();
    queue?.close();
    queue = null;
    const { DatabaseSync } = await import('node:sqlite');
    const db = new DatabaseSync(file());
    db.exec('PRAGMA user_version = 99');
    db.close();
    expect(() => state.open()).toThrow(expect.objectContaining({ code: 'QUEUE_VERSION' }));
  });
});

// A small tmpfs, which is really full. Mounting it needs root; CI runs as root.
describe.runIf(process.getuid?.() === 0)('a full disk', () => {
  let mount: string;

  beforeEach(() => {
    mount = join(state.path, 'mount');
    mkdirSync(mount);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'whodunit-test', mount]);
  });

  afterEach(() => {
    queue?.close();
    queue = null;
    execFileSync('umount', [mount]);
  });

  const body = (number: number): string => `${number}`.padEnd(50_000);
  /** Puts until the disk is full; returns the number that did not fit. */
  function fill(): number {
    for (let number = 0; ; number += 1) {
      try {
        queue?.put([item(number, body(number))]);
      } catch (error) {
        expect(error).toMatchObject({ code: 'DISK_FULL' });
        return number;
      }
    }
  }

  it('accepts no part of a transaction, is logged once with the remedy, and recovers when there is space', () => {
    writeFileSync(join(mount, 'ballast'), Buffer.alloc(4 << 20));
    open({ directory: join(mount, 'state') });
    const first = fill();
    expect(first).toBeGreaterThan(5);
    for (let again = 0; again < 3; again += 1)
      expect(() => queue?.put([item(first, body(first))])).toThrow(expect.objectContaining({ code: 'DISK_FULL' }));
    expect(state.totals).toMatchObject({ received: first, pending: first });
    expect(state.error).toContain('its disk is full: free some space, or set WHODUNIT_STATE_DIR');
    expect(state.lines).toHaveLength(1);
    rmSync(join(mount, 'ballast'));
    queue?.put([item(first, body(first))]);
    expect(state.error).toBeNull();
    expect(drain(reopen({ directory: join(mount, 'state') })).map(Number)).toEqual(
      Array.from({ length: first + 1 }, (_, number) => number),
    );
  });

  it('that the queue itself filled is freed when the records are delivered', () => {
    open({ directory: join(mount, 'state') });
    const first = fill();
    const all = drain(queue as Queue).map(Number);
    expect(all).toEqual(Array.from({ length: first }, (_, number) => number));
    expect(state.totals).toMatchObject({ received: first, reported: first, pending: 0 });
    queue?.put([item(first, body(first))]);
    expect(drain(reopen({ directory: join(mount, 'state') })).map(Number)).toEqual([first]);
    expect(state.totals).toMatchObject({ received: first + 1, reported: first + 1, pending: 0 });
  });

  it('that is read-only is reported as such', () => {
    open({ directory: join(mount, 'state') }).put([item(1)]);
    queue?.close();
    execFileSync('mount', ['-o', 'remount,ro', mount]);
    expect(() => open({ directory: join(mount, 'state') })).toThrow(
      expect.objectContaining({ code: 'STATE_DIR_UNUSABLE', message: expect.stringContaining('EROFS') }),
    );
  });
});

describe('a damaged file', () => {
  const fill = (count: number): void => {
    open();
    for (let number = 0; number < count; number += 10)
      queue?.put(
        Array.from({ length: 10 }, (_, index) => item(number + index, `${number + index} ${'x'.repeat(2_000)}`)),
      );
    queue?.close();
    queue = null;
  };
  const numbers = (from: Queue): number[] => drain(from).map((body) => Number.parseInt(body, 10));
  const aside = (): string[] => readdirSync(state.path).filter((name) => /^queue\.damaged-.*\.db$/.test(name));

  it('that is not a database is set aside, and the service continues', () => {
    writeFileSync(file(), 'this is not a database, and long enough to be one'.repeat(200));
    open().put([item(1)]);
    expect(drain(queue as Queue)).toEqual(['r1']);
    expect(aside()).toHaveLength(1);
    expect(state.lines.join()).toMatch(/was damaged .*It is kept as .*queue\.damaged-/);
  });

  it('that was truncated yields the remaining records; the others are counted as lost', () => {
    fill(400);
    const whole = readFileSync(file());
    writeFileSync(file(), whole.subarray(0, Math.floor(whole.length * 0.6)));
    open();
    const saved = numbers(queue as Queue);
    expect(saved.length).toBeGreaterThan(100);
    expect(saved).toEqual([...saved].sort((a, b) => a - b));
    expect(state.totals.damaged).toBe(400 - saved.length);
    expect([accounted(state.totals), state.totals.received]).toEqual([400, 400]);
    expect(aside()).toHaveLength(1);
  });

  it.each([
    ['scrambled', (head: Buffer) => head.fill(0xa5)],
    ['emptied', (head: Buffer) => head.fill(0)],
    ['that of another database', (head: Buffer) => head.fill(0).write('SQLite format 3\0')],
    ['marked as a later version, and overwritten', (head: Buffer) => head.fill(0xa5, 60)],
  ])('whose first page is %s yields all of its records', (_, damage) => {
    fill(400);
    const bytes = readFileSync(file());
    damage(bytes.subarray(0, 8_192));
    writeFileSync(file(), bytes);
    expect(numbers(open())).toEqual(Array.from({ length: 400 }, (_, number) => number));
    expect(state.totals).toMatchObject({ received: 400, reported: 400, damaged: 0 });
    expect(aside()).toHaveLength(1);
  });

  it('whose header names a format that SQLite does not know is set aside', () => {
    fill(3);
    const bytes = readFileSync(file());
    bytes.writeUInt32BE(99, 44); // the schema format number (SQLite's database file format, 1.3)
    writeFileSync(file(), bytes);
    const damaged = open();
    expect(aside()).toHaveLength(1);
    damaged.put([item(1_000)]);
    expect(drain(damaged)).toContain('r1000');
  });

  it('that was overwritten anywhere yields intact records or none; the counters add up', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 5_000 })), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.integer(),
        (places, seed) => {
          state.remove();
          mkdirSync(state.path);
          fill(200);
          const bytes = readFileSync(file());
          for (const [place, length] of places) {
            const from = Math.floor(place * bytes.length);
            for (let at = from; at < Math.min(from + length, bytes.length); at += 1)
              bytes[at] = (at * 31 + seed) & 0xff;
          }
          writeFileSync(file(), bytes);
          const damaged = open();
          const known = !state.lines.join().includes('they start again at 0');
          const saved = drain(damaged);
          for (const body of saved) expect(body).toMatch(/^\d+ x{2000}$/);
          expect(new Set(saved).size).toBe(saved.length);
          expect(accounted(state.totals)).toBe(state.totals.received);
          if (known) expect([saved.length + state.totals.damaged, state.totals.received]).toEqual([200, 200]);
          damaged.put([item(1_000)]);
          expect(drain(damaged)).toEqual(['r1000']);
          damaged.close();
          queue = null;
          state.lines.length = 0;
        },
      ),
      { numRuns: 60 },
    );
  });

  it('is replaced while the service runs, and the records in memory are kept', () => {
    open();
    for (let number = 0; number < 100; number += 1) queue?.put([item(number, `${number} ${'x'.repeat(2_000)}`)]);
    const first = queue?.take(5, 1 << 20) ?? [];
    // SQLite reads pages that are not in its cache from the damaged files.
    for (const name of ['queue.db', 'queue.db-wal']) {
      const path = join(state.path, name);
      if (existsSync(path)) writeFileSync(path, Buffer.alloc(statSync(path).size, 0x5a));
    }
    for (let number = 100; number < 2_100; number += 1) queue?.put([item(number, `${number} ${'x'.repeat(2_000)}`)]);
    queue?.settle([]);
    const all = [...bodies(first), ...drain(queue as Queue)].map((body) => Number.parseInt(body, 10));
    expect(aside()).toHaveLength(1);
    expect(new Set(all).size).toBe(all.length);
    expect(all.length + state.totals.damaged).toBe(2_100);
    expect([accounted(state.totals), state.totals.received]).toEqual([2_100, 2_100]);
  });

  it('is set aside; only the last three of them are kept', () => {
    for (let round = 0; round < 5; round += 1) {
      writeFileSync(file(), 'not a database at all, but with some length to it'.repeat(100));
      state.open().close();
    }
    expect(aside()).toHaveLength(3);
  });
});
