// SPDX-License-Identifier: Apache-2.0
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Hello } from '../../src/core/wire/event.ts';
import { answer, serveHealth } from '../../src/io/health.ts';
import { newStats, type Stats } from '../../src/io/stats.ts';

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
  probes: [
    probe('sched_process_exit'),
    probe('signal_generate'),
    probe('signal_deliver'),
    probe('mark_victim', false, 'old kernel'),
  ],
};
const stats = (changes: Partial<Stats> = {}): Stats => ({ ...newStats(0), connected: true, hello, ...changes });

describe('/readyz', () => {
  it.each<[string, Stats, number, string]>([
    ['ready', stats(), 200, 'ready'],
    ['no loader yet', newStats(0), 503, 'not yet connected'],
    ['loader gone, and why', stats({ connected: false, socketError: 'nobody listens' }), 503, 'nobody listens'],
    ['only a watcher', stats({ hello: { ...hello, role: 'watcher' } }), 503, 'role of the consumer'],
    [
      'a required probe missing, and why',
      stats({ hello: { ...hello, probes: [probe('sched_process_exit'), probe('signal_generate', false, 'no BTF')] } }),
      503,
      'signal_generate is not attached: no BTF',
    ],
    ['no exit probe at all', stats({ hello: { ...hello, probes: [] } }), 503, 'sched_process_exit'],
  ])('%s', (_, state, status, text) => {
    const result = answer('GET', '/readyz', state);
    expect(result.status).toBe(status);
    expect(JSON.stringify(result.body)).toContain(text);
  });
});

describe('the server', () => {
  const get = async (server: Server, path: string, method = 'GET') => {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, { method });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };

  it('answers /livez, /readyz and /status, and nothing else', async () => {
    const server = await serveHealth({ host: '127.0.0.1', port: 0 }, stats({ received: 3, reported: 2, filtered: 1 }));
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

  it('counts what was lost by the stage that lost it', () => {
    const lost = { ring_full: 3n, memory_full: 9n, missed: 1n, undecodable: 4n };
    const loader = {
      lost,
      clock_offset_ns: 0n,
      ring_bytes: 1,
      ring_used_bytes: 0,
      deaths: 8n,
      exits_normal: 1n,
      read_seq: 0n,
      acked_seq: 0n,
    };
    const state = stats({ loader: { type: 'status', ...loader }, badDeaths: 1, evicted: 2, damaged: 1, rejected: 2 });
    expect(answer('GET', '/status', state).body).toMatchObject({
      deaths: { lost: { kernel: 4, loader: 5, queue: 3, export: 2 } },
    });
  });

  it('says in one sentence that the port is taken, and what to do', async () => {
    const server = await serveHealth({ host: '127.0.0.1', port: 0 }, stats());
    const { port } = server.address() as AddressInfo;
    await expect(serveHealth({ host: '127.0.0.1', port }, stats())).rejects.toMatchObject({
      code: 'HEALTH_ADDR_TAKEN',
      message: expect.stringMatching(/already in use: .*WHODUNIT_HEALTH_ADDR/),
    });
    server.close();
  });

  it('says that an address is not of this machine', async () => {
    await expect(serveHealth({ host: '192.0.2.1', port: 1 }, stats())).rejects.toMatchObject({
      code: 'HEALTH_ADDR_UNUSABLE',
    });
  });
});
