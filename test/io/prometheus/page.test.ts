// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { request, type Server } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { classify } from '../../../src/core/verdict/classify.ts';
import type { Observed } from '../../../src/io/otlp/own-instruments.ts';
import { MetricsPage } from '../../../src/io/prometheus/page.ts';
import { isKnownHost, servePage } from '../../../src/io/prometheus/server.ts';
import { killedBy, signal, victim } from '../../support/deadly.ts';
import { resourceOfVictim } from '../../support/derived.ts';
import { host } from '../../support/host.ts';

const ORIGIN = '54321 /user.slice/user-54321.slice';
const ADDRESS = { host: '127.0.0.1', port: 0 };
const observed: Observed = {
  normalExits: 7,
  reported: 0,
  filtered: 0,
  aggregated: 0,
  lost: { kernel: 0, loader: 0, queue: 0, export: 0 },
  exceeded: [],
  factsLost: 0,
  queue: { records: 2, bytes: 10, oldestMs: null },
};

let page: MetricsPage;
let server: Server;
let port: number;

async function serve(intervalMs: number): Promise<void> {
  page = new MetricsPage({ address: ADDRESS, host, intervalMs, observe: () => observed });
  server = await servePage(ADDRESS, page);
  ({ port } = server.address() as AddressInfo);
}

beforeEach(() => serve(0));
afterEach(() => server.close());

function kill(name: string, env: Record<string, string> = {}): void {
  const death = killedBy(9, { signal: signal(9), process: victim({ env: { OTEL_SERVICE_NAME: name, ...env } }) });
  page.terminated(resourceOfVictim(death), classify(death), ORIGIN);
}

interface Asked {
  readonly method?: string;
  readonly path?: string;
  readonly from?: string;
}

