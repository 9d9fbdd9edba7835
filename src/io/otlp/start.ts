// SPDX-License-Identifier: Apache-2.0
// Starts the configured exporters. Only a service that sends something loads this file, and with it the SDK.
import { dirname } from 'node:path';
import type { PageAddress } from '../../config/read.ts';
import type { Target } from '../../core/delivery/target.ts';
import type { Host } from '../../core/identity/host.ts';
import { NOTHING_EXPORTED } from '../../core/kernel-counts.ts';
import type { ServiceSnapshot } from '../../core/snapshots.ts';
import type { History } from '../history/writer.ts';
import type { Log } from '../log.ts';
import type { MetricsPage } from '../prometheus/page.ts';
import { PurgeRequests } from '../queue/purge-request.ts';
import type { Queue } from '../queue/queue.ts';
import { Delivery } from './deliver.ts';
import { readDiagnostics } from './exchange.ts';
import { exportersOf } from './exporters.ts';
import { createLogSender, type Sender } from './log-sender.ts';
import type { Counted } from './meters.ts';
import { Metrics } from './metrics.ts';
import { observedOf } from './own-instruments.ts';
import { Traces } from './traces.ts';

export { readDiagnostics };

export async function startDelivery(
  target: Target,
  queue: Queue,
  counted: readonly Counted[],
  history: History | null,
  log: Log,
): Promise<Delivery> {
  const meters = counted[0]?.meters;
  const sender = await createLogSender(target.protocol, meters && { selfObsMeterProvider: meters });
  const requests = new PurgeRequests(dirname(queue.path), log);
  requests.carryOut((wanted) => queue.purge(wanted).length);
  const delivery = new Delivery({
    queue,
    send: (records) => sender.send(records),
    onDelivered: (endedMs) => {
      for (const one of counted) one.delivered((Date.now() - endedMs) / 1000);
    },
    onAnswered: (rows, state, reason) =>
      history?.settled({ ids: rows.map(({ id }) => id), state, ...(reason === undefined ? {} : { reason }) }),
    log,
    target,
  });
  requests.watch((wanted) => delivery.purge(wanted));
  return delivery;
}

export async function startMetrics(
  target: Target,
  intervalMs: number,
  host: Host,
  snapshot: () => ServiceSnapshot,
  log: Log,
  queue: Queue | null,
): Promise<Metrics> {
  const { metrics } = await exportersOf(target.protocol);
  return new Metrics({
    exporter: metrics(),
    host,
    observe: () => observedOf(snapshot()),
    log,
    intervalMs,
    target,
    // Without a queue nothing is stored, and what was exported before is not known.
    exported: queue === null ? null : (queue.totals.exported ?? NOTHING_EXPORTED),
    onExported: (counts) => queue?.rememberExported(counts),
  });
}

/** Starts to serve /metrics. Rejects with a FatalError if the address cannot be used. */
export async function startPage(
  address: PageAddress,
  intervalMs: number,
  host: Host,
  snapshot: () => ServiceSnapshot,
): Promise<MetricsPage> {
  const [{ MetricsPage }, { servePage }] = await Promise.all([
    import('../prometheus/page.ts'),
    import('../prometheus/server.ts'),
  ]);
  // The counters of kernel and loader as they are: they outlive the service, and Prometheus knows what it saw before.
  const page = new MetricsPage({ address, host, intervalMs, observe: () => observedOf(snapshot()) });
  await servePage(address, page);
  return page;
}

export async function startTraces(target: Target, log: Log): Promise<Traces> {
  const { spans } = await exportersOf(target.protocol);
  return new Traces({ exporter: spans(), log, target });
}

/** Returns a sender for a command that sends without a queue. */
export function startSender({ protocol }: Target, log: Log): Promise<Sender> {
  readDiagnostics(log);
  return createLogSender(protocol);
}
