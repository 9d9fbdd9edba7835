// SPDX-License-Identifier: Apache-2.0
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { beforeEach, describe, expect, it } from 'vitest';
import { until } from '../../../scripts/stack/fake-loader.ts';
import { buildSpan } from '../../../src/core/telemetry/span.ts';
import { Log } from '../../../src/io/log.ts';
import { SPANS_MAX, Traces } from '../../../src/io/otlp/traces.ts';
import { recordOf } from '../../support/circumstances.ts';
import { exitedWith, victim } from '../../support/deadly.ts';

const ORIGIN = '1000 ';
const span = (pid: number): ReadableSpan => buildSpan(recordOf(exitedWith(1, { process: victim({ pid }) })), 0n);

let exported: number[];
let answer: (done: Parameters<SpanExporter['export']>[1]) => void;
let lines: string[];
let traces: Traces;

beforeEach(() => {
  [exported, lines] = [[], []];
  answer = (done) => done({ code: 0 });
  const exporter: SpanExporter = {
    export: (spans, done) => {
      exported.push(spans.length);
      answer(done);
    },
    shutdown: async () => {},
  };
  traces = new Traces({
    exporter,
    log: new Log((text) => lines.push(text)),
    target: { protocol: 'grpc', endpoint: 'http://backend:4317' },
  });
});

describe('spans', () => {
  it('are sent in batches, after a short delay', async () => {
    for (let pid = 1; pid <= 3; pid += 1) traces.submit(span(pid), ORIGIN);
    await until(() => exported.length > 0, 'a batch');
    expect(exported).toEqual([3]);
    traces.submit(span(4), ORIGIN);
    await until(() => exported.length > 1, 'the next batch');
    expect(traces.snapshot()).toMatchObject({ dropped: 0, lastFailure: null });
  });

  it('that are queued at shutdown are sent', async () => {
    for (let pid = 1; pid <= 600; pid += 1) traces.submit(span(pid), ORIGIN);
    await traces.close(1_000);
    expect(exported).toEqual([512, 88]);
  });

  it('that the backend does not accept are dropped, counted, and logged once with the remedy', async () => {
    answer = (done) => done({ code: 1, error: new Error('12 UNIMPLEMENTED') });
    traces.submit(span(1), ORIGIN);
    await until(() => traces.snapshot().dropped === 1, 'the first drop');
    traces.submit(span(2), ORIGIN);
    await until(() => traces.snapshot().dropped === 2, 'the second drop');
    expect(lines).toEqual([
      expect.stringContaining('the backend at http://backend:4317 did not receive 1 spans (12 UNIMPLEMENTED)'),
    ]);
    expect(lines[0]).toContain('OTEL_TRACES_EXPORTER=none');
  });

  it('of a flood replace only its own', async () => {
    answer = () => {};
    traces.submit(span(1), 'alice');
    for (let pid = 2; pid <= SPANS_MAX + 7; pid += 1) traces.submit(span(pid), 'mallory');
    expect([...traces.displaced]).toEqual([['mallory', 7]]);
    await traces.close(50);
  });

  it('beyond the limit replace the oldest, which are counted; a backend that never answers does not delay the shutdown', async () => {
    answer = () => {};
    for (let pid = 1; pid <= SPANS_MAX + 7; pid += 1) traces.submit(span(pid), ORIGIN);
    expect(traces.snapshot().dropped).toBe(7);
    await traces.close(50);
    expect(traces.snapshot().dropped).toBe(SPANS_MAX + 7);
  });
});
