// SPDX-License-Identifier: Apache-2.0
// A backend that fails or lies must not make whodunit drop a record for a reason that is not the record's own.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../scripts/stack/program.ts';
import { exportTo, type Protocol, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { partialSuccess } from '../chaos/otlp-bytes.ts';
import { type Answer, Backend, die, onlyTheTest } from './backend.ts';

const WITHIN_MS = 120_000;
/** The build before these tests rejected a lone record after 6 to 11 s. */
const FAILS_MS = 12_000;
const [UNKNOWN, RESOURCE_EXHAUSTED, INTERNAL] = [2, 8, 13];

let backend: Backend;
let whodunit: Whodunit;
let rules: ReturnType<typeof onlyTheTest>;

async function start(protocol: Protocol): Promise<void> {
  whodunit = await startWhodunit({
    ...exportTo(backend.endpoints, protocol),
    ...rules.env,
    OTEL_METRICS_EXPORTER: 'none',
  });
}

interface Logs {
  readonly last_success: string | null;
  readonly last_failure: { readonly kind: string } | null;
  readonly rejected: number;
  readonly refused_alone?: { readonly count: number; readonly records: readonly Record<string, unknown>[] };
}

async function logs(): Promise<Logs & { readonly lost: number }> {
  const response = await fetch(`http://${whodunit.at.health}/status`);
  const status = (await response.json()) as { export: { logs: Logs }; deaths: { lost: { export: number } } };
  return { ...status.export.logs, lost: status.deaths.lost.export };
}

const arrives = (mark: string) =>
  until(
    `the record of ${mark}`,
    WITHIN_MS,
    () => backend.has(mark) || undefined,
    () => whodunit.service.output(),
  );
const waitsAlone = (reason: RegExp) =>
  until('a record that was refused alone', WITHIN_MS, async () =>
    (await logs()).refused_alone?.records.find((record) => reason.test(String(record.reason))),
  );

beforeEach(async () => {
  rules = onlyTheTest();
  backend = await Backend.start();
});

afterEach(async () => {
  await whodunit?.stop();
  backend.stop();
  rules.remove();
});

describe('a backend that fails on every request', () => {
  it.each<[string, Protocol, Answer]>([
    ['HTTP 500', 'http/protobuf', { http: 500 }],
    ['gRPC INTERNAL', 'grpc', { grpc: INTERNAL }],
    ['gRPC UNKNOWN', 'grpc', { grpc: UNKNOWN }],
    ['gRPC RESOURCE_EXHAUSTED without RetryInfo', 'grpc', { grpc: RESOURCE_EXHAUSTED }],
  ])('%s: the record waits, /status shows it, and it arrives when the backend works', async (_, protocol, answer) => {
    backend.answer = () => answer;
    await start(protocol);
    await die('lone-record');
    await until('a request', WITHIN_MS, () => backend.requests.logs.length > 0 || undefined);
    const record = await waitsAlone(/^(?:HTTP 500|gRPC)/);
    expect(record).toMatchObject({ since: expect.any(String), attempts: expect.any(Number), others_accepted: 0 });
    await sleep(FAILS_MS);
    expect(await logs()).toMatchObject({ lost: 0, rejected: 0 });
    expect(whodunit.service.output()).toContain('none is lost');
    backend.answer = () => ({});
    await arrives('lone-record');
    expect((await logs()).lost).toBe(0);
  });
});

describe('a backend that fails on one record (HTTP 500)', () => {
  it('gets the others, and the record waits until more of them were accepted', async () => {
    backend.answer = (body) => ({ http: body.includes('poison') ? 500 : 200 });
    await start('http/protobuf');
    await Promise.all(['poison', 'good-1', 'good-2', 'good-3'].map(die));
    for (const mark of ['good-1', 'good-2', 'good-3']) await arrives(mark);
    const record = await waitsAlone(/^HTTP 500/);
    expect(record.body).toContain('exited with code 3');
    await die('good-4');
    await arrives('good-4');
    const { lost, last_success } = await logs();
    expect([lost, backend.has('poison')]).toEqual([0, false]);
    expect(last_success).not.toBeNull();
  });
});

describe('a backend that lies', () => {
  it('with a web page and status 200: the record waits', async () => {
    backend.answer = () => ({ type: 'text/html; charset=utf-8', body: Buffer.from('<html>Log in</html>') });
    await start('http/protobuf');
    await die('lone-record');
    const { last_failure } = await until('the failure', WITHIN_MS, async () => {
      const now = await logs();
      return now.last_failure === null ? undefined : now;
    });
    expect(last_failure).toMatchObject({ kind: 'misconfigured' });
    expect(await logs()).toMatchObject({ last_success: null, lost: 0 });
  });

  it('with a partial success of more records than it was sent: no more are counted', async () => {
    backend.answer = () => ({ body: partialSuccess(1_000_000, 'too many') });
    await start('http/protobuf');
    await die('lone-record');
    await arrives('lone-record');
    await until('the count', WITHIN_MS, async () => (await logs()).lost > 0 || undefined);
    expect((await logs()).lost).toBe(1);
  });
});
