// SPDX-License-Identifier: Apache-2.0
// The history on real files: what the writer keeps, a reader of its own finds, while the writer is open and after it.
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FatalError } from '../../../src/core/errors.ts';
import type { LoopFacts } from '../../../src/core/filter/loop-facts.ts';
import type { LoopNews } from '../../../src/core/filter/loops.ts';
import { renderTable } from '../../../src/core/history/table.ts';
import { buildLoop } from '../../../src/core/telemetry/loop.ts';
import { storeRecord } from '../../../src/core/telemetry/stored.ts';
import { openHistory } from '../../../src/io/history/reader.ts';
import { findOne, relatedTo, wholeReport } from '../../../src/io/history/show.ts';
import { DAY_MS, HistoryOnDisk, kept } from '../../support/history.ts';
import { host } from '../../support/host.ts';

let disk: HistoryOnDisk;
beforeEach(() => {
  disk = new HistoryOnDisk();
});
afterEach(() => disk.remove());

const directory = (): string => join(disk.path, 'history');
const files = (): string[] => readdirSync(directory()).sort();
const pids = (entries: readonly { process: { pid: number | null } }[]) => entries.map(({ process }) => process.pid);
const all = { limit: Number.POSITIVE_INFINITY };
/** The content and the times of every file. */
const state = (): string[] =>
  files().map((name) => {
    const path = join(directory(), name);
    return `${name} ${statSync(path).mtimeMs} ${readFileSync(path).toString('base64')}`;
  });

describe('what was kept', () => {
  it('is read newest first while the writer is open, after it was closed, and after it was opened again', () => {
    const history = disk.open();
    history.append([kept({ pid: 1 }), kept({ pid: 2 })], 0);
    const reader = disk.read();
    expect(pids(reader.list({}, all).entries)).toEqual([2, 1]);
    history.append([kept({ pid: 3 })], 0);
    expect(pids(reader.list({}, all).entries)).toEqual([3, 2, 1]);
    history.close();
    expect(pids(disk.read().list({}, all).entries)).toEqual([3, 2, 1]);
    disk.open().append([kept({ pid: 4 })], 0);
    expect(pids(disk.read().list({}, all).entries)).toEqual([4, 3, 2, 1]);
    expect(pids(disk.read().list({}, { ...all, reverse: true }).entries)).toEqual([1, 2, 3, 4]);
  });

  it('is found by uid, by its beginning, and by pid', () => {
    const [first, second] = [kept({ pid: 1, uid: 'aaaa0000-0000-5000-8000-000000000001' }), kept({ pid: 2 })];
    disk.open().append([first, second], 0);
    const reader = disk.read();
    expect(reader.get(first.uid)?.process.pid).toBe(1);
    expect(reader.get('aaaa0')?.id).toBe(first.uid);
    expect(reader.get('ffffffffffff')).toBeNull();
    expect(reader.get('not an id')).toBeNull();
    expect(pids(reader.ofPid(2))).toEqual([2]);
    expect(reader.find('a').length).toBeGreaterThanOrEqual(1);
  });

  // The bytes of a uid occur in hashes, checksums and sizes, too.
  it('is found by each beginning of its uid, among many, newest first', () => {
    const all = Array.from({ length: 300 }, (_, pid) => kept({ pid }));
    disk.open().append(all, 0);
    const reader = disk.read();
    const uids = all.map(({ uid }) => uid).reverse();
    for (const chars of [1, 2, 3, 4, 7, 8, 36])
      for (const uid of uids.slice(0, 40)) {
        const beginning = uid.slice(0, chars);
        const expected = uids.filter((other) => other.startsWith(beginning));
        expect(reader.find(beginning, all.length).map(({ id }) => id)).toEqual(expected);
      }
  });

  it('is read in pages', () => {
    disk.open().append(
      [1, 2, 3, 4, 5].map((pid) => kept({ pid })),
      0,
    );
    const reader = disk.read();
    const first = reader.list({}, { limit: 2 });
    expect(pids(first.entries)).toEqual([5, 4]);
    const second = reader.list({}, { limit: 2, cursor: first.next });
    expect(pids(second.entries)).toEqual([3, 2]);
    expect(reader.list({}, { limit: 2, cursor: second.next })).toMatchObject({ next: null });
    expect(reader.list({}, { limit: 5 }).next).toBeNull();
  });

  it('is followed by cursor', () => {
    const history = disk.open();
    history.append([kept({ pid: 1 })], 0);
    const reader = disk.read();
    const { entries, cursor } = reader.since(null);
    expect(entries).toEqual([]);
    history.append([kept({ pid: 2 }), kept({ pid: 3 })], 0);
    const next = reader.since(cursor);
    expect(pids(next.entries)).toEqual([2, 3]);
    expect(reader.since(next.cursor).entries).toEqual([]);
    disk.open().append([kept({ pid: 4 })], 0);
    expect(pids(reader.since(next.cursor).entries)).toEqual([4]);
  });

  it('is not changed by a reader, which creates no file', () => {
    const history = disk.open();
    history.append([kept({ service: 'web' })], 7);
    history.settled({ ids: [7], state: 'delivered' });
    history.close();
    const before = state();
    const reader = disk.read();
    reader.list({ service: 'web' }, all);
    reader.stats({}, { bins: 4, top: 3 });
    reader.find('a');
    reader.since('0:0');
    reader.close();
    expect(state()).toEqual(before);
    expect(readdirSync(disk.path)).toEqual(['history']);
  });

  it('is kept once if the loader sends it again after a kill', () => {
    const item = kept({ pid: 1 });
    disk.open().append([item], 0);
    const again = disk.open();
    again.append([item, kept({ pid: 2 })], 0);
    expect(pids(disk.read().list({}, all).entries)).toEqual([2, 1]);
  });

  it('is readable by the group, and by no one else', () => {
    disk.open().append([kept()], 0);
    expect(statSync(directory()).mode & 0o777).toBe(0o750);
    for (const name of files()) expect(statSync(join(directory(), name)).mode & 0o137).toBe(0);
  });
});

