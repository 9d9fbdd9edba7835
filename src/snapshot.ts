// SPDX-License-Identifier: Apache-2.0
// The snapshot of all stages, for /status and the metrics.
import type { noCounts } from './core/counters.ts';
import type { Host } from './core/identity/host.ts';
import type { ServiceSnapshot } from './core/snapshots.ts';
import { type DisplacedByLimit, exceeded } from './core/words/shares.ts';
import type { DockerContainers } from './io/docker/containers.ts';
import type { History } from './io/history/writer.ts';
import type { LoaderReader } from './io/loader/socket.ts';
import type { Delivery } from './io/otlp/deliver.ts';
import type { Metrics } from './io/otlp/metrics.ts';
import type { Traces } from './io/otlp/traces.ts';
import type { Printer } from './io/printer.ts';
import type { MetricsPage } from './io/prometheus/page.ts';
import type { Queue } from './io/queue/queue.ts';
import type { RulesInEffect } from './io/rules-in-effect.ts';
import type { OutOfMemory } from './out-of-memory.ts';
import { displaced, type State } from './state.ts';

type Counts = ReturnType<typeof noCounts>;

/** An exporter is null if its signal is not sent. */
export interface Exporters {
  logs: Delivery | null;
  metrics: Metrics | null;
  page: MetricsPage | null;
  traces: Traces | null;
}

interface Stages {
  readonly loader: LoaderReader;
  readonly containers: DockerContainers | null;
  readonly rules: RulesInEffect;
  readonly queue: Queue | null;
  readonly history: History | null;
  readonly printer: Printer | null;
  readonly state: State;
  readonly exporters: Exporters;
  /** The counters that are used without a queue. */
  readonly printed: Counts;
  readonly host: () => Host;
  readonly outOfMemory: OutOfMemory;
}

/** What origins lost since the service started, because something is full. */
export function displacedIn({ queue, printer, exporters, state }: Stages): DisplacedByLimit {
  return {
    queue_bytes: queue?.displaced,
    stdout_bytes: printer?.displaced,
    spans: exporters.traces?.displaced,
    ...(exporters.metrics ?? exporters.page)?.displaced,
    ...displaced(state),
  };
}

export function snapshotter(stages: Stages): () => ServiceSnapshot {
  const { loader, containers, rules, queue, history, printer, state, exporters, printed, host, outOfMemory } = stages;
  const startedMs = Date.now();
  return () => ({
    startedMs,
    counters: queue?.totals ?? printed,
    duplicates: state.duplicates,
    falseClaims: state.falseClaims,
    exceeded: exceeded(displacedIn(stages), host().userNames),
    loader: loader.snapshot(),
    containers: containers?.snapshot() ?? null,
    outOfMemory: outOfMemory.snapshot(),
    queue: queue?.snapshot() ?? null,
    history: history?.snapshot() ?? null,
    mutes: rules.snapshot(),
    printer: printer?.snapshot() ?? null,
    exports: {
      logs: exporters.logs?.snapshot() ?? null,
      metrics: exporters.metrics?.snapshot() ?? null,
      traces: exporters.traces?.snapshot() ?? null,
      page: exporters.page?.snapshot() ?? null,
    },
  });
}
