// SPDX-License-Identifier: Apache-2.0
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Arrivals, printedRecord } from '../../bench/arrivals.ts';
import { temporaryDirectory } from '../../scripts/stack/program.ts';

let directory: ReturnType<typeof temporaryDirectory>;

beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(() => directory.remove());

const TERMINATION = 'whodunit.process.termination';

/** A request with one record, as the collector's file exporter writes it. */
const request = (executable: string): string => {
  const attributes = [{ key: 'process.executable.path', value: { stringValue: executable } }];
  const [eventName, body] = [TERMINATION, { stringValue: 'terminated' }];
  const logRecords = [{ timeUnixNano: '1795443000000000000', eventName, body, attributes: [] }];
  return `${JSON.stringify({ resourceLogs: [{ resource: { attributes }, scopeLogs: [{ scope: {}, logRecords }] }] })}\n`;
};

describe('arrivals', () => {
  it('are the requests that became complete after the start, even if they had begun before', () => {
    const path = join(directory.path, 'logs.jsonl');
    const [half, other] = [request('/begun').slice(0, 40), request('/begun').slice(40)];
    writeFileSync(path, request('/before') + half);
    const arrivals = new Arrivals(path);
    appendFileSync(path, other + request('/after') + request('/never').slice(0, 40));
    expect(arrivals.stop().map(({ executable }) => executable)).toEqual(['/begun', '/after']);
  });

  it('of printed records are those of terminations', () => {
    const path = join(directory.path, 'printed');
    const line = (event: string, executable: string) =>
      `${JSON.stringify({ timestamp_ns: '1795443000000000000', event_name: event, resource: { attributes: { 'process.executable.path': executable } } })}\n`;
    const arrivals = new Arrivals(path, printedRecord);
    appendFileSync(
      path,
      line(TERMINATION, '/first') + line('whodunit.incident', '/more') + line(TERMINATION, '/other'),
    );
    expect(arrivals.stop().map(({ executable }) => executable)).toEqual(['/first', '/other']);
  });
});
