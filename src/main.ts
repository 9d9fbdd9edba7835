#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Joins the stages: socket → conclude → console and disk queue → acknowledgement, and queue → collector. The only file that exits.
// Signals stop the intake; what waits is sent within WHODUNIT_SHUTDOWN_TIMEOUT, and what is not stays on disk.
import { type Config, HELP, type OtlpTarget, readConfig } from './config/read.ts';
import { conclude } from './core/conclude.ts';
import { DiskError, FatalError } from './core/errors.ts';
import { type Aggregate, CrashLoops, type StoredAggregate } from './core/filter/aggregate.ts';
import { Last, Recent, Seen } from './core/filter/memory.ts';
import type { Judged } from './core/filter/rules.ts';
import { buildRestart, Restarts } from './core/telemetry/restart.ts';
import { LOG_RECORD_UID } from './core/telemetry/semconv.ts';
import { buildSpan } from './core/telemetry/span.ts';
import { storeRecord } from './core/telemetry/stored.ts';
import { buildSummary } from './core/telemetry/summary.ts';
import { isoTime } from './core/time.ts';
import { VERSION } from './core/version.ts';
import type { Death, Restart } from './core/wire/event.ts';
import { renderMeanings } from './io/explain.ts';
import { hostReader } from './io/host.ts';
import { readLoader } from './io/loader/socket.ts';
import { Log } from './io/log.ts';
import { notifier } from './io/notify.ts';
import type { Delivery } from './io/otlp/deliver.ts';
import type { Metrics } from './io/otlp/metrics.ts';
import type { Traces } from './io/otlp/traces.ts';
import { type Item, type Queue, UIDS_MAX } from './io/queue/queue.ts';
import { fetchJudged, readRules, renderDryRun, renderRules, rereadRules } from './io/rules.ts';
import { sleep } from './io/sleep.ts';
import { newStats, observedOf, type Stats } from './io/stats.ts';

/** How soon the queue is asked again after its disk took nothing. */
const DISK_RETRY_MS = 1_000;
/** What the last metrics may take at least, however long the records took. */
const LAST_METRICS_MS = 500;
/** Terminations that /recent tells. */
const JUDGED_MAX = 100;
/** How late the summary of a minute may be. */
const AGGREGATED_CHECK_MS = 1_000;

const log = new Log();