async function ask({ method = 'GET', path = '/metrics', from }: Asked = {}): Promise<{ status: number; text: string }> {
  const headers = from === undefined ? {} : { host: from };
  const [response] = await once(request({ port, method, path, headers }).end(), 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return { status: response.statusCode, text };
}

const lines = async (name: string): Promise<string[]> =>
  (await ask()).text.split('\n').filter((line) => line.startsWith(name));

describe('/metrics', () => {
  it('names service and host of each series, and has each family once', async () => {
    kill('checkout');
    kill('cart', { OTEL_RESOURCE_ATTRIBUTES: 'service.namespace=shop' });
    const { status, text } = await ask();
    expect(status).toBe(200);
    expect(text.match(/^# TYPE whodunit_process_terminations_total counter$/gm)).toHaveLength(1);
    expect(text).toMatch(/^whodunit_process_terminations_total\{.*service_name="checkout".*\} 0$/m);
    expect(text).toMatch(
      /^whodunit_process_terminations_total\{(?=.*service_name="cart")(?=.*service_namespace="shop")(?=.*host_name="[^"]+")(?=.*whodunit_cause="killed")(?=.*error_type="SIGKILL").*\} 0$/m,
    );
    expect(text).not.toMatch(/^whodunit_.*(?:otel_scope|service_instance_id|telemetry_distro|host_id|os_version)/m);
    expect(text).toMatch(/^target_info\{.*service_name="whodunit".*service_version="/m);
  });

  it.each([
    ['of an executable', victim({ exe: '/tmp/a\u001b[2J\u009b2J\u202eb', args: ['a'], cgroup: '/' })],
    [
      'of a unit of a user',
      victim({ cgroup: '/user.slice/user-1000.slice/user@1000.service/app.slice/a\u001b[2J\u202eb.service' }),
    ],
    ['that is claimed', victim({ env: { OTEL_SERVICE_NAME: 'a\u001b[2J\u2028\u202eb' } })],
  ])('controls no terminal by a name %s', async (_, process) => {
    const death = killedBy(9, { signal: signal(9), process });
    page.terminated(resourceOfVictim(death), classify(death), ORIGIN);
    const { text } = await ask();
    expect(text).toContain('terminations_total{');
    expect(text).not.toMatch(/[^\P{C}\n]|[\u2028\u2029]/u);
  });

  it('has units in names, as Prometheus has them for OTLP', async () => {
    page.delivered(0.2);
    const { text } = await ask();
    for (const name of [
      'whodunit_process_exits_total{',
      'whodunit_delivery_duration_seconds_bucket{',
      'whodunit_queue_oldest_age_seconds{',
      'whodunit_queue_bytes{',
      'whodunit_queue_size{',
    ])
      expect(text).toContain(`\n${name}`);
    expect(text).toContain('# UNIT whodunit_queue_bytes bytes\n');
  });

  it.each([
    { name: 'at least once', intervalMs: 0, values: ['0', '1', '1'] },
    { name: 'for half of the interval, however often it is asked', intervalMs: 3_600_000, values: ['0', '0', '0'] },
  ])('shows the 0 of a new series before its value, $name', async ({ intervalMs, values }) => {
    server.close();
    await serve(intervalMs);
    kill('checkout');
    for (const value of values)
      expect(await lines('whodunit_process_terminations_total')).toEqual([expect.stringMatching(` ${value}$`)]);
  });

  it('answers requests at the same time, each completely', async () => {
    kill('checkout');
    const all = await Promise.all(Array.from({ length: 8 }, () => lines('whodunit_process_terminations_total')));
    expect(all.every((found) => found.length === 1)).toBe(true);
    kill('checkout');
    expect(await lines('whodunit_process_terminations_total')).toEqual([expect.stringMatching(/ 2$/)]);
  });

  it('is made once for requests at the same time, and rarely if it takes long', async () => {
    let collections = 0;
    server.close();
    const busy = (): Observed => {
      collections += 1;
      for (const end = performance.now() + 100; performance.now() < end; );
      return observed;
    };
    page = new MetricsPage({ address: ADDRESS, host, intervalMs: 0, observe: busy });
    server = await servePage(ADDRESS, page);
    ({ port } = server.address() as AddressInfo);
    const many = await Promise.all(Array.from({ length: 40 }, () => ask()));
    const perPage = collections;
    expect(new Set(many.map(({ text }) => text)).size).toBe(1);
    await ask();
    expect([collections, many[0]?.status]).toEqual([perPage, 200]);
  });

  it('says when it was last asked for', async () => {
    expect(page.snapshot().lastMs).toBeNull();
    await ask();
    expect(page.snapshot().lastMs).toBeGreaterThan(0);
  });
});

describe('a request', () => {
  it('for another path, or with another method, is refused', async () => {
    expect(await ask({ path: '/status' })).toEqual({ status: 404, text: 'the path is /metrics\n' });
    expect((await ask({ method: 'POST' })).status).toBe(405);
    expect((await ask({ path: '/metrics?collect=all' })).status).toBe(200);
  });

  it('through a name that was rebound to this machine is refused with the remedy', async () => {
    const { status, text } = await ask({ from: 'attacker.example:9464' });
    expect(status).toBe(403);
    expect(text).toMatch(
      /^the Host header is "attacker\.example:9464"; .*OTEL_EXPORTER_PROMETHEUS_HOST is answered\n$/,
    );
  });
});

describe('the Host header', () => {
  const address = { host: 'Node7.example', port: 9464 };

  it.each(['localhost:9464', '127.0.0.1', '10.0.0.7:9464', '[FD00::7]:9464', 'node7.example:9464', 'NODE7'])(
    '%s is known',
    (header) => {
      expect(isKnownHost(header, address, 'node7')).toBe(true);
    },
  );

  it.each([undefined, '', 'attacker.example', 'node7.attacker.example', '127.0.0.1.attacker.example', '10.0.0.7@x'])(
    '%s is not',
    (header) => {
      expect(isKnownHost(header, address, 'node7')).toBe(false);
    },
  );
});

it('fails with one sentence and the remedy if the port is in use', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const taken = { host: '127.0.0.1', port: (other.address() as AddressInfo).port };
  await expect(servePage(taken, page)).rejects.toMatchObject({
    code: 'METRICS_ADDR_TAKEN',
    message: expect.stringMatching(
      /^The address of \/metrics 127\.0\.0\.1:\d+ is already in use by .* \(pid \d+, uid \d+\): stop that program, or set OTEL_EXPORTER_PROMETHEUS_PORT to another port\.$/,
    ),
  });
  other.close();
  await expect(servePage({ host: '192.0.2.1', port: 1 }, page)).rejects.toMatchObject({
    code: 'METRICS_ADDR_UNUSABLE',
    message: expect.stringContaining('set OTEL_EXPORTER_PROMETHEUS_HOST to an address of this machine'),
  });
});
