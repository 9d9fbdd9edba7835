// SPDX-License-Identifier: Apache-2.0
// The bytes that a host sends for a termination over gRPC: alone, as on most days, and with as many others as a request takes.
import { startCollector } from '../../scripts/stack/collector.ts';
import { until } from '../../scripts/stack/program.ts';
import { type Fleet, startFleet } from '../../scripts/stack/simulated-hosts.ts';
import { startCountingProxy } from '../counting-proxy.ts';
import { type Figure, figure } from '../figures.ts';

export const COMPRESSIONS = ['none', 'gzip'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

const HOSTS = 5;
const SERVICES = 3;
const ALONE = 100;
const TOGETHER = 2_000;
const ACCEPTED_WITHIN_MS = 60_000;

/** The exporters of hosts that start from now on compress so. */
export function compressWith(compression: Compression): void {
  process.env.OTEL_EXPORTER_OTLP_COMPRESSION = compression;
}

export async function wireFigures(): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const compression of COMPRESSIONS) {
    const { alone, together } = await bytesWith(compression);
    figures.push(
      figure(`scale.wire.alone.${compression}`, `alone in a request, compression ${compression}`, 'B', alone),
      figure(`scale.wire.together.${compression}`, `from a backlog, compression ${compression}`, 'B', together),
    );
  }
  return figures;
}

async function bytesWith(compression: Compression): Promise<{ alone: number; together: number }> {
  compressWith(compression);
  const collector = await startCollector({ keep: 'count', signals: ['logs'] });
  const proxy = await startCountingProxy(Number(new URL(collector.grpc).port));
  const fleet = await startFleet({ count: HOSTS, port: proxy.port, services: SERVICES });
  try {
    // The connections, and the names of headers that HTTP/2 sends only once.
    await terminate(fleet, HOSTS, 1);
    const start = proxy.bytes();
    await terminate(fleet, ALONE, 1);
    const alone = proxy.bytes();
    await terminate(fleet, 1, TOGETHER);
    return { alone: (alone - start) / ALONE, together: (proxy.bytes() - alone) / TOGETHER };
  } finally {
    await fleet.stop();
    await proxy.stop();
    await collector.stop();
  }
}

/** `times`: the hosts in turn report `count` terminations at once, which must be accepted before the next. */
async function terminate({ hosts, waiting, output }: Fleet, times: number, count: number): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    hosts[time % hosts.length]?.terminate(count);
    await until('the answer', ACCEPTED_WITHIN_MS, () => waiting() === 0 || undefined, output);
  }
}
