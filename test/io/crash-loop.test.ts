// SPDX-License-Identifier: Apache-2.0
// A crash loop and an incident, against the whole service: what is reported, whether the counters add up, and that SIGKILL loses no
// aggregated termination.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { until } from '../../scripts/stack/fake-loader.ts';
import { freePorts, temporaryDirectory } from '../../scripts/stack/program.ts';
import { death, type Running, startService } from '../support/service.ts';

const TERMINATIONS = 1000;
const RECORDS = 10;

const running: Running[] = [];
const start = async (...given: Parameters<typeof startService>) => {
  const service = await startService(...given);
  running.push(service);
  return service;
};
afterEach(async () => {
  for (const service of running.splice(0)) await service.remove();
});

const crashLoop = (): string[] => Array.from({ length: TERMINATIONS }, (_, i) => death('death-exit-3', 10 * (i + 1)));
const LAST_SEQ = BigInt(10 * TERMINATIONS);

/** A collector that keeps the event name of each record, and the count of each summary. */
async function collect() {
  const received: { event: string; aggregated: number; incident: string | undefined }[] = [];
  const server = createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    for (const { scopeLogs } of JSON.parse(body).resourceLogs)
      for (const { eventName, attributes } of scopeLogs[0].logRecords) {
        const attribute = (name: string) => attributes.find(({ key }: { key: string }) => key === name)?.value;
        received.push({
          event: eventName,
          aggregated: Number(attribute('whodunit.aggregated.count')?.intValue ?? 0),
          incident: attribute('whodunit.incident.id')?.stringValue,
        });
      }
    response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { endpoint, received, close: () => server.close() };
}

describe('a crash loop', () => {
  it('of 1,000 terminations in a minute is reported as 10 records and a summary; the counters add up; all are acknowledged', async () => {
    const [port] = await freePorts(1);
    const health = { WHODUNIT_HEALTH_ADDR: `127.0.0.1:${port}`, WHODUNIT_RECORDS_PER_MINUTE: '10' };
    const service = await start(['run', '--output', 'json'], health);
    service.loader.send(...crashLoop());
    await until(() => service.loader.acks().includes(LAST_SEQ), 'the last ack');
    const status = (await (await fetch(`http://127.0.0.1:${port}/status`)).json()) as { deaths: object };
    expect(status.deaths).toMatchObject({
      received: TERMINATIONS,
      reported: RECORDS,
      aggregated: TERMINATIONS - RECORDS,
      filtered: 0,
      pending: 0,
    });
    expect(await service.stop()).toBe(0);
    const records = service
      .out()
      .trim()
      .split('\n')
      .map((text) => JSON.parse(text));
    expect(records.map(({ event_name }) => event_name)).toEqual([
      ...Array(RECORDS).fill('whodunit.process.termination'),
      'whodunit.process.termination.summary',
    ]);
    expect(records.at(-1)).toMatchObject({
      body: 'checkout terminated 990 more times within 0 µs: 990 × exit.',
      attributes: { 'whodunit.aggregated.count': 990, 'whodunit.aggregated.by_cause.exit': 990 },
    });
  });

  it('is reported completely if the service is killed within the minute, after all terminations were acknowledged', async () => {
    const state = temporaryDirectory();
    const collector = await collect();
    const [port] = await freePorts(1);
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'none',
      WHODUNIT_STATE_DIR: state.path,
      WHODUNIT_HEALTH_ADDR: `127.0.0.1:${port}`,
      WHODUNIT_RECORDS_PER_MINUTE: String(RECORDS),
    };
    try {
      const killed = await start(['run'], env);
      killed.loader.send(...crashLoop());
      await until(() => killed.loader.acks().includes(LAST_SEQ), 'the last ack');
      await killed.remove(); // SIGKILL
      const next = await start(['run'], env);
      await until(() => collector.received.some(({ aggregated }) => aggregated > 0), 'the summary');
      const answer = await fetch(`http://127.0.0.1:${port}/status`);
      const { deaths: sum } = (await answer.json()) as { deaths: object };
      expect(await next.stop()).toBe(0);
      const single = new Set(collector.received.filter(({ aggregated }) => aggregated === 0).map(({ event }) => event));
      expect(single).toEqual(new Set(['whodunit.process.termination']));
      expect(collector.received.filter(({ aggregated }) => aggregated > 0)).toEqual([
        { event: 'whodunit.process.termination.summary', aggregated: TERMINATIONS - RECORDS, incident: undefined },
      ]);
      const aggregated = TERMINATIONS - RECORDS;
      expect(sum).toMatchObject({ received: TERMINATIONS, aggregated, summaries: 1, filtered: 0 });
    } finally {
      collector.close();
      state.remove();
    }
  });
});

describe('an incident', () => {
  const killed = (seq: number): string => death('death-sigkill-by-another', seq);

  it('whose service is killed before the members are reported has its record once, under the same id', async () => {
    const state = temporaryDirectory();
    const collector = await collect();
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_METRICS_EXPORTER: 'none',
      WHODUNIT_STATE_DIR: state.path,
      WHODUNIT_RECORDS_PER_MINUTE: String(RECORDS),
    };
    try {
      const first = await start(['run'], env);
      first.loader.send(killed(10), killed(20), killed(30));
      await until(() => first.loader.acks().includes(30n), 'the last ack');
      await first.remove(); // SIGKILL
      const next = await start(['run'], env);
      next.loader.send(killed(30), killed(40));
      const ofMembers = () => collector.received.filter(({ event }) => event === 'whodunit.incident');
      await until(() => ofMembers().length > 0, 'the members');
      expect(await next.stop()).toBe(0);
      expect(ofMembers()).toEqual([
        { event: 'whodunit.incident', aggregated: 3, incident: collector.received[0]?.incident },
      ]);
    } finally {
      collector.close();
      state.remove();
    }
  });

  it('without a queue is acknowledged when it is printed', async () => {
    const service = await start(['run', '--output', 'json'], { WHODUNIT_RECORDS_PER_MINUTE: String(RECORDS) });
    service.loader.send(killed(10), killed(20), killed(30));
    await until(() => service.loader.acks().includes(30n), 'the last ack');
    const printed = service.out().trim().split('\n');
    expect(printed.map((line) => JSON.parse(line).event_name)).toEqual([
      'whodunit.process.termination',
      'whodunit.incident',
    ]);
    expect(service.loader.acks()).not.toContain(20n);
    expect(await service.stop()).toBe(0);
  });
});
