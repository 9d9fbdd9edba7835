// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FakeLoader, golden, goldenObject, line } from '../../../scripts/stack/fake-loader.ts';
import { httpFailure, type Outcome } from '../../../src/core/delivery/outcome.ts';
import { type DoctorInput, examine, renderFindings } from '../../../src/io/doctor/doctor.ts';

let loader: FakeLoader;

beforeEach(async () => {
  loader = await new FakeLoader().start();
  loader.greeting = golden('hello') + golden('status');
});

afterEach(() => loader.remove());

const input = (changes: Partial<DoctorInput> = {}): DoctorInput => ({
  socketPath: loader.path,
  pinDir: '/sys/fs/bpf/whodunit-test-nothing',
  logs: null,
  metrics: null,
  traces: null,
  page: null,
  health: null,
  askLogs: null,
  ...changes,
});
const levels = async (changes: Partial<DoctorInput> = {}) =>
  Object.fromEntries((await examine(input(changes))).map(({ what, level, text }) => [what, [level, text]]));

const NOW = '2026-11-25T10:00:00.000Z';
const UNAUTHORIZED = { kind: 'misconfigured', status: { kind: 'http', code: 401 }, message: 'any text' };

describe('the doctor', () => {
  it('finds no problem on a working machine, and acknowledges nothing', async () => {
    const found = await levels();
    expect(Object.values(found).filter(([level]) => level === 'bad')).toEqual([]);
    expect(found.ring?.[1]).toBe('4 KiB of 8 MiB used (0 %)');
    expect(found['probe mark_victim']).toEqual(['note', expect.stringContaining('pid only')]);
    expect(found.gap).toEqual([
      'note',
      expect.stringMatching(/^until 2026-\S+Z: No probe was attached for 4\.3 s, .* FileDescriptorStoreMax=/),
    ]);
    expect(loader.received).toEqual([]);
  });

  it('names the remedy if the loader is not running', async () => {
    await loader.stop();
    expect((await levels()).socket).toEqual(['bad', expect.stringContaining('whodunit-loader run')]);
  });

  it('finds a required probe that is not attached', async () => {
    loader.greeting =
      line({ ...goldenObject('hello'), probes: [{ name: 'sched_process_exit', attached: false, note: 'no BTF' }] }) +
      golden('status');
    expect((await levels())['probe sched_process_exit']).toEqual(['bad', 'no BTF']);
  });

  it.each([
    [
      'when they are copied, and what has no names',
      { copied: 'at the exit', missing: ['grant A', 'mount B'] },
      ['ok: of crashes: copied at the exit', 'note: grant A', 'note: mount B'],
    ],
    ['why there are none', { copied: 'off', missing: ['use Linux 6.1'] }, ['note: use Linux 6.1']],
    ['nothing for an older loader, which does not say', undefined, []],
  ])('says of stacks %s', async (_, stacks, expected) => {
    loader.greeting = line({ ...goldenObject('hello'), stacks }) + golden('status');
    const rows = (await examine(input())).filter(({ what }) => what === 'stacks');
    expect(rows.map(({ level, text }) => `${level}: ${text}`)).toEqual(expected);
  });

  it('finds a ring that is nearly full', async () => {
    loader.greeting = golden('hello') + line({ ...goldenObject('status'), ring_used_bytes: 8_000_000 });
    expect((await levels()).ring).toEqual(['bad', expect.stringContaining('95 %')]);
  });

  it('finds a socket that speaks another protocol', async () => {
    loader.greeting = 'hello?\n';
    expect((await levels()).socket?.[0]).toBe('bad');
  });

  it('finds a collector that cannot be reached', async () => {
    const logs = { protocol: 'grpc', endpoint: 'http://127.0.0.1:1' } as const;
    expect((await levels({ logs })).logs).toEqual(['bad', expect.stringContaining('ECONNREFUSED')]);
  });

  it('reports the answer of a collector that listens', async () => {
    const server = createServer((_, response) => void response.end()).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const logs = {
      protocol: 'http/json',
      endpoint: `http://me:secret@127.0.0.1:${port}/v1/logs`,
    } as const;
    const shown = `http/json to http://127.0.0.1:${port}/v1/logs`;
    const ask = (outcome: Outcome) => () => Promise.resolve(outcome);
    const yes = await levels({ logs, askLogs: ask({ kind: 'success', partial: null }) });
    expect(yes.logs).toEqual(['ok', shown]);
    const no = await levels({
      logs,
      askLogs: ask(httpFailure({ status: 404, retryAfter: undefined, text: 'Not Found' }, 0)),
    });
    expect(no.logs).toEqual(['bad', expect.stringContaining('does not accept logs (HTTP 404 Not Found)')]);
    server.close();
  });

  it.each([
    ['a failure, by its status', { last_error: 'HTTP 401 x', last_failure: UNAUTHORIZED }, 'bad', 'refuses access'],
    [
      'a failure as text only, as version 0.1.0 sends it',
      { last_error: 'HTTP 401 x' },
      'bad',
      'did not accept the record (HTTP 401 x)',
    ],
    ['rejected records', { last_success: NOW, rejected: 3 }, 'note', `last accepted ${NOW}, 3 records rejected`],
    ['no rejected records', { last_success: NOW }, 'ok', `last accepted ${NOW}`],
  ])('reports from a running service: %s', async (_, state, level, text) => {
    const collector = createServer((_request, response) => void response.end());
    const service = createServer((_request, response) => void response.end(JSON.stringify(status)));
    for (const server of [collector, service]) await once(server.listen(0, '127.0.0.1'), 'listening');
    const portOf = (server: Server) => (server.address() as AddressInfo).port;
    const idle = { target: null, last_success: null, last_error: null };
    const target = { protocol: 'http/json', endpoint: `http://127.0.0.1:${portOf(collector)}/v1/logs` };
    const status = { queue: null, export: { logs: { ...idle, target, ...state }, metrics: idle, traces: idle } };
    const { logs } = await levels({ health: { host: '127.0.0.1', port: portOf(service) } });
    expect(logs).toEqual([level, expect.stringContaining(text)]);
    for (const server of [collector, service]) server.close();
  });

  it.each([
    [{ printed: 3, skipped: 0, waiting_bytes: 0, error: null }, 'ok', '3 records printed'],
    [
      { printed: 3, skipped: 2, waiting_bytes: 4_096, error: null },
      'note',
      '3 records printed, 2 only sent, because its reader was too slow, 4 KiB wait for its reader',
    ],
    [{ printed: 3, skipped: 0, waiting_bytes: 0, error: 'its reader is gone' }, 'bad', 'its reader is gone'],
  ])('reports what a running service prints: %j', async (stdout, level, text) => {
    const idle = { target: null, last_success: null, last_error: null };
    const status = { queue: null, stdout, export: { logs: idle, metrics: idle, traces: idle } };
    const service = createServer((_request, response) => void response.end(JSON.stringify(status)));
    await once(service.listen(0, '127.0.0.1'), 'listening');
    const found = await levels({ health: { host: '127.0.0.1', port: (service.address() as AddressInfo).port } });
    expect(found.stdout).toEqual([level, text]);
    service.close();
  });

  it.each([
    ['without a service', null, 'ok', 'http://localhost:9464/metrics'],
    ['that is not scraped', null, 'note', 'http://127.0.0.1:9464/metrics: not asked for yet.'],
    ['that is scraped', NOW, 'ok', `last asked for ${NOW}`],
  ])('reports /metrics of a service %s, and not that metrics are not sent', async (name, last, level, text) => {
    const idle = { target: null, last_success: null, last_error: null };
    const prometheus = { host: '127.0.0.1', port: 9464, last_scrape: last };
    const status = { queue: null, export: { logs: idle, metrics: idle, traces: idle, prometheus } };
    const service = createServer((_request, response) => void response.end(JSON.stringify(status)));
    await once(service.listen(0, '127.0.0.1'), 'listening');
    const health = { host: '127.0.0.1', port: (service.address() as AddressInfo).port };
    const page = { host: 'localhost', port: 9464 };
    const found = await levels(name === 'without a service' ? { page } : { health });
    expect(found['/metrics']).toEqual([level, expect.stringContaining(text)]);
    expect(found).not.toHaveProperty('metrics');
    service.close();
  });

  it.each([
    [{ path: '/d', connected: true, known: 3, error: null }, ['ok', '3 are named by /d']],
    [{ path: '/d', connected: false, known: 0, error: null }, ['note', 'not yet connected to /d']],
    [{ path: '/d', connected: false, known: 0, error: 'nothing listens' }, ['note', 'nothing listens']],
    [null, undefined],
  ])('reports who names containers: %j', async (containers, finding) => {
    const idle = { target: null, last_success: null, last_error: null };
    const status = { queue: null, containers, export: { logs: idle, metrics: idle, traces: idle } };
    const service = createServer((_request, response) => void response.end(JSON.stringify(status)));
    await once(service.listen(0, '127.0.0.1'), 'listening');
    const found = await levels({ health: { host: '127.0.0.1', port: (service.address() as AddressInfo).port } });
    expect(found.containers).toEqual(finding);
    service.close();
  });

  it('renders a table', () => {
    const table = renderFindings([
      { what: 'node', level: 'ok', text: 'v24' },
      { what: 'socket', level: 'bad', text: 'gone' },
    ]);
    expect(table).toBe('ok    node    v24\nBAD   socket  gone\n');
  });
});
