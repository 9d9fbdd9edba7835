// SPDX-License-Identifier: Apache-2.0
// The gateway of a fleet while its parts are killed with SIGKILL: Kafka, the gateway itself, and the collector behind it, before a backend
// that accepts everything. Every record arrives. Copies are allowed: backends recognise them by log.record.uid.
import { afterEach, expect, it } from 'vitest';
import { type FleetHost, startHost } from '../../scripts/stack/fleet-host.ts';
import { startGatewayStack } from '../../scripts/stack/gateway.ts';
import type { LogRecord } from '../../scripts/stack/otlp-file.ts';
import { until } from '../../scripts/stack/program.ts';
import { startFleet } from '../../scripts/stack/simulated-hosts.ts';

const ARRIVES_WITHIN_MS = 180_000;
const HOSTS = ['web-1', 'web-2'];
/** Terminations of each host before, during and after each outage. */
const TERMINATIONS = 20;
const SIMULATED_HOSTS = 20;
const SIMULATED_TERMINATIONS = 5;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

function later<T extends { stop: () => unknown }>(started: T): T {
  cleanUp.push(() => started.stop());
  return started;
}

it('nothing is lost while Kafka, the gateway or the collector behind it is killed', { timeout: 600_000 }, async () => {
  const { kafka, gateway, behind, backend } = later(await startGatewayStack());
  const hosts: FleetHost[] = [];
  for (const name of HOSTS)
    hosts.push(
      later(
        await startHost(name, {
          OTEL_EXPORTER_OTLP_ENDPOINT: gateway.http,
          OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
          WHODUNIT_RECORDS_PER_MINUTE: 'off',
        }),
      ),
    );
  const pids = new Set<string>();
  const terminate = () => {
    for (const [index, host] of hosts.entries())
      for (let i = 0; i < TERMINATIONS; i += 1)
        pids.add(`${index} ${host.terminate({ golden: 'death-exit-3', service: 'shop', endedMs: Date.now() })}`);
  };
  /** By host and pid: the hosts of this test share a boot id, of which the uids are made. */
  const keyOf = ({ resource }: LogRecord) =>
    `${HOSTS.indexOf(String(resource['host.name']))} ${resource['process.pid']}`;
  const arrived = () => new Set(backend.logs().map(keyOf));
  const allArrived = (when: string) =>
    until(
      `all records ${when}`,
      ARRIVES_WITHIN_MS,
      () => arrived().size >= pids.size || undefined,
      () => `${arrived().size} of ${pids.size}\n${gateway.program.output()}`,
    );
  terminate();
  await allArrived('before');
  await kafka.crash();
  terminate();
  await kafka.restart();
  await allArrived('after Kafka was killed');
  await gateway.crash();
  terminate();
  await gateway.restart();
  await allArrived('after the gateway was killed');
  await behind.crash();
  terminate();
  await behind.restart();
  await allArrived('after the collector behind it was killed');
  expect(arrived()).toEqual(pids);
  const copies = new Set(backend.logs().map((record) => `${keyOf(record)} ${record.attributes['log.record.uid']}`));
  expect(copies.size).toBe(pids.size);
});

it('every record of 20 hosts over gRPC arrives, though Kafka is killed', { timeout: 600_000 }, async () => {
  const { kafka, gateway, port, backend } = later(await startGatewayStack());
  const fleet = later(await startFleet({ count: SIMULATED_HOSTS, port, services: 3 }));
  const uids: string[] = [];
  const terminate = () => {
    for (const host of fleet.hosts) uids.push(...host.terminate(SIMULATED_TERMINATIONS));
  };
  const arrived = () => new Set(backend.logs().map(({ attributes }) => attributes['log.record.uid']));
  const diagnostics = () =>
    `${arrived().size} of ${uids.length} arrived, ${fleet.waiting()} wait\n${fleet.output()}\n${gateway.program.output()}`;
  terminate();
  await until('records before', ARRIVES_WITHIN_MS, () => arrived().size > 0 || undefined, diagnostics);
  terminate();
  await kafka.crash();
  terminate();
  await kafka.restart();
  terminate();
  await until('every record', ARRIVES_WITHIN_MS, () => arrived().size >= uids.length || undefined, diagnostics);
  expect(arrived()).toEqual(new Set(uids));
  await until('every answer', ARRIVES_WITHIN_MS, () => fleet.waiting() === 0 || undefined, diagnostics);
});