describe('filters', () => {
  it.each<[object, number[]]>([
    [{ service: 'web' }, [1]],
    [{ service: 'w*' }, [2, 1]],
    [{ user: 'berta' }, [2]],
    [{ cause: 'fault' }, [3]],
    [{ signal: '9' }, [2, 1]],
    [{ signal: 'segv' }, [3]],
    [{ sender: 'killer' }, [3, 2, 1]],
    [{ sender: 'kill' }, []],
    [{ executable: '/usr/bin/sleep' }, [3, 2, 1]],
    [{ executable: 'sleep' }, [3, 2, 1]],
    [{ kind: 'restart' }, []],
    [{ sinceNs: 1_500_000_000n }, [3, 2]],
    [{ untilNs: 1_500_000_000n }, [1]],
    [{ sinceNs: 1_500_000_000n, untilNs: 2_500_000_000n }, [2]],
  ])('%o', (filter, expected) => {
    disk
      .open({ ageMs: Date.now() })
      .append(
        [
          kept({ pid: 1, service: 'web', timeMs: 1000 }),
          kept({ pid: 2, service: 'worker', user: 'berta', timeMs: 2000 }),
          kept({ pid: 3, timeMs: 3000, attributes: { 'whodunit.cause': 'fault', 'whodunit.signal.name': 'SIGSEGV' } }),
        ],
        0,
      );
    expect(pids(disk.read().list(filter, all).entries)).toEqual(expected);
  });

  it('of statistics count the same records', () => {
    disk
      .open()
      .append([kept({ service: 'web' }), kept({ service: 'web', user: 'berta' }), kept({ service: 'db' }), kept()], 0);
    const reader = disk.read();
    const counted = reader.stats({}, { bins: 3, top: 2 });
    expect(counted.total).toBe(4);
    expect(counted.causes).toMatchObject([{ name: 'killed', count: 4 }]);
    expect(counted.services).toMatchObject([
      { name: 'web', count: 2 },
      { name: 'db', count: 1 },
    ]);
    expect(counted.series[0]?.counts.reduce((sum, count) => sum + count, 0)).toBe(4);
    expect(reader.stats({ user: 'ber*' }, { bins: 3, top: 2 })).toMatchObject({ total: 1 });
    expect(reader.stats({ service: 'none' }, { bins: 3, top: 2 })).toMatchObject({ total: 0, causes: [] });
  });
});

describe('delivery', () => {
  it('is what the collector answered', () => {
    const history = disk.open();
    history.append(
      [1, 2, 3, 4].map((pid) => kept({ pid })),
      10,
    );
    history.settled({ ids: [10, 11], state: 'delivered' });
    history.settled({ ids: [12], state: 'rejected', reason: 'too long' });
    const states = () =>
      disk
        .read()
        .list({}, all)
        .entries.map(({ delivery }) => delivery);
    expect(states()).toMatchObject([
      { state: 'waiting' },
      { state: 'rejected', reason: 'too long', endpoint: 'http://collector:4318' },
      { state: 'delivered', endpoint: 'http://collector:4318' },
      { state: 'delivered' },
    ]);
    disk.open().settled({ ids: [13], state: 'delivered' });
    expect(states()[0]).toMatchObject({ state: 'delivered' });
  });

  it('is none if nothing is sent', () => {
    disk.open().append([kept()], 0);
    expect(disk.read().list({}, all).entries[0]?.delivery).toEqual({ state: 'none' });
  });

  it('adds what the queue has and the history lacks after a kill; damaged rows are left out', () => {
    disk.open().append([kept({ pid: 1 })], 5);
    const history = disk.open();
    expect(history.lastQueueId).toBe(5);
    const row = (id: number, record: Uint8Array) => ({ id, endedMs: 0, origin: '', record });
    history.catchUp([row(6, kept({ pid: 2 }).record), row(7, Buffer.from('x')), row(8, kept({ pid: 4 }).record)]);
    expect(pids(disk.read().list({}, all).entries)).toEqual([4, 2, 1]);
    history.settled({ ids: [6, 8], state: 'delivered' });
    expect(
      disk
        .read()
        .list({}, all)
        .entries.map(({ delivery }) => delivery.state),
    ).toEqual(['delivered', 'delivered', 'waiting']);
  });
});

