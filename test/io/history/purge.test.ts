// SPDX-License-Identifier: Apache-2.0
// What is removed is gone from the files, while the service has them open; what belongs together is found.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { renderTable } from '../../../src/core/history/table.ts';
import { purge } from '../../../src/io/history/purge.ts';
import { findOne, relatedTo, wholeReport } from '../../../src/io/history/show.ts';
import { readUnreported, UnreportedFile } from '../../../src/io/history/unreported-file.ts';
import { Log } from '../../../src/io/log.ts';
import { purgeRequestPath } from '../../../src/io/queue/purge-request.ts';
import { DAY_MS, HistoryOnDisk, kept } from '../../support/history.ts';
import { row } from '../../support/unreported.ts';

let disk: HistoryOnDisk;
beforeEach(() => {
  disk = new HistoryOnDisk();
});
afterEach(() => disk.remove());

const content = (): string => {
  const directory = join(disk.path, 'history');
  return readdirSync(directory)
    .map((name) => readFileSync(join(directory, name), 'latin1'))
    .join('');
};
const left = () =>
  disk
    .read()
    .list({}, { limit: 100 })
    .entries.map(({ process }) => process.pid);
const none = { filter: {}, ids: [], undelivered: false, dryRun: false };

describe('purge', () => {
  it('removes by user, sender included, by id and by time; the content is overwritten', () => {
    const history = disk.open();
    const one = kept({ pid: 3, body: 'THE BODY OF THREE' });
    history.append(
      [
        kept({ pid: 1, user: 'berta' }),
        kept({ pid: 2, attributes: { 'whodunit.sender.user.name': 'berta' } }),
        one,
        kept({ pid: 4, timeMs: Date.now() - 60_000 }),
        kept({ pid: 5 }),
      ],
      0,
    );
    const reader = disk.read();
    const dry = purge(disk.path, reader, { ...none, filter: { user: 'berta' }, dryRun: true });
    expect([dry, left().length]).toEqual([{ removed: 2, kept: 0, waiting: 0, unreported: 0 }, 5]);
    expect(purge(disk.path, reader, { ...none, filter: { user: 'berta' } })).toEqual({
      removed: 2,
      kept: 0,
      waiting: 0,
      unreported: 0,
    });
    expect(content()).toContain('THE BODY OF THREE');
    expect(purge(disk.path, reader, { ...none, ids: [one.uid.slice(0, 13)] })).toEqual({
      removed: 1,
      kept: 0,
      waiting: 0,
      unreported: 0,
    });
    expect(content()).not.toContain('THE BODY OF THREE');
    const untilNs = BigInt(Date.now() - 30_000) * 1_000_000n;
    expect(purge(disk.path, reader, { ...none, filter: { untilNs } }).removed).toBe(1);
    expect(left()).toEqual([5]);
    history.append([kept({ pid: 6 })], 0);
    expect(left()).toEqual([6, 5]);
    expect(disk.read().problems).toEqual([]);
  });

  it('removes the facts of terminations without a record by the same conditions', () => {
    disk.open();
    const old = BigInt(Date.now() - 60_000) * 1_000_000n;
    const [one, two] = [row({ subject: { user: 'berta', arguments: 'THE ARGUMENTS' } }), row()];
    const file = new UnreportedFile({ directory: disk.path, ageMs: DAY_MS, withArguments: true, log: new Log() });
    for (const kept of [one, two, row({ timeNs: old }), row({ pid: 5 })]) file.add(kept);
    file.close();
    const dry = purge(disk.path, disk.read(), { ...none, filter: { user: 'berta' }, dryRun: true });
    expect([dry, readUnreported(disk.path).length]).toEqual([{ removed: 0, kept: 0, waiting: 0, unreported: 1 }, 4]);
    expect(purge(disk.path, disk.read(), { ...none, filter: { user: 'berta' } }).unreported).toBe(1);
    expect(content()).not.toContain('THE ARGUMENTS');
    expect(purge(disk.path, disk.read(), { ...none, ids: [two.uid.slice(0, 13)] }).unreported).toBe(1);
    expect(purge(disk.path, disk.read(), { ...none, filter: { untilNs: old + 1n } }).unreported).toBe(1);
    expect(readUnreported(disk.path).map(({ pid }) => pid)).toEqual([5]);
  });

  it('leaves what is not delivered, unless that is asked for: then the service is asked to remove it from its queue', () => {
    const history = disk.open();
    const [one, two] = [kept({ pid: 1 }), kept({ pid: 2 })];
    history.append([one, two], 1);
    history.settled({ ids: [1], state: 'delivered' });
    const all = { ...none, filter: { untilNs: 2n ** 63n } };
    expect(purge(disk.path, disk.read(), all)).toEqual({ removed: 1, kept: 1, waiting: 0, unreported: 0 });
    const undelivered = { ...all, undelivered: true };
    expect(purge(disk.path, disk.read(), { ...undelivered, dryRun: true })).toMatchObject({ removed: 1, waiting: 1 });
    expect(existsSync(purgeRequestPath(disk.path))).toBe(false);
    expect(purge(disk.path, disk.read(), undelivered)).toEqual({ removed: 1, kept: 0, waiting: 1, unreported: 0 });
    expect(left()).toEqual([]);
    expect(JSON.parse(readFileSync(purgeRequestPath(disk.path), 'utf8'))).toEqual({ records: [[2, two.uid]] });
  });
});

