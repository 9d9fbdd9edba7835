// SPDX-License-Identifier: Apache-2.0
// The printer with a stream whose reader the test controls. test/attacks/console.test.ts has real pipes and terminals.
import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { storeRecord } from '../../src/core/telemetry/stored.ts';
import { Log } from '../../src/io/log.ts';
import { Printer } from '../../src/io/printer.ts';
import { recordOf } from '../support/circumstances.ts';
import { exitedWith } from '../support/deadly.ts';

const RECORD = storeRecord(recordOf(exitedWith(3)));
const SHUTDOWN_MS = 20;
const ORIGIN = '1000 ';

interface Options {
  readonly acknowledges?: boolean;
  readonly text?: string;
}

function build({ acknowledges = true, text = 'a record\n' }: Options = {}) {
  const lines: string[] = [];
  const pending: ((error?: Error) => void)[] = [];
  const stream = new Writable({ write: (_chunk, _encoding, done) => void pending.push(done) });
  const stop = new AbortController();
  const log = new Log((line) => lines.push(line));
  const printer = new Printer({ stream, render: () => text, log, acknowledges, stop, shutdownTimeoutMs: SHUTDOWN_MS });
  /** The reader takes the next text, or goes away. */
  const read = (error?: Error): void => pending.shift()?.(error);
  return { printer, stop, lines, read };
}

const gone = (): Error => Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('without a queue', () => {
  it('a record is printed when the reader has taken it, not before', async () => {
    const { printer, read } = build();
    const done = printer.print(RECORD);
    await settled();
    expect(printer.snapshot()).toMatchObject({ printed: 0, waitingBytes: 9, error: null });
    read();
    expect(await done).toBe(true);
    expect(printer.snapshot()).toMatchObject({ printed: 1, waitingBytes: 0 });
  });

  it('a reader that goes ends the service with exit code 74', async () => {
    const { printer, read, stop } = build();
    const done = printer.print(RECORD);
    read(gone());
    expect([await done, await printer.print(RECORD), stop.signal.aborted]).toEqual([false, false, true]);
    expect(printer.lost()).toMatchObject({ code: 'OUTPUT_LOST', exitCode: 74 });
    expect(printer.lost()?.message).toMatch(/^stdout cannot be written: its reader is gone\. .* ring buffer: /);
  });

  it('after the stop, a reader that sleeps is waited for until the shutdown timeout', async () => {
    const { printer, stop, lines } = build();
    const done = printer.print(RECORD);
    stop.abort();
    expect([await done, await printer.print(RECORD), printer.lost()]).toEqual([false, false, null]);
    expect(lines).toEqual([
      expect.stringContaining(`did not read within ${SHUTDOWN_MS} ms (WHODUNIT_SHUTDOWN_TIMEOUT)`),
    ]);
  });

  it('a full disk is named', async () => {
    const { printer, read } = build();
    const done = printer.print(RECORD);
    read(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    expect(await done).toBe(false);
    expect(printer.snapshot().error).toBe('stdout cannot be written: writing failed with ENOSPC.');
  });
});

describe('beside a queue', () => {
  it('what a slow reader leaves no room for is skipped, counted and logged', async () => {
    const { printer, read, lines } = build({ acknowledges: false, text: 'x'.repeat(600_000) });
    for (let i = 0; i < 4; i += 1) printer.show(RECORD, ORIGIN);
    expect(printer.snapshot()).toMatchObject({ printed: 0, skipped: 2, waitingBytes: 1_200_000 });
    expect(lines).toEqual([
      expect.stringContaining('The reader of stdout is too slow: 1 records were sent but not printed'),
    ]);
    const drained = printer.drained();
    for (let i = 0; i < 3; i += 1) {
      read();
      await settled();
    }
    expect([await drained, printer.snapshot().printed]).toEqual([true, 2]);
  });

  it('what a slow reader leaves no room for is skipped of the origin that fills it, and not of another', async () => {
    const { printer, read } = build({ acknowledges: false, text: 'x'.repeat(100_000) });
    for (let i = 0; i < 50; i += 1) printer.show(RECORD, 'mallory');
    printer.show(RECORD, 'alice');
    expect([...printer.displaced]).toEqual([['mallory', 39]]);
    expect(printer.snapshot()).toMatchObject({ skipped: 39, waitingBytes: 1_200_000 });
    for (let i = 0; i < 12; i += 1) {
      read();
      await settled();
    }
    printer.show(RECORD, 'mallory');
    expect(printer.snapshot()).toMatchObject({ printed: 12, skipped: 39 });
  });

  it('a reader that goes is logged once, and the service goes on', async () => {
    const { printer, read, lines, stop } = build({ acknowledges: false });
    printer.show(RECORD, ORIGIN);
    read(gone());
    await settled();
    printer.show(RECORD, ORIGIN);
    expect([await printer.drained(), stop.signal.aborted, printer.lost()]).toEqual([false, false, null]);
    expect(lines).toEqual([
      'whodunit: stdout cannot be written: its reader is gone. Records are no longer printed; they are still sent.\n',
    ]);
  });
});