describe('limits', () => {
  it('records that are too old go', () => {
    const history = disk.open({ ageMs: DAY_MS });
    history.append([kept({ pid: 1, timeMs: Date.now() - 2 * DAY_MS })], 0);
    history.close();
    disk.open({ ageMs: DAY_MS }).append([kept({ pid: 2 })], 0);
    expect(pids(disk.read().list({}, all).entries)).toEqual([2]);
  });

  it('beyond the size, the oldest of the origin that holds most go: a flood displaces only its own', () => {
    const bytes = 1 << 20;
    const history = disk.open({ bytes });
    history.append([kept({ pid: 1, origin: '1 ' })], 0);
    for (let pid = 100; pid < 4100; pid += 20)
      history.append(
        Array.from({ length: 20 }, (_, i) => kept({ pid: pid + i, origin: '2 ' })),
        0,
      );
    const { entries } = disk.read().list({}, all);
    expect(pids(entries).at(-1)).toBe(1);
    expect(pids(entries)[0]).toBe(4099);
    expect(entries.length).toBeGreaterThan(400);
    expect(history.snapshot().bytes).toBeLessThanOrEqual(bytes);
    const onDisk = files().reduce((sum, name) => sum + statSync(join(directory(), name)).size, 0);
    expect(onDisk).toBeLessThan(bytes * 1.1);
  });
});

describe('bad files', () => {
  it('damaged records are left out, and said', () => {
    const history = disk.open();
    history.append([kept({ pid: 1 }), kept({ pid: 2 })], 0);
    history.close();
    const path = join(directory(), files().find((name) => name.endsWith('.records')) ?? '');
    const bytes = readFileSync(path);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    writeFileSync(path, bytes);
    const reader = disk.read();
    expect(pids(reader.list({}, all).entries)).toEqual([2]);
    expect(reader.problems).toEqual([expect.stringContaining('1 records')]);
  });

  it.each(['index', 'records'])('a cut .%s loses only its end; the next records are kept', (part) => {
    const history = disk.open();
    history.append([kept({ pid: 1 }), kept({ pid: 2 })], 0);
    history.close();
    const path = join(directory(), files().find((name) => name.endsWith(part)) ?? '');
    truncateSync(path, statSync(path).size - 5);
    disk.open().append([kept({ pid: 3 })], 0);
    expect(pids(disk.read().list({}, all).entries)).toEqual([3, 1]);
    expect(disk.lines).toEqual([]);
  });

  it.each<[string, (bytes: Buffer) => Uint8Array]>([
    ['a later version', (bytes) => bytes.fill(9, 16, 17)],
    ['noise', (bytes) => Buffer.alloc(bytes.length, 0xa5)],
    ['nothing', () => Buffer.alloc(0)],
  ])('an index of %s is set aside, said, and kept', (_, change) => {
    const history = disk.open();
    history.append([kept({ pid: 1 })], 0);
    history.close();
    const path = join(directory(), files().find((name) => name.endsWith('index')) ?? '');
    writeFileSync(path, change(readFileSync(path)));
    const changed = readFileSync(path);
    disk.open().append([kept({ pid: 2 })], 0);
    const reader = disk.read();
    expect(pids(reader.list({}, all).entries)).toEqual([2]);
    expect(reader.problems).toEqual([expect.stringContaining('1 files')]);
    expect(readFileSync(path)).toEqual(changed);
  });

  it.each([
    '{"from":0,"to":0}',
    '{"from":0,"to":0,"state":"delivered","atMs":"x","endpoint":7}',
    '{"from":0,"to":0,"state":"delivered","atMs":1e300,"endpoint":"c"}',
    '{"from":0,"to":0,"state":"delivered","atMs":-1e17,"endpoint":"c"}',
    '{"from":0,"to":0,"state":"lost","atMs":0,"endpoint":"c"}',
    '{"from":0,"to":0,"state":"rejected","atMs":0,"endpoint":"c","reason":{}}',
    'null',
  ])('a damaged answer of the collector is none: %s', (answer) => {
    const history = disk.open();
    history.append([kept({ pid: 1 })], 10);
    history.close();
    const path = join(directory(), (files()[0] ?? '').replace(/\.\w+$/, '.delivery'));
    writeFileSync(path, `${answer}\n`);
    const reader = disk.read();
    const [entry] = reader.list({}, all).entries;
    expect(entry?.delivery).toEqual({ state: 'waiting' });
    expect(entry && wholeReport(entry, relatedTo(reader, entry), false)).toContain('waiting');
  });

  it('a directory that cannot be used is one line in the log; it is used once it can be', () => {
    writeFileSync(directory(), 'a file');
    const history = disk.open();
    history.append([kept()], 0);
    expect(disk.lines).toEqual([expect.stringMatching(/^whodunit: The history .*history cannot be used .*ENOTDIR/)]);
    expect(history.snapshot()).toMatchObject({ missed: 1, error: expect.stringContaining('WHODUNIT_STATE_DIR') });
    rmSync(directory());
    const again = disk.open();
    again.append([kept()], 0);
    expect(again.snapshot()).toMatchObject({ missed: 0, error: null, records: 1 });
  });

  it.each([
    ['no history', () => {}, /There is no history in .*start the service/],
    ['no directory', () => writeFileSync(directory(), ''), /cannot be read \(ENOTDIR\)/],
  ])('a reader of %s says so', (_, make, message) => {
    make();
    const opened = (): unknown => openHistory(disk.path);
    expect(opened).toThrow(FatalError);
    expect(opened).toThrow(expect.objectContaining({ exitCode: 2, message: expect.stringMatching(message) }));
  });

  it('an empty history has no records', () => {
    mkdirSync(directory());
    chmodSync(directory(), 0o750);
    expect(disk.read().list({}, all)).toEqual({ entries: [], next: null });
    expect(disk.read().stats({}, { bins: 2, top: 1 })).toMatchObject({ total: 0 });
    expect(disk.read().since(null)).toMatchObject({ entries: [] });
  });
});

