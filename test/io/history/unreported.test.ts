// SPDX-License-Identifier: Apache-2.0
// The file of terminations without a record: what is kept of it, whom a flood displaces, and what damage costs.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Row } from '../../../src/core/history/unreported.ts';
import {
  countLine,
  LastUnreported,
  rowLine,
  UNREPORTED_BYTES_MAX,
  UNREPORTED_MAX,
} from '../../../src/core/history/unreported.ts';
import {
  eraseUnreported,
  readUnreported,
  UnreportedFile,
  unreportedPath,
} from '../../../src/io/history/unreported-file.ts';
import { Log } from '../../../src/io/log.ts';
import { HistoryOnDisk } from '../../support/history.ts';
import { row } from '../../support/unreported.ts';

const DAY_MS = 86_400_000;
const lines: string[] = [];
let disk: HistoryOnDisk;
beforeEach(() => {
  disk = new HistoryOnDisk();
  disk.open();
  lines.length = 0;
});
afterEach(() => disk.remove());

function open(withArguments = true): UnreportedFile {
  const log = new Log((line) => lines.push(line));
  return new UnreportedFile({ directory: disk.path, ageMs: 14 * DAY_MS, withArguments, log });
}

function write(...some: readonly Parameters<UnreportedFile['add']>[0][]): void {
  const file = open();
  for (const one of some) file.add(one);
  file.close();
}

const pids = () => readUnreported(disk.path).map(({ pid }) => pid);

describe('the last terminations without a record', () => {
  it('are read with every fact that rules read, and with those that the kernel counted after them', () => {
    const one = row({ pid: 7, subject: { arguments: 'sleep 100', uptimeSeconds: 1.5, unit: 'web.service' } });
    write(one, { uid: one.uid, counted: 12 }, { uid: 'gone', counted: 3 }, { uid: one.uid, counted: 30 });
    expect(readUnreported(disk.path)).toEqual([{ ...one, counted: 42 }]);
    expect(statSync(unreportedPath(disk.path)).mode & 0o777).toBe(0o640);
  });

  it('are one for each uid: the loader sends again what was not acknowledged', () => {
    const one = row({ pid: 7 });
    write(one, one, row({ pid: 8 }));
    expect(pids()).toEqual([7, 8]);
  });

  it('have no arguments where those are off', () => {
    const file = open(false);
    file.add(row({ subject: { arguments: 'mysql --password x' } }));
    file.close();
    expect(readUnreported(disk.path)[0]?.subject.arguments).toBeNull();
    expect(readFileSync(unreportedPath(disk.path), 'utf8')).not.toContain('mysql');
  });

  it('are there while the service runs, a second later', async () => {
    const file = open();
    file.add(row({ pid: 7 }));
    await expect.poll(pids, { timeout: 30_000 }).toEqual([7]);
    file.close();
  });

  it('survive a damaged line, and one that is not complete', () => {
    write(row({ pid: 1 }), row({ pid: 2 }), row({ pid: 3 }));
    const text = readFileSync(unreportedPath(disk.path), 'utf8').split('\n');
    writeFileSync(
      unreportedPath(disk.path),
      [text[0], '{"uid":1}', 'nonsense', '7', 'null', text[2]?.slice(0, 20)].join('\n'),
    );
    expect(pids()).toEqual([1]);
  });

  it('a name with a newline stays in its line', () => {
    write(row({ pid: 1, subject: { executable: ['/tmp/a\n{"uid":"x","origin":""}'] } }), row({ pid: 2 }));
    expect(pids()).toEqual([1, 2]);
  });

  it('go when they are too old', () => {
    const old = BigInt(Date.now() - 15 * DAY_MS) * 1_000_000n;
    write(row({ pid: 1, timeNs: old }), row({ pid: 2 }));
    open().close();
    expect(pids()).toEqual([2]);
    expect(readFileSync(unreportedPath(disk.path), 'utf8').split('\n')).toHaveLength(2);
  });

  it('are erased in place while the file is open', () => {
    const file = open();
    for (const pid of [1, 2, 3]) file.add(row({ pid, subject: { user: pid === 2 ? 'berta' : 'anna' } }));
    file.close();
    expect(eraseUnreported(disk.path, ({ subject }) => subject.user === 'berta')).toBe(1);
    expect(readFileSync(unreportedPath(disk.path), 'utf8')).not.toContain('berta');
    write(row({ pid: 4 }));
    expect(pids()).toEqual([1, 3, 4]);
  });

  it('are left out where the file cannot be written, with one line in the log', () => {
    writeFileSync(`${disk.path}/file`, '');
    const log = new Log((line) => lines.push(line));
    const file = new UnreportedFile({ directory: `${disk.path}/file`, ageMs: DAY_MS, withArguments: true, log });
    file.add(row());
    file.close();
    expect(lines).toEqual([expect.stringMatching(/file\/history\/unreported cannot be written .* filters test/)]);
  });
});

describe('what is kept', () => {
  it(`is at most ${UNREPORTED_MAX}; a flood displaces none of an origin that holds less`, () => {
    const last = new LastUnreported();
    last.add(rowLine(row({ uid: 'quiet', origin: 'berta' }), true));
    for (let i = 0; i < UNREPORTED_MAX + 500; i += 1) last.add(rowLine(row({ uid: `${i}`, origin: 'mallory' }), true));
    const kept = last.lines();
    expect(kept).toHaveLength(UNREPORTED_MAX);
    expect(kept[0]).toContain('quiet');
    expect(kept[1]).toContain('"uid":"501"');
  });

  it('is at most as many bytes, however long the lines are', () => {
    const last = new LastUnreported();
    const subject = { arguments: 'x'.repeat(4_096) };
    for (let i = 0; i < 3_000; i += 1) last.add(rowLine(row({ uid: `${i}`, origin: 'mallory', subject }), true));
    const kept = last.lines();
    expect(kept.length).toBeGreaterThan(1_000);
    expect(Buffer.byteLength(kept.join(''))).toBeLessThanOrEqual(UNREPORTED_BYTES_MAX);
    expect(kept.at(-1)).toContain('"uid":"2999"');
  });

  it('has the counts of its rows, also when the file is rewritten', () => {
    const last = new LastUnreported();
    for (const line of [rowLine(row({ uid: 'a' }), true), countLine({ uid: 'a', counted: 5 })]) last.add(line);
    const again = new LastUnreported();
    for (const line of last.lines()) again.add(line);
    expect(again.rows()).toMatchObject([{ uid: 'a', counted: 5 }]);
  });

  it('is rewritten before the file is larger than twice that', () => {
    const subject = { arguments: 'x'.repeat(4_096) };
    const file = open();
    const some: Row[] = Array.from({ length: 6_000 }, (_, i) => row({ pid: i, origin: 'mallory', subject }));
    file.add(row({ pid: 4_194_303, origin: 'berta' }));
    for (const one of some) file.add(one);
    file.close();
    expect(statSync(unreportedPath(disk.path)).size).toBeLessThan(2.6 * UNREPORTED_BYTES_MAX);
    expect([pids()[0], pids().at(-1)]).toEqual([4_194_303, 5_999]);
  });
});
