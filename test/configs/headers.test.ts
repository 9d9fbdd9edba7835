// SPDX-License-Identifier: Apache-2.0
// What the files of hosted backends add to the requests of each signal. The backend only notes the headers: what Honeycomb and Grafana Cloud
// do with them is not tested here.
import { afterEach, expect, it } from 'vitest';
import { SETTINGS, startShipped } from '../../scripts/stack/shipped.ts';
import { startBackend } from './backend.ts';

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

/** The smallest request of each signal that a collector passes on. */
const REQUESTS = {
  logs: { resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: 'x' } }] }] }] },
  metrics: {
    resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: 'x', gauge: { dataPoints: [{ asInt: '1' }] } }] }] }],
  },
  traces: {
    resourceSpans: [{ scopeSpans: [{ spans: [{ traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), name: 'x' }] }] }],
  },
} as const;

it.each([
  {
    file: 'honeycomb',
    address: 'HONEYCOMB_ENDPOINT',
    headers: {
      logs: { 'x-honeycomb-team': SETTINGS.HONEYCOMB_API_KEY, 'x-honeycomb-dataset': 'whodunit' },
      metrics: { 'x-honeycomb-team': SETTINGS.HONEYCOMB_API_KEY, 'x-honeycomb-dataset': 'whodunit-metrics' },
      traces: { 'x-honeycomb-team': SETTINGS.HONEYCOMB_API_KEY, 'x-honeycomb-dataset': undefined },
    },
  },
  {
    file: 'grafana-cloud',
    address: 'GRAFANA_CLOUD_OTLP_ENDPOINT',
    headers: {
      logs: { authorization: `Basic ${SETTINGS.GRAFANA_CLOUD_AUTH}` },
      metrics: { authorization: `Basic ${SETTINGS.GRAFANA_CLOUD_AUTH}` },
      traces: { authorization: `Basic ${SETTINGS.GRAFANA_CLOUD_AUTH}` },
    },
  },
] as const)('each signal has its headers with $file', async ({ file, address, headers }) => {
  const backend = await startBackend(null);
  cleanUp.push(backend.stop);
  const shipped = await startShipped(['collector', `backends/${file}`], { ...SETTINGS, [address]: backend.url });
  cleanUp.push(shipped.stop);
  for (const signal of ['logs', 'metrics', 'traces'] as const) {
    const request = { method: 'POST', headers: { 'content-type': 'application/json' } };
    const response = await fetch(`${shipped.http}/v1/${signal}`, {
      ...request,
      body: JSON.stringify(REQUESTS[signal]),
    });
    expect(response.status).toBe(200);
    await expect.poll(() => backend.headers.get(`/v1/${signal}`), { timeout: 60_000 }).toBeDefined();
    const got = backend.headers.get(`/v1/${signal}`) ?? {};
    for (const [name, value] of Object.entries(headers[signal]))
      expect([signal, name, got[name]]).toEqual([signal, name, value]);
  }
});