async function run(config: Config, stop: AbortController): Promise<void> {
  const stats = newStats(Date.now());
  const readHost = hostReader();
  const source = { path: config.configPath, mode: config.report };
  let rules = readRules(source);
  // Without a file a hangup stays what it is: the terminal went away.
  if (source.path !== null) {
    process.on('SIGHUP', () => {
      rules = rereadRules(source, log) ?? rules;
    });
  }
  const judged = new Last<Judged>(JUDGED_MAX);
  const queue = config.logs === null ? null : await openQueue(config, stats);
  const recent = (): readonly Judged[] =>
    config.arguments === 'off'
      ? judged.members().map((death) => ({ ...death, subject: { ...death.subject, arguments: null } }))
      : judged.members();
  const health = config.health && (await (await import('./io/health.ts')).serveHealth(config.health, stats, recent));
  if (config.logs ?? config.metrics ?? config.traces) (await import('./io/otlp/exchange.ts')).readDiagnostics(log);
  const metrics = await startMetrics(config, stats, readHost);
  const traces = await startTraces(config, stats);
  const print = config.console && (await printer(config.console));
  const delivery = queue && config.logs && (await startDelivery(config.logs, queue, stats, metrics));
  const systemd = notifier(process.env, process.pid, log);
  void systemd?.ready();
  const loops = new CrashLoops(config.recordsPerMinute, queue?.open);
  const memory = { seen: new Seen(UIDS_MAX, queue?.uids()), recent: new Recent(), loops, restarts: new Restarts() };

  const concluded = (death: Death): Item | null => {
    const endedNs = death.time_ns + death.clock_offset_ns;
    const conclusion = conclude(death, {
      ...memory,
      rules,
      bootId: stats.hello?.boot_id ?? '',
      host: readHost(),
      argumentsMode: config.arguments,
      observedNs: observedAt(endedNs),
      nowMs: performance.now(),
    });
    if (conclusion.kind === 'duplicate') {
      stats.duplicates += 1;
      return null;
    }
    const { uid, outcome, rule, subject, resource, verdict, record } = conclusion;
    if (rule.action !== 'ignore') metrics?.terminated(resource, verdict);
    if (record !== null && print) print(record);
    if (record !== null) traces?.submit(buildSpan(record, death.process.start_boottime_ns + death.clock_offset_ns));
    judged.add({ time: isoTime(endedNs), pid: death.process.pid, outcome, rule: rule.name, subject });
    const kind = outcome === 'aggregated' ? { kind: outcome } : {};
    return { uid, ...kind, endedMs: Number(endedNs / 1_000_000n), record: record && storeRecord(record) };
  };
  /** null: nobody was told of the death, or is to be told of its restart. */
  const restarted = (restart: Restart): Item | null => {
    const death = memory.restarts.take(restart, stats.hello?.boot_id ?? '');
    const timeNs = restart.time_ns + restart.clock_offset_ns;
    if (death === null || !loops.admits({ key: death.service, endedNs: timeNs }, performance.now())) return null;
    const record = buildRestart(restart, death, observedAt(timeNs));
    const uid = String(record.attributes[LOG_RECORD_UID]);
    if (!memory.seen.add(uid)) return null;
    if (print) print(record);
    return { uid, kind: 'summary', endedMs: Number(timeNs / 1_000_000n), record: storeRecord(record) };
  };
  let written = Promise.resolve(true);
  /** On disk, or printed, with the summaries that are due. Called in the tick in which the deaths were concluded, so that what is open fits. */
  const write = (items: readonly Item[], nowMs = performance.now()): Promise<boolean> => {
    const all = [...items, ...loops.due(nowMs).map(summary)];
    const open = loops.open();
    written = written.then(async () => {
      if (queue === null) countPrinted(all, stats);
      else if (!(await keep(queue, all, open, stop.signal))) return false;
      delivery?.wake();
      return true;
    });
    return written;
  };
  const summary = (aggregated: Aggregate): Item => {
    const record = buildSummary(aggregated, observedAt(aggregated.lastNs));
    if (print) print(record);
    const uid = String(record.attributes[LOG_RECORD_UID]);
    // Delivery is measured from when there was something to deliver.
    return { uid, kind: 'summary', endedMs: Date.now(), record: storeRecord(record) };
  };
  const clock = setInterval(() => {
    if (!loops.idle) void write([]);
  }, AGGREGATED_CHECK_MS);

  for await (const { messages, connection } of readLoader({
    path: config.socketPath,
    stats,
    log,
    signal: stop.signal,
  })) {
    const items: Item[] = [];
    let seq: bigint | null = null;
    for (const message of messages) {
      switch (message.type) {
        case 'hello':
          break;
        case 'status':
          stats.loader = message;
          break;
        case 'unreadable':
          seq = message.seq;
          break;
        case 'death': {
          seq = message.seq;
          const item = concluded(message);
          if (item !== null) items.push(item);
          break;
        }
        case 'restart': {
          seq = message.seq;
          const item = restarted(message);
          if (item !== null) items.push(item);
        }
      }
    }
    if (!(await write(items))) break;
    if (seq !== null) connection.ack(seq);
  }

  clearInterval(clock);
  await write([], Number.POSITIVE_INFINITY);
  const deadline = performance.now() + config.shutdownTimeoutMs;
  const told = systemd?.stopping();
  const left = delivery === null ? 0 : (await delivery.close(config.shutdownTimeoutMs)).left;
  queue?.close();
  if (left > 0) log.line(`${left} records were not delivered in time; they stay in ${queue?.path} for the next start`);
  await traces?.close(Math.max(deadline - performance.now(), LAST_METRICS_MS));
  if (metrics)
    await Promise.race([
      metrics.close(),
      new Promise((resolve) => setTimeout(resolve, Math.max(deadline - performance.now(), LAST_METRICS_MS))),
    ]);
  health?.close();
  await told;
}

/** Puts the items on disk, however long that takes: meanwhile nothing is read, and the ring is the queue. False: the end has come. */
async function keep(
  queue: Queue,
  items: readonly Item[],
  open: readonly StoredAggregate[],
  signal: AbortSignal,
): Promise<boolean> {
  for (;;) {
    try {
      queue.put(items, open);
      return true;
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      await sleep(DISK_RETRY_MS, signal);
      if (signal.aborted) return false;
    }
  }
}

/** Where there is no collector, what is printed is reported. */
function countPrinted(items: readonly Item[], stats: Stats): void {
  for (const { record, kind } of items) {
    stats[kind === 'summary' ? 'summaries' : 'received'] += 1;
    stats[record !== null ? 'reported' : kind === 'aggregated' ? 'aggregated' : 'filtered'] += 1;
  }
}

/** Now, ns since 1970. Date.now() has whole milliseconds: nothing is observed before it happened. */
function observedAt(endedNs: bigint): bigint {
  const now = BigInt(Date.now()) * 1_000_000n;
  return now > endedNs ? now : endedNs;
}

async function openQueue(config: Config, stats: Stats): Promise<Queue> {
  const { Queue } = await import('./io/queue/queue.ts');
  const queue = new Queue({ directory: config.stateDir, bytesMax: config.queueBytes, stats, log });
  stats.queue = queue;
  return queue;
}

async function startDelivery(
  target: OtlpTarget,
  queue: Queue,
  stats: Stats,
  metrics: Metrics | null,
): Promise<Delivery> {
  const [{ createLogSender }, { Delivery }] = await Promise.all([
    import('./io/otlp/log-sender.ts'),
    import('./io/otlp/deliver.ts'),
  ]);
  const sender = await createLogSender(target.protocol, metrics?.meters);
  const delivery = new Delivery({
    queue,
    send: (records) => sender.send(records),
    onDelivered: (endedMs) => metrics?.delivered((Date.now() - endedMs) / 1000),
    log,
    target,
  });
  stats.exports.logs = delivery;
  return delivery;
}