describe('a loop', () => {
  const about: LoopFacts['about'] = {
    ...{ cause: 'exit', executable: '/opt/server', sender: null, severity: { number: 17, text: 'ERROR' } },
    ...{ name: 'server', pid: 4242, uid: 'f0000000-0000-5000-8000-000000000000', cgroup: '/system.slice/web.service' },
    ...{ resource: { 'service.name': 'web' }, restarter: 'systemd (pid 1)', isUnit: true },
  };
  const facts: LoopFacts = {
    ...{ key: 'k', first: 'first', origin: '0 /system.slice/web.service', said: 0, count: 3, aggregated: 1 },
    ...{ firstNs: '0', lastNs: '2400000000', firstAtNs: '0', lastAtNs: String(BigInt(Date.now()) * 1_000_000n) },
    ...{ outcomes: [['exit code 9', 3]], gapMs: 1000, longestGapMs: 1000, longestLifeMs: 200, restarts: 2 },
    ...{ command: 'server --port 80', about },
  };
  const ofLoop = (news: LoopNews) => {
    const record = buildLoop(news, host, 0n);
    return { uid: String(record.attributes['log.record.uid']), origin: facts.origin, record: storeRecord(record) };
  };

  it('is listed, shown with its other records, and no termination', () => {
    const began = ofLoop({ state: 'began', end: null, loop: facts });
    const ended = ofLoop({ state: 'ended', end: 'not_restarted', loop: { ...facts, count: 50, said: 1 } });
    disk.open().append([began, ended], 0);
    const reader = disk.read();
    const { entries } = reader.list({ kind: 'loop' }, all);
    expect(entries.map(({ uid }) => uid)).toEqual([ended.uid, began.uid]);
    expect(renderTable(entries, null)).toMatch(/^WHEN.*\n.* server +- +loop, 50 times +- +web +.*\n.* loop, 3 times /);
    expect(reader.list({ service: 'web', executable: 'server' }, all).entries).toHaveLength(2);
    expect(reader.stats({}, { bins: 1, top: 5 }).total).toBe(0);
    expect(reader.list({ kind: 'termination' }, all).entries).toEqual([]);
    const found = findOne(reader, ended.uid.slice(0, 8));
    expect(found?.kind).toBe('loop');
    const report = found && wholeReport(found, relatedTo(reader, found), false);
    expect(report).toContain('server terminated 50 times in 2.4 s: ');
    expect(report).toMatch(/\n {2}loop {6}.* server \(pid 4242\) terminated for the third time in 2\.4 s: /);
  });

  it('is not taken for the restart of its last termination', () => {
    disk.open().append([kept({ uid: about.uid }), ofLoop({ state: 'began', end: null, loop: facts })], 0);
    const reader = disk.read();
    const termination = reader.get(about.uid);
    expect(termination && reader.restartOf(termination)).toBeNull();
  });
});
