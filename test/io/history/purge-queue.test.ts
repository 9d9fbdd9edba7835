// SPDX-License-Identifier: Apache-2.0
// `whodunit purge --undelivered` and the queue of a service: while it runs and the collector refuses, and before its next start.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../scripts/stack/program.ts';
import type { Entry } from '../../../src/core/history/entry.ts';
import { openHistory } from '../../../src/io/history/reader.ts';
import { death, type Running, startService } from '../../support/service.ts';

const WITHIN = { timeout: 120_000 };
let directory: ReturnType<typeof temporaryDirectory>;
let collector: Server;
/** It accepts what it gets. */
let accepts: boolean;
let received: string;
const running: Running[] = [];

beforeEach(async () => {
  [directory, accepts, received] = [temporaryDirectory(), false, ''];
  collector = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      if (accepts) received += body;
      response.writeHead(accepts ? 200 : 503, { 'content-type': 'application/json' }).end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.remove();
  collector.closeAllConnections();
  collector.close();
  directory.remove();
});

const state = () => join(directory.path, 'state');

async function start(...args: string[]): Promise<Running> {
  const { port } = collector.address() as AddressInfo;
  const one = await startService(args, {
    WHODUNIT_STATE_DIR: state(),
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_METRICS_EXPORTER: 'none',
  });
  running.push(one);
  return one;
}

async function purge(...args: string[]) {
  const one = await start('purge', ...args);
  return { code: await one.ended(), out: one.out(), err: one.err() };
}

/** By pid. Empty: the service has not made the history yet. */
function entries(): ReadonlyMap<number | null, Entry> {
  try {
    return new Map(
      openHistory(state())
        .list({}, { limit: 10 })
        .entries.map((entry) => [entry.process.pid, entry]),
    );
  } catch {
    return new Map();
  }
}

async function uidOf(pid: number): Promise<string> {
  await expect.poll(() => entries().get(pid)?.delivery.state, WITHIN).toBe('waiting');
  return entries().get(pid)?.uid ?? '';
}

it('removes what waits from the queue of a running service, and of one that starts later', {
  timeout: 300_000,
}, async () => {
  const service = await start('run');
  service.loader.send(death('death-exit-3', 10), death('death-segfault', 20));
  const [unwanted, other] = [await uidOf(10), await uidOf(20)];
  const kept = await purge('--id', unwanted);
  expect(kept).toMatchObject({ code: 1, err: expect.stringContaining('1 more are not delivered yet and stay') });
  const removed = await purge('--id', unwanted, '--undelivered');
  expect(removed).toMatchObject({ code: 0, out: expect.stringMatching(/^1 records were removed\n1 of them wait/) });
  await expect.poll(() => service.err(), WITHIN).toContain('whodunit purge: 1 records were removed from the queue');
  accepts = true;
  await expect.poll(() => received, WITHIN).toContain(other);
  accepts = false;
  service.loader.send(death('death-oom', 30));
  const late = await uidOf(30);
  await service.stop();
  expect((await purge('--id', late, '--undelivered')).out).toContain('at its next start, before it sends any');
  accepts = true;
  const again = await start('run');
  again.loader.send(death('death-exit-3', 40));
  await expect.poll(() => entries().get(40)?.delivery.state, WITHIN).toBe('delivered');
  expect(received).toContain(entries().get(40)?.uid);
  expect([received.includes(unwanted), received.includes(late)]).toEqual([false, false]);
  expect([...entries().keys()].sort()).toEqual([20, 40]);
});
