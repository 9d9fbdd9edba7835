// SPDX-License-Identifier: Apache-2.0
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from 'vitest';
import { type CounterName, noCounts } from '../../src/core/counters.ts';
import type { LoaderSnapshot, ServiceSnapshot } from '../../src/core/snapshots.ts';
import type { Hello, LoaderStatus } from '../../src/core/wire/event.ts';
import { answer, isOwnHost, type Served, serveHealth } from '../../src/io/health.ts';
import { fetchRecent, fetchStatus } from '../../src/io/health-client.ts';

const probe = (name: string, attached = true, note: string | null = null) => ({ name, attached, note });
const hello: Hello = {
  type: 'hello',
  role: 'consumer',
  consumer_connected: true,
  loader_version: '0.1.0',
  boot_id: 'b',
  kernel_release: '6.18',
  clock_offset_ns: 0n,
  ring_bytes: 1,
  origin_keys_max: 128,
  probes: [
    probe('sched_process_exit'),
    probe('signal_generate'),
    probe('signal_deliver'),
    probe('mark_victim', false, 'old kernel'),
  ],
  stacks: null,
  gap: null,
};
const notConnected: LoaderSnapshot = {
  connected: false,
  hello: null,
  status: null,
  error: null,
  badLines: 0,
  badTerminations: 0,
};
const connected: LoaderSnapshot = { ...notConnected, connected: true, hello };

/** Returns a service with this loader and these counters. */
function served(loader: LoaderSnapshot = connected, counters: Partial<Record<CounterName, number>> = {}): Served {
  const snapshot: ServiceSnapshot = {
    startedMs: 0,
    counters: { ...noCounts(), ...counters },
    duplicates: 0,
    falseClaims: 0,
    exceeded: [],
    loader,
    containers: null,
    outOfMemory: null,
    queue: { path: '/q', bytes: 0, bytesMax: 1, oldestMs: null, error: null },
    history: null,
    mutes: [],
    printer: null,
    exports: { logs: null, metrics: null, traces: null, page: null },
  };
  return { snapshot: () => snapshot, rejections: () => [], recent: () => [] };
}

describe('/readyz', () => {
  it.each<[string, LoaderSnapshot, number, string]>([
    ['ready', connected, 200, 'ready'],
    ['not connected yet', notConnected, 503, 'not yet connected'],
    [
      'disconnected, with the reason',
      { ...connected, connected: false, error: 'no process listens' },
      503,
      'no process listens',
    ],
    [
      'connected as a watcher only',
      { ...connected, hello: { ...hello, role: 'watcher' } },
      503,
      'role of the consumer',
    ],
    [
      'a required probe is not attached, with the reason',
      {
        ...connected,
        hello: { ...hello, probes: [probe('sched_process_exit'), probe('signal_generate', false, 'no BTF')] },
      },
      503,
      'signal_generate is not attached: no BTF',
    ],
    ['no exit probe listed', { ...connected, hello: { ...hello, probes: [] } }, 503, 'sched_process_exit'],
  ])('%s', (_, loader, status, text) => {
    const result = answer('GET', '/readyz', served(loader));
    expect(result.status).toBe(status);
    expect(JSON.stringify(result.body)).toContain(text);
  });
});

describe('another machine or pod', () => {
  const at = (host: string, port: number, path: string) => fetch(`http://${host}:${port}${path}`);
  // An address of this machine that is not a loopback address: what the kubelet and other pods use.
  const outside = Object.values(networkInterfaces())
    .flat()
    .find((one) => one !== undefined && !one.internal && one.family === 'IPv4')?.address;

  it.skipIf(outside === undefined)('gets /livez and /readyz only: no command line, no counter', async () => {
    const server = await serveHealth({ host: '0.0.0.0', port: 0 }, served());
    const { port } = server.address() as AddressInfo;
    const statusOf = async (host: string, path: string) => (await at(host, port, path)).status;
    for (const path of ['/livez', '/readyz']) expect(await statusOf(outside ?? '', path)).toBe(200);
    for (const path of ['/recent', '/status', '/recent?x', '//recent', '/RECENT', '/'])
      expect([path, await statusOf(outside ?? '', path)]).toEqual([path, 403]);
    for (const path of ['/livez', '/readyz', '/recent', '/status']) expect(await statusOf('127.0.0.1', path)).toBe(200);
    server.close();
  });
});

