// SPDX-License-Identifier: Apache-2.0
// whodunit's own metrics: terminations by outcome, losses by stage, the queue, the delivery time. All but the delivery time are read from
// snapshots of the other stages at each collection.
import { type Meter, ValueType } from '@opentelemetry/api';
import { OUTCOMES, type Outcome } from '../../core/counters.ts';
import { increase, type KernelCounts, NOTHING_EXPORTED } from '../../core/kernel-counts.ts';
import type { ServiceSnapshot } from '../../core/snapshots.ts';
import { lostByStage } from '../../core/status.ts';
import * as semconv from '../../core/telemetry/semconv.ts';
import type { Exceeded } from '../../core/words/shares.ts';

/** The counters by outcome may be older than this process: the metrics report the increase. */
export interface Observed extends Readonly<Record<Outcome, number>> {
  /** Normal exits, counted in the kernel; null: the loader has not reported them yet. */
  readonly normalExits: number | null;
  /** The boot of the loader's counters; absent: not known. */
  readonly boot?: string | null;
  readonly lost: Readonly<Record<semconv.StageValue, number>>;
  readonly exceeded: readonly Exceeded[];
  /** Facts about signals that the kernel did not keep. */
  readonly factsLost: number;
  /** null: there is no queue. */
  readonly queue: ObservedQueue | null;
}

export interface ObservedQueue {
  readonly records: number;
  readonly bytes: number;
  /** When the process of the oldest queued record terminated, ms since 1970; null: the queue is empty. */
  readonly oldestMs: number | null;
}

export function observedOf(snapshot: ServiceSnapshot): Observed {
  const { counters, loader, queue, exceeded } = snapshot;
  const { reported, filtered, aggregated, pending } = counters;
  return {
    reported,
    filtered,
    aggregated,
    boot: loader.hello?.boot_id ?? null,
    normalExits: loader.status === null ? null : Number(loader.status.exits_normal),
    lost: lostByStage(snapshot),
    exceeded,
    factsLost: Number(loader.status?.lost.memory_full ?? 0),
    queue: queue && { records: pending, bytes: queue.bytes, oldestMs: queue.oldestMs },
  };
}

export interface Instruments {
  /** Records the duration of one delivery. */
  readonly delivered: (seconds: number) => void;
  /** The counters of kernel and loader at the last collection; null: the loader has not reported them yet. */
  readonly collected: () => KernelCounts | null;
}

/** `exported`: what previous runs exported of kernel and loader; null: not known, so only what comes from now on is exported. */
export function createInstruments(
  meter: Meter,
  observe: () => Observed,
  exported: KernelCounts | null = NOTHING_EXPORTED,
): Instruments {
  const collected = createCounters(meter, observe, exported);
  createQueueGauges(meter, observe);
  createDisplaced(meter, observe);
  const duration = meter.createHistogram(semconv.METRIC_DELIVERY_DURATION, {
    unit: 's',
    description: "Time from the termination to the collector's acknowledgement.",
    advice: { explicitBucketBoundaries: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600] },
  });
  return { delivered: (seconds) => duration.record(seconds), collected };
}

function createCounters(
  meter: Meter,
  observe: () => Observed,
  exported: KernelCounts | null,
): Instruments['collected'] {
  // The queue's counters survive restarts, but a series starts with this process.
  const before = observe();
  let base = exported;
  let last: KernelCounts | null = null;
  /** What the previous runs did not export. */
  const since = (now: Observed): KernelCounts => {
    last = kernelCounts(now) ?? last;
    base ??= last;
    return last === null || base === null ? NOTHING_EXPORTED : increase(last, base);
  };
  const exits = meter.createObservableCounter(semconv.METRIC_PROCESS_EXITS, {
    unit: '{exit}',
    description: 'Number of process terminations, abnormal or not, by outcome.',
    valueType: ValueType.INT,
  });
  exits.addCallback((result) => {
    const now = observe();
    const { normalExits } = since(now);
    if (now.normalExits !== null) result.observe(normalExits, { [semconv.OUTCOME]: 'normal' });
    for (const outcome of OUTCOMES) result.observe(now[outcome] - before[outcome], { [semconv.OUTCOME]: outcome });
  });
  const lost = meter.createObservableCounter(semconv.METRIC_EVENTS_LOST, {
    unit: '{event}',
    description: 'Number of terminations that were lost, by stage.',
    valueType: ValueType.INT,
  });
  lost.addCallback((result) => {
    const now = observe();
    const { kernel, loader } = since(now);
    const counts = {
      kernel,
      loader,
      queue: now.lost.queue - before.lost.queue,
      export: now.lost.export - before.lost.export,
    };
    for (const stage of semconv.STAGE_VALUES) result.observe(counts[stage], { [semconv.STAGE]: stage });
  });
  const facts = meter.createObservableCounter(semconv.METRIC_FACTS_LOST, {
    unit: '{fact}',
    description: 'Number of facts about signals that were not kept.',
    valueType: ValueType.INT,
  });
  facts.addCallback((result) => {
    const now = observe();
    if (now.normalExits !== null) result.observe(since(now).facts ?? 0);
  });
  return () => last;
}

function kernelCounts({ boot = null, normalExits, lost, factsLost }: Observed): KernelCounts | null {
  const { kernel, loader } = lost;
  return normalExits === null ? null : { boot, normalExits, kernel, loader, facts: factsLost };
}

/** What origins lost because they held most. There are no data points before the first loss. */
function createDisplaced(meter: Meter, observe: () => Observed): void {
  const counter = meter.createObservableCounter(semconv.METRIC_ORIGIN_DISPLACED, {
    unit: '{entry}',
    description: 'Number of entries that an origin lost because it held most of something that was full.',
    valueType: ValueType.INT,
  });
  counter.addCallback((result) => {
    for (const { limit, losses } of observe().exceeded)
      for (const { origin, count } of losses)
        result.observe(count, { [semconv.LIMIT]: limit, [semconv.ORIGIN]: origin });
  });
}

/** The current state of the queue. Without a queue there are no data points. */
function createQueueGauges(meter: Meter, observe: () => Observed): void {
  const gauge = (name: string, unit: string, description: string, read: (queue: ObservedQueue) => number): void => {
    meter.createObservableGauge(name, { unit, description }).addCallback((result) => {
      const { queue } = observe();
      if (queue !== null) result.observe(read(queue));
    });
  };
  gauge(semconv.METRIC_QUEUE_SIZE, '{record}', 'Number of records in the disk queue.', ({ records }) => records);
  gauge(semconv.METRIC_QUEUE_BYTES, 'By', 'Size of the records in the disk queue.', ({ bytes }) => bytes);
  gauge(
    semconv.METRIC_QUEUE_OLDEST_AGE,
    's',
    'Age of the oldest record in the disk queue, measured from the termination.',
    ({ oldestMs }) => (oldestMs === null ? 0 : Math.max(0, Date.now() - oldestMs) / 1000),
  );
}
