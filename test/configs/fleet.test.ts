// SPDX-License-Identifier: Apache-2.0
// The counters of two hosts in one real Prometheus, which gets them over OTLP without a collector: with its defaults, where no attribute of
// the resource but the ids is a label, and with otel-config/prometheus/prometheus.yaml.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type FleetHost, startHost } from '../../scripts/stack/fleet-host.ts';
import { ROOT, until } from '../../scripts/stack/program.ts';
import { type Prometheus, startPrometheus } from './prometheus.ts';

const ARRIVES_WITHIN_MS = 90_000;
/** Many exports of each host. */
const IDLE_MS = 6_000;
const COUNTER = 'whodunit_process_terminations_total';
const SHIPPED = parse(readFileSync(join(ROOT, 'otel-config/prometheus/prometheus.yaml'), 'utf8')).otlp;
/** Terminations of the same service on each host. */
const TERMINATIONS = { 'web-1': 4, 'web-2': 1 } as const;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

async function fleet(otlp: object): Promise<{ prometheus: Prometheus; hosts: FleetHost[] }> {
  const prometheus = await startPrometheus({ otlp });
  cleanUp.push(() => prometheus.stop());
  const hosts = [];
  for (const [name, count] of Object.entries(TERMINATIONS)) {
    const host = await startHost(name, {
      OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${prometheus.url}/api/v1/otlp/v1/metrics`,
      OTEL_LOGS_EXPORTER: 'none',
    });
    cleanUp.push(() => host.stop());
    hosts.push(host);
    for (let i = 0; i < count; i += 1) host.terminate({ golden: 'death-exit-3', service: 'shop', endedMs: Date.now() });
  }
  return { prometheus, hosts };
}

describe('two hosts in one Prometheus over OTLP', () => {
  it.each([
    { name: 'its defaults', otlp: {}, label: 'instance' },
    { name: 'prometheus.yaml', otlp: SHIPPED, label: 'host_name' },
  ])('have series of their own with $name', async ({ otlp, label }) => {
    const { prometheus, hosts } = await fleet(otlp);
    const diagnostics = () => hosts.map(({ program }) => program.output()).join('') + prometheus.output();
    const values = async () =>
      (await prometheus.query(`sum by (${label}) (${COUNTER}{job="shop"})`)).map(({ value }) => value);
    await until(
      'both counters',
      ARRIVES_WITHIN_MS,
      async () => ((await values()).sort().join() === '1,4' ? true : undefined),
      diagnostics,
    );
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    const window = `[${Math.floor(IDLE_MS / 1000) - 1}s]`;
    const [idle] = await prometheus.query(`sum(increase(${COUNTER}{job="shop"}${window}))`);
    expect(idle?.value).toBe(0);
    const [own] = await prometheus.query(`sum(resets(whodunit_process_exits_total${window}))`);
    expect(own?.value).toBe(0);
  });

  it('that stop one after the other are first a warning about one, then critical', async () => {
    const { prometheus, hosts } = await fleet({});
    const diagnostics = () => hosts.map(({ program }) => program.output()).join('') + prometheus.output();
    const exits = 'count(group by (instance) (whodunit_process_exits_total))';
    const reporting = async (count: number) => (await prometheus.query(exits))[0]?.value === count || undefined;
    await until('both hosts', ARRIVES_WITHIN_MS, () => reporting(2), diagnostics);
    const alert = (name: string) =>
      until(name, ARRIVES_WITHIN_MS, async () => (await prometheus.alerts()).includes(name) || undefined, diagnostics);
    await hosts[0]?.program.stop();
    await alert('WhodunitSilent');
    expect(await prometheus.alerts()).not.toContain('WhodunitSilentEverywhere');
    await hosts[1]?.program.stop();
    await alert('WhodunitSilentEverywhere');
  });
});