describe('the Host header', () => {
  const localOnly = { host: '127.0.0.1', port: 9465 };

  it.each(['localhost', 'LocalHost:1', '127.0.0.1', '127.3.2.1:9465', '[::1]', '[::1]:9465'])(
    '%s is ours',
    (header) => {
      expect(isOwnHost(header, localOnly)).toBe(true);
    },
  );

  it.each([
    undefined,
    '',
    'attacker.example',
    'attacker.example:9465',
    '127.0.0.1.attacker.example',
    '127.0.0.1:9465.attacker.example',
    'localhost.attacker.example',
    'localhost@attacker.example',
    '[::1].attacker.example',
    '0.0.0.0',
    '10.0.0.1',
  ])('%s is not', (header) => {
    expect(isOwnHost(header, localOnly)).toBe(false);
  });

  it('may be the configured one', () => {
    expect(isOwnHost('node7.example:80', { host: 'Node7.example', port: 9465 })).toBe(true);
    expect(isOwnHost('[FD00::1]:9465', { host: 'fd00::1', port: 9465 })).toBe(true);
  });
});

describe('the health client', () => {
  const at = (server: Server) => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port });

  it('reads /status and /recent', async () => {
    const server = await serveHealth({ host: '127.0.0.1', port: 0 }, served(connected, { pending: 2 }));
    expect(await fetchStatus(at(server))).toMatchObject({ ok: true, value: { queue: { path: '/q', size: 2 } } });
    expect(await fetchRecent(at(server))).toEqual({ ok: true, value: [] });
    server.close();
  });

  it('rejects an answer of another form, with the path of the wrong value', async () => {
    const recent = () => [{ time: '', pid: 'one' }] as never;
    const server = await serveHealth({ host: '127.0.0.1', port: 0 }, { ...served(), recent });
    expect(await fetchRecent(at(server))).toEqual({ ok: false, reason: 'unexpected value at 0.pid' });
    server.close();
  });

  it('returns the reason if no service answers', async () => {
    const server = await serveHealth({ host: '127.0.0.1', port: 0 }, served());
    const address = at(server);
    server.close();
    expect(await fetchStatus(address)).toMatchObject({ ok: false, reason: expect.stringContaining('ECONNREFUSED') });
  });
});

describe('the health server', () => {
  const get = async (server: Server, path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, { method });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it('answers GET /livez, /readyz and /status; 404 for other paths, 405 for other methods', async () => {
    const server = await serveHealth(
      { host: '127.0.0.1', port: 0 },
      served(connected, { received: 3, reported: 2, filtered: 1 }),
    );
    expect(await get(server, '/livez')).toEqual({ status: 200, body: { status: 'alive' } });
    expect((await get(server, '/readyz')).status).toBe(200);
    expect((await get(server, '/status')).body.deaths).toMatchObject({
      received: 3,
      reported: 2,
      filtered: 1,
      lost: { kernel: 0 },
    });
    expect((await get(server, '/x')).status).toBe(404);
    expect((await get(server, '/readyz', 'POST')).status).toBe(405);
    server.close();
  });

  it('counts lost terminations by stage, and those without room in the ring by origin', () => {
    const lost = { ring_full: 3n, memory_full: 9n, missed: 1n, undecodable: 4n };
    const status: LoaderStatus = {
      type: 'status',
      lost,
      lost_by_origin: [{ origin: { cgroup: 2113n, uid: 65_534 }, unit: 'cron.service', deaths: 3n }],
      requests_refused: 5n,
      programs_unknown: 6n,
      clock_offset_ns: 0n,
      ring_bytes: 1,
      ring_used_bytes: 0,
      deaths: 8n,
      counted: 3n,
      exits_normal: 1n,
      read_seq: 0n,
      acked_seq: 0n,
      crashes: { captured: 2n, no_slot: 1n },
    };
    const service = served({ ...connected, status, badTerminations: 1 }, { evicted: 2, damaged: 1, rejected: 2 });
    expect(answer('GET', '/status', service).body).toMatchObject({
      deaths: { lost: { kernel: 4, loader: 5, queue: 3, export: 2 } },
      ring: {
        lost_by_origin: [{ uid: 65_534, cgroup: '2113', unit: 'cron.service', deaths: 3 }],
        crashes: { captured: 2, no_slot: 1 },
      },
    });
  });

  it('fails with the remedy if the port is in use', async () => {
    const server = await serveHealth({ host: '127.0.0.1', port: 0 }, served());
    const { port } = server.address() as AddressInfo;
    await expect(serveHealth({ host: '127.0.0.1', port }, served())).rejects.toMatchObject({
      code: 'HEALTH_ADDR_TAKEN',
      message: expect.stringMatching(
        /already in use by .* \(pid \d+, uid \d+\): stop that program, or set WHODUNIT_HEALTH_ADDR/,
      ),
    });
    server.close();
  });

  it('fails if the address does not belong to this machine', async () => {
    await expect(serveHealth({ host: '192.0.2.1', port: 1 }, served())).rejects.toMatchObject({
      code: 'HEALTH_ADDR_UNUSABLE',
    });
  });
});