async function startMetrics(
  config: Config,
  stats: Stats,
  readHost: ReturnType<typeof hostReader>,
): Promise<Metrics | null> {
  if (config.metrics === null) return null;
  const [{ Metrics }, { createMetricExporter }] = await Promise.all([
    import('./io/otlp/metrics.ts'),
    import('./io/otlp/exporters.ts'),
  ]);
  const { metrics: target, metricIntervalMs: intervalMs } = config;
  const exporter = await createMetricExporter(target.protocol);
  const metrics = new Metrics({
    exporter,
    host: readHost(),
    observe: () => observedOf(stats),
    log,
    intervalMs,
    target,
  });
  stats.exports.metrics = metrics;
  return metrics;
}

async function startTraces(config: Config, stats: Stats): Promise<Traces | null> {
  if (config.traces === null) return null;
  const [{ createSpanExporter }, { Traces }] = await Promise.all([
    import('./io/otlp/exporters.ts'),
    import('./io/otlp/traces.ts'),
  ]);
  const exporter = await createSpanExporter(config.traces.protocol);
  const traces = new Traces({ exporter, log, target: config.traces });
  stats.exports.traces = traces;
  return traces;
}

async function printer(form: 'text' | 'json') {
  const { renderJson, renderText, wantsColour } = await import('./io/console.ts');
  const colour = wantsColour(process.stdout, process.env);
  return (record: Parameters<typeof renderJson>[0]) =>
    void process.stdout.write(form === 'json' ? renderJson(record) : renderText(record, colour));
}

async function doctor(config: Config): Promise<number> {
  const { examine, renderFindings } = await import('./io/doctor/doctor.ts');
  const sender = config.logs && (await doctorsSender(config.logs));
  const findings = await examine({ ...config, askLogs: sender && (() => sender.send([])) });
  process.stdout.write(renderFindings(findings));
  return findings.some(({ level }) => level === 'bad') ? 1 : 0;
}

async function testDeath(config: Config): Promise<number> {
  const [{ followTermination }, { renderStep }] = await Promise.all([
    import('./io/doctor/test-termination.ts'),
    import('./io/doctor/step.ts'),
  ]);
  const rules = readRules({ path: config.configPath, mode: config.report });
  const sender = config.logs && (await doctorsSender(config.logs));
  const buildRecord = (death: Death, bootId: string): Uint8Array | null => {
    const loops = new CrashLoops(Number.POSITIVE_INFINITY);
    const memory = { seen: new Seen(1), recent: new Recent(), loops, restarts: new Restarts() };
    const circumstances = { ...memory, rules, bootId, host: hostReader()(), argumentsMode: config.arguments };
    const observedNs = observedAt(death.time_ns + death.clock_offset_ns);
    const conclusion = conclude(death, { ...circumstances, observedNs, nowMs: performance.now() });
    return conclusion.kind === 'new' && conclusion.record ? storeRecord(conclusion.record) : null;
  };
  let broken = false;
  for await (const step of followTermination({
    ...config,
    buildRecord,
    send: sender && ((record) => sender.send([record])),
  })) {
    process.stdout.write(renderStep(step));
    broken ||= step.broken;
  }
  return broken ? 1 : 0;
}

async function doctorsSender({ protocol }: OtlpTarget) {
  const [{ createLogSender }, { readDiagnostics }] = await Promise.all([
    import('./io/otlp/log-sender.ts'),
    import('./io/otlp/exchange.ts'),
  ]);
  readDiagnostics(log);
  return createLogSender(protocol);
}

async function main(): Promise<number> {
  const config = readConfig(process.argv.slice(2), process.env);
  switch (config.command) {
    case 'help':
      process.stdout.write(`${HELP}\n`);
      return 0;
    case 'version':
      process.stdout.write(`whodunit ${VERSION}\n`);
      return 0;
    case 'doctor':
      return config.test ? testDeath(config) : doctor(config);
    case 'rules': {
      const rules = readRules({ path: config.configPath, mode: config.report });
      process.stdout.write(config.dryRun ? renderDryRun(await fetchJudged(config.health), rules) : renderRules(rules));
      return 0;
    }
    case 'explain':
      if (config.question !== null) process.stdout.write(renderMeanings(config.question));
      return 0;
    case 'run': {
      const stop = new AbortController();
      for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());
      // Whoever read our reports has gone (`| head`): there is no more to do than to end in good order.
      process.stdout.on('error', () => stop.abort());
      await run(config, stop);
      return 0;
    }
  }
}

try {
  process.exit(await main());
} catch (error) {
  if (!(error instanceof FatalError)) throw error;
  log.line(error.message);
  process.exit(error.exitCode);
}
