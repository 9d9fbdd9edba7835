// SPDX-License-Identifier: Apache-2.0
// A backend that refuses data points, or answers metrics slowly: what it rejects is counted, and exports do not pile up.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { until } from '../../scripts/stack/program.ts';
import { exportTo, type Protocol, startCommand, startWhodunit, type Whodunit } from '../../scripts/stack/whodunit.ts';
import { partialSuccess } from '../chaos/otlp-bytes.ts';
import { type Answer, Backend, die, onlyTheTest } from './backend.ts';

const WITHIN_MS = 120_000;
/** Longer than several of the metric intervals of exportTo(), which are 500 ms. */
const SLOW_MS = 4_000;
const INVALID_ARGUMENT = 3;

let backend: Backend;
let whodunit: Whodunit;
let rules: ReturnType<typeof onlyTheTest>;

beforeEach(async () => {
  rules = onlyTheTest();
  backend = await Backend.start();
});

afterEach(async () => {
  await whodunit?.stop();
  backend.stop();
  rules.remove();
});

const start = async (protocol: Protocol): Promise<void> => {
  whodunit = await startWhodunit({ ...exportTo(backend.endpoints, protocol), ...rules.env });
};
const rejected = async (): Promise<number> => {
  const response = await fetch(`http://${whodunit.at.health}/status`);
  return ((await response.json()) as { export: { metrics: { rejected: number } } }).export.metrics.rejected;
};

it.each<[string, Protocol, Answer]>([
  ['with a partial success, over HTTP', 'http/protobuf', { body: partialSuccess(3, 'too old') }],
  ['with a partial success, over gRPC', 'grpc', { body: partialSuccess(3, 'too old') }],
  ['with HTTP 400', 'http/protobuf', { http: 400 }],
  ['with INVALID_ARGUMENT', 'grpc', { grpc: INVALID_ARGUMENT }],
])('data points that are rejected %s are counted, in /status and by the doctor', async (_, protocol, answer) => {
  backend.answer = (_, signal) => (signal === 'metrics' ? answer : {});
  await start(protocol);
  await until('a count', WITHIN_MS, async () => (await rejected()) > 0 || undefined);
  const doctor = startCommand(whodunit.at, ['doctor']);
  await doctor.ended;
  expect(doctor.stdout()).toMatch(/metrics .*\d+ data points rejected/);
});

it('exports that are answered slowly do not pile up, and the last one has the newest values', async () => {
  let answerNow: (() => void) | null = null;
  const slow = new Promise<void>((resolve) => {
    answerNow = resolve;
  });
  backend.answer = async (_, signal) => {
    if (signal === 'metrics') await slow;
    return {};
  };
  await start('http/protobuf');
  await until('a request', WITHIN_MS, () => backend.requests.metrics.length > 0 || undefined);
  await die('one');
  await sleep(SLOW_MS);
  const during = backend.requests.metrics.length;
  backend.answer = () => ({});
  (answerNow as (() => void) | null)?.();
  await until(
    'the newest value',
    WITHIN_MS,
    () => backend.accepted.metrics.some((body) => body.includes('whodunit.process.terminations')) || undefined,
  );
  // One request is in flight. The exporter itself may have tried again.
  expect(during).toBeLessThan(4);
});
