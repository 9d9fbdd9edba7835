// SPDX-License-Identifier: Apache-2.0
// What an export of metrics costs on the wire and in the gateway. Every host sends one a minute, though nothing terminates. Real services,
// which export more often here.
import { setTimeout as sleep } from 'node:timers/promises';
import { type FleetHost, startHost } from '../../scripts/stack/fleet-host.ts';
import type { GatewayStack } from '../../scripts/stack/gateway.ts';
import { METRIC_PROCESS_EXITS, OUTCOME } from '../../src/core/telemetry/semconv.ts';
import { startCountingProxy } from '../counting-proxy.ts';
import { type Figure, figure } from '../figures.ts';
import { cpuNs } from '../program.ts';
import type { Run } from './part.ts';
import { COMPRESSIONS, type Compression } from './scale-wire.ts';

const HOSTS = 12;
const SERVICES = ['cart', 'checkout', 'shop'];
const SECONDS = 20;
const SECONDS_QUICK = 5;
const SETTLE_MS = 3_000;

export async function metricsFigures(stack: GatewayStack, { quick, progress }: Run): Promise<Figure[]> {
  const seconds = quick ? SECONDS_QUICK : SECONDS;
  progress(0, 'metrics: the gateway without work');
  const idle = (await gatewayNs(stack, seconds)) / seconds;
  const figures: Figure[] = [];
  for (const compression of COMPRESSIONS) {
    progress(0.5, `metrics, compression ${compression}`);
    const { bytes, cpu } = await exportsWith(stack, compression, seconds, idle);
    const title = `an export of metrics, compression ${compression}`;
    figures.push(
      figure(`scale.metrics.wire.${compression}`, title, 'B', bytes),
      figure(`scale.metrics.gateway.${compression}`, `${title}: processor time of the gateway for 1,000`, 's', cpu),
    );
  }
  return figures;
}

/** `idle`: processor time of the gateway in a second without work, ns. */
async function exportsWith(
  stack: GatewayStack,
  compression: Compression,
  seconds: number,
  idle: number,
): Promise<{ bytes: number; cpu: number }> {
  const proxy = await startCountingProxy(stack.port);
  const hosts: FleetHost[] = [];
  try {
    for (let index = 0; index < HOSTS; index += 1)
      hosts.push(
        await startHost(`metrics-${index}`, {
          OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${proxy.port}`,
          OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
          OTEL_EXPORTER_OTLP_COMPRESSION: compression,
          OTEL_LOGS_EXPORTER: 'none',
          OTEL_METRIC_EXPORT_INTERVAL: '1000',
          OTEL_METRIC_EXPORT_TIMEOUT: '900',
        }),
      );
    for (const host of hosts)
      for (const service of SERVICES) host.terminate({ golden: 'death-exit-3', service, endedMs: Date.now() });
    await sleep(SETTLE_MS);
    const before = exported(stack);
    const start = proxy.bytes();
    const used = await gatewayNs(stack, seconds);
    const count = exported(stack) - before;
    return { bytes: (proxy.bytes() - start) / count, cpu: (used - idle * seconds) / 1e9 / (count / 1000) };
  } finally {
    for (const host of hosts) await host.stop();
    await proxy.stop();
  }
}

/** Each export has one point of normal exits. */
function exported({ backend }: GatewayStack): number {
  return backend
    .metrics()
    .filter(({ name, attributes }) => name === METRIC_PROCESS_EXITS && attributes[OUTCOME] === 'normal').length;
}

async function gatewayNs({ gateway }: GatewayStack, seconds: number): Promise<number> {
  const before = cpuNs(gateway.program.pid);
  await sleep(seconds * 1000);
  return cpuNs(gateway.program.pid) - before;
}
