// SPDX-License-Identifier: Apache-2.0
// followService against a fake service and a fake collector.
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followService } from '../../../src/io/doctor/follow-service.ts';
import type { Step } from '../../../src/io/doctor/step.ts';

const PID = 4711;
const UID = '00000000-0000-5000-8000-000000000001';
const ENDED = '2026-11-25T10:00:00.000Z';

const subject = {
  executable: ['/usr/bin/sleep', 'sleep'],
  cgroup: null,
  container: null,
  unit: null,
  service: 'unknown_service:sleep',
  user: null,
  arguments: null,
  exitCode: null,
  signo: 9,
  cause: 'killed',
  uptimeSeconds: 1,
};
const recent = { time: ENDED, pid: PID, outcome: 'reported', rule: 'the rest', subject };

let service: Server;
let collector: Server;
let endpoint: string;
/** What /recent and /status answer. */
let answers: { recent: object[]; status: object };

async function listening(server: Server): Promise<number> {
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return (server.address() as AddressInfo).port;
}

beforeEach(async () => {
  collector = createServer((_, response) => response.end());
  endpoint = `http://127.0.0.1:${await listening(collector)}/v1/logs`;
  service = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(request.url === '/recent' ? answers.recent : answers.status));
  });
  answers = { recent: [recent], status: status({}) };
});

afterEach(() => {
  for (const server of [service, collector]) {
    server.closeAllConnections();
    server.close();
  }
});

const rejection = (uid: string | null) => ({
  time: ENDED,
  count: 1,
  reason: 'HTTP 400 (pid 4711)',
  uid,
  body: 'x',
});

function status(logs: object, rejected: object[] = [], oldestAgeSeconds: number | null = null): object {
  const signal = { target: null, last_success: null, last_error: null, last_failure: null, rejected: 0 };
  const queue = {
    path: '/var/lib/whodunit/queue.db',
    size: 0,
    bytes: 0,
    bytes_max: 1,
    oldest_age_s: oldestAgeSeconds,
    error: null,
    evicted: 0,
    damaged: 0,
    rejected: { count: rejected.length, last: rejected },
  };
  const target = { protocol: 'http/json', endpoint };
  return { queue, export: { logs: { ...signal, target, ...logs }, metrics: signal, traces: signal } };
}

async function follow(): Promise<Step[]> {
  const health = { host: '127.0.0.1', port: await listening(service) };
  const steps: Step[] = [];
  for await (const step of followService(health, { pid: PID, uid: UID, since: () => 7 }, null)) steps.push(step);
  return steps;
}

describe('a termination that the service handles', () => {
  it('is followed until the collector accepts it', async () => {
    answers.status = status({ last_success: '2026-11-25T10:00:01.000Z' });
    expect(await follow()).toEqual([
      { what: 'service', afterMs: 7, text: 'reported, by the rule "the rest"', broken: false },
      { what: 'collector', afterMs: 7, text: `accepted over http/json by ${endpoint}`, broken: false },
    ]);
  });

  it('fails at step rules if a rule only counts it', async () => {
    answers.recent = [{ ...recent, outcome: 'filtered' }];
    expect(await follow()).toMatchObject([{ what: 'rules', broken: true }]);
  });

  it('counts as rejected only if its own uid was rejected, whatever reasons and bodies contain', async () => {
    const accepted = { last_success: '2026-11-25T10:00:01.000Z' };
    answers.status = status(accepted, [rejection('00000000-0000-5000-8000-000000000002'), rejection(null)]);
    expect((await follow()).at(-1)).toMatchObject({ what: 'collector', broken: false });
    service.close();
    service.closeAllConnections();
    answers.status = status(accepted, [rejection(UID)]);
    expect((await follow()).at(-1)).toMatchObject({
      what: 'collector',
      broken: true,
      text: expect.stringContaining('did not accept the record (HTTP 400 (pid 4711))'),
    });
  });

  it.each([
    ['credentials', { kind: 'http', code: 401 }, 'OTEL_EXPORTER_OTLP_HEADERS'],
    ['backend', { kind: 'grpc', code: 12 }, 'OTEL_EXPORTER_OTLP_LOGS_ENDPOINT'],
    ['collector', { kind: 'unreached', cause: 'ECONNRESET' }, "the collector's log"],
  ])('fails at step %s, by the status of the failure, not by its text', async (step, failure, remedy) => {
    const last_failure = { kind: 'misconfigured', status: failure, message: 'any text' };
    answers.status = status({ last_error: 'any text', last_failure }, [], 1e9);
    expect((await follow()).at(-1)).toMatchObject({
      what: step,
      broken: true,
      text: expect.stringContaining(remedy),
    });
  });

  it('shows the text of the failure if the service reports no status', async () => {
    answers.status = status({ last_error: 'HTTP 404 Not Found', last_failure: undefined }, [], 1e9);
    expect((await follow()).at(-1)).toMatchObject({
      what: 'collector',
      broken: true,
      text: expect.stringContaining('(HTTP 404 Not Found)'),
    });
  });
});
