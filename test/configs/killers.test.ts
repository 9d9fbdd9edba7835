// SPDX-License-Identifier: Apache-2.0
// deaths-by-killer.yaml in a real collector: the number of terminations of a service by the program that sent the signal.
import { afterEach, expect, it } from 'vitest';
import { startCollector } from '../../scripts/stack/collector.ts';
import { startHost } from '../../scripts/stack/fleet-host.ts';
import { until } from '../../scripts/stack/program.ts';
import { startShipped } from '../../scripts/stack/shipped.ts';

const ARRIVES_WITHIN_MS = 120_000;

const cleanUp: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanUp.splice(0).reverse()) await clean();
});

function later<T extends { stop: () => unknown }>(started: T): T {
  cleanUp.push(() => started.stop());
  return started;
}

it('counts the terminations of a service by killer, also of several batches', async () => {
  const backend = later(await startCollector());
  const shipped = later(await startShipped(['collector', 'deaths-by-killer'], { BACKEND_OTLP_ENDPOINT: backend.http }));
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: shipped.http, OTEL_METRICS_EXPORTER: 'none' };
  const host = later(await startHost('web-1', env));
  /** The value of the service's newest point with this killer. */
  const deaths = (killer: string) =>
    backend
      .metrics()
      .filter(
        ({ name, resource, attributes }) =>
          name === 'whodunit.deaths' &&
          resource['service.name'] === 'shop' &&
          attributes['whodunit.sender.executable.name'] === killer,
      )
      .at(-1);
  const diagnostics = () => `${host.program.output()}${shipped.program.output()}`;
  const counted = (killer: string, count: number) =>
    until(
      `${count} by ${killer}`,
      ARRIVES_WITHIN_MS,
      () => (deaths(killer)?.value === count ? deaths(killer) : undefined),
      diagnostics,
    );
  const kill = () => host.terminate({ golden: 'death-sigkill-by-another', service: 'shop', endedMs: Date.now() });
  host.terminate({ golden: 'death-exit-3', service: 'shop', endedMs: Date.now() });
  kill();
  await counted('bash', 1);
  kill();
  const point = await counted('bash', 2);
  expect(point.attributes).toMatchObject({ 'whodunit.cause': 'killed' });
  expect(point.resource).toEqual({ 'service.name': 'shop', 'host.name': 'web-1' });
  await counted('none', 1);
});