describe('show', () => {
  it('finds the last one, a pid, and the beginning of an id; several candidates are shown', () => {
    const [first, second] = [
      kept({ pid: 7, uid: 'abcd0000-0000-5000-8000-000000000001' }),
      kept({ pid: 7, uid: 'abcd1111-0000-5000-8000-000000000002' }),
    ];
    disk.open().append([first, second, kept({ pid: 8 })], 0);
    const reader = disk.read();
    expect(findOne(reader, 'last')?.process.pid).toBe(8);
    expect(findOne(reader, '8')?.process.pid).toBe(8);
    expect(findOne(reader, 'abcd0')?.id).toBe(first.uid);
    expect(findOne(reader, '4194304')).toBeNull();
    for (const what of ['abcd', '7'])
      expect(() => findOne(reader, what)).toThrow(
        expect.objectContaining({ exitCode: 2, message: expect.stringMatching(/fits 2 .*abcd1111 .*; abcd0000 /) }),
      );
  });

  it('has the restart, earlier ends of the service, and the delivery', () => {
    const history = disk.open();
    const [before, last] = [
      kept({ pid: 1, service: 'web', timeMs: Date.now() - 5_000 }),
      kept({ pid: 2, service: 'web' }),
    ];
    const restart = kept({
      eventName: 'whodunit.process.restart',
      body: 'web was restarted by systemd',
      attributes: { 'whodunit.termination.uid': last.uid },
    });
    history.append([before, last, restart], 1);
    history.settled({ ids: [2], state: 'rejected', reason: 'it was too long' });
    const reader = disk.read();
    const entry = findOne(reader, '2');
    if (entry === null) throw new Error('not found');
    const text = wholeReport(entry, relatedTo(reader, entry), false);
    expect(text).toMatch(/restart +web was restarted by systemd/);
    expect(text).toMatch(/earlier .*\(pid 1\) killed SIGKILL by killer/);
    expect(text).toMatch(/delivery +rejected at .* by http:\/\/collector:4318: it was too long/);
  });
});

describe('hostile names', () => {
  const name = `a\u001b[31m\n<script>\u202e${'x'.repeat(4_096)}`;
  it('are inert in table and report', () => {
    disk.open().append([kept({ name, service: name, body: name, attributes: { 'whodunit.sender.name': name } })], 0);
    const reader = disk.read();
    const [entry] = reader.list({}, { limit: 1 }).entries;
    if (entry === undefined) throw new Error('not found');
    for (const text of [
      renderTable([entry], null),
      renderTable([entry], 80),
      wholeReport(entry, relatedTo(reader, entry), false),
    ]) {
      expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u202e]/);
    }
    const lines = renderTable([entry], 80).trimEnd().split('\n');
    expect(lines.length).toBe(2);
    for (const line of lines) expect([...line].length).toBeLessThanOrEqual(80);
  });
});
