#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Connects the stages of each command and exits; no other file calls process.exit(). pipeline.ts handles each termination. On SIGTERM or
// SIGINT the service stops reading, sends queued records for at most WHODUNIT_SHUTDOWN_TIMEOUT, and keeps the rest on disk.
import type { Server } from 'node:http';
import { type Config, commandOf, readConfig } from './cli.ts';
import { currentNames } from './config/earlier-names.ts';
import { readLogLevel } from './config/log-level.ts';
import type { OutputForm } from './config/read.ts';
import { count, noCounts } from './core/counters.ts';
import { FatalError } from './core/errors.ts';
import type { ServiceSnapshot } from './core/snapshots.ts';
import { unknownRepeats } from './core/words/repeats.ts';
import { followContainers } from './io/docker/start.ts';
import { keepRecords, startHistory, startUnreported } from './io/history/start.ts';
import type { UnreportedFile } from './io/history/unreported-file.ts';
import type { History } from './io/history/writer.ts';
import { hostReader } from './io/host.ts';
import { LoaderReader, type Received } from './io/loader/socket.ts';
import { Log } from './io/log.ts';
import { logStyle } from './io/log-style.ts';
import { MemoryCgroups } from './io/memory-cgroups.ts';
import { type Notifier, notifier } from './io/notify.ts';
import { neverBlock } from './io/output.ts';
import type { Printer } from './io/printer.ts';
import { keep } from './io/queue/keep.ts';
import type { Item, Queue } from './io/queue/queue.ts';
import { RulesInEffect } from './io/rules-in-effect.ts';
import { logExceeded } from './io/share-log.ts';
import { catchSignals, type Signals } from './io/signals.ts';
import { OutOfMemory } from './out-of-memory.ts';
import * as pipelines from './pipeline.ts';
import { displacedIn, type Exporters, snapshotter } from './snapshot.ts';
import { applyRules, newState, type State, recentTerminations as terminationsOf } from './state.ts';
import { type Clock, flushLater, flushSummaries } from './storing.ts';

type RunConfig = Extract<Config, { command: 'run' }>;
type Counts = ReturnType<typeof noCounts>;

/** Minimum time for the final metrics, even if the records used up the shutdown timeout. */
const LAST_METRICS_MS = 500;

const CLOCK: Clock = {
  wallMs: Date.now,
  steadyMs: () => performance.now(),
  later: (work, ms) => void setTimeout(work, ms).unref(),
};

const { argv, hints } = currentNames(process.argv.slice(2));
const logLevel = readLogLevel(process.env);
const isService = commandOf(argv) === 'run';
const log = new Log(undefined, undefined, logStyle(process.env, isService ? logLevel.level : null));

/** What shutDown() closes. */
interface Running {
  readonly config: RunConfig;
  readonly queue: Queue | null;
  readonly history: History | null;
  readonly unreported: UnreportedFile | null;
  readonly printer: Printer | null;
  readonly exporters: Exporters;
  readonly health: Server | null;
  readonly systemd: Notifier | null;
}

async function run(config: RunConfig, { stop, onHangup }: Signals): Promise<void> {
  const containers = await followContainers(config.dockerSocket, log, stop.signal);
  const host = hostReader('/etc', process.env, (id) => containers?.find(id) ?? null);
  const rules = await RulesInEffect.read(config, log);
  const loader = new LoaderReader({ path: config.socketPath, log, signal: stop.signal });
  const queue = config.logs && (await openQueue(config));
  const history = startHistory(config, queue, log);
  const unreported = startUnreported(config, log);
  const state = newState(rules.current(), config, queue && { uids: queue.uids(), ...queue.open });
  onHangup(() => void rules.reread());
  const printed = noCounts();
  const printer = config.console && (await startPrinter(config, config.console, stop));
  const sends = config.logs ?? config.metrics ?? config.page ?? config.traces;
  const otlp = sends && (await import('./io/otlp/start.ts'));
  otlp?.readDiagnostics(log);
  const spans = (config.traces && (await otlp?.startTraces(config.traces, log))) ?? null;
  const exporters: Exporters = { logs: null, metrics: null, page: null, traces: spans };
  const outOfMemory = new OutOfMemory(new MemoryCgroups());
  const sources = { loader, containers, rules, queue, history, printer, state, exporters, printed, host, outOfMemory };
  const snapshot = snapshotter(sources);
  logExceeded(log, () => displacedIn(sources), host);
  const health = await startHealth(config, state, queue, snapshot);
  if (otlp && config.metrics)
    exporters.metrics = await otlp.startMetrics(config.metrics, config.metricIntervalMs, host(), snapshot, log, queue);
  if (otlp && config.page)
    exporters.page = await otlp.startPage(config.page, config.metricIntervalMs, host(), snapshot);
  const counted = [exporters.metrics, exporters.page].filter((one) => one !== null);
  if (otlp && config.logs && queue)
    exporters.logs = await otlp.startDelivery(config.logs, queue, counted, history, log);
  const { logs, traces } = exporters;
  const pipeline: pipelines.Pipeline = {
    settings: config,
    state,
    host,
    clock: CLOCK,
    outOfMemory,
    effects: {
      sendSpan: traces && ((span, origin) => traces.submit(span, origin)),
      countTermination: (...termination) => {
        for (const one of counted) one.terminated(...termination);
      },
      durable: queue !== null,
      keepUnreported: unreported && ((one) => unreported.add(one)),
      unknownRepeats: (count) => log.rateLimited('repeats', unknownRepeats(count)),
      store: async (items, open) => {
        if (queue === null) {
          keepRecords(history, items, 0);
          return report(items, printer, printed);
        }
        if (!(await keep(queue, items, open, stop.signal))) return false;
        keepRecords(history, items, queue.totals.lastId);
        logs?.wake();
        if (printer !== null) for (const { record, origin } of items) if (record !== null) printer.show(record, origin);
        return true;
      },
    },
  };
  const systemd = notifier(process.env, process.pid, log);
  void systemd?.ready();
  // Without a queue, each message is a batch of its own: what is printed is acknowledged at once.
  await consume(loader, pipeline, (received) => {
    applyRules(state, rules.current());
    return queue === null ? pipelines.oneByOne(received) : [received];
  });
  await shutDown({ config, queue, history, unreported, printer, exporters, health, systemd });
  const lost = printer?.lost();
  if (lost) throw lost;
}

/** Handles the loader's messages until shutdown, then flushes the open summaries. */
async function consume(
  loader: LoaderReader,
  pipeline: pipelines.Pipeline,
  batchesOf: (received: Received) => readonly Received[],
): Promise<void> {
  const { loops, incidents } = pipeline.state;
  flushLater(pipeline);
  reading: for await (const received of loader.read())
    for (const batch of batchesOf(received)) if (!(await pipelines.handleBatch(pipeline, batch))) break reading;
  const summaries = loops.open().length + incidents.open().filter(({ members }) => members !== null).length;
  if (!(await flushSummaries(pipeline, true)) && summaries > 0)
    log.line(`${summaries} summaries of aggregated terminations could be neither stored nor printed.`, 'error');
}

/** Prints the records of the items, and counts each item when the kernel has taken its record. False: not all could be printed. */
async function report(items: readonly Item[], printer: Printer | null, counters: Counts): Promise<boolean> {
  for (const item of items) {
    if (printer !== null && item.record !== null && !(await printer.print(item.record))) return false;
    count(counters, item, 'reported');
  }
  return true;
}

async function shutDown({
  config,
  queue,
  history,
  unreported,
  printer,
  exporters,
  health,
  systemd,
}: Running): Promise<void> {
  const deadline = performance.now() + config.shutdownTimeoutMs;
  const remainingMs = (): number => Math.max(deadline - performance.now(), LAST_METRICS_MS);
  const notified = systemd?.stopping();
  const { logs, metrics, traces } = exporters;
  const [{ left }] = await Promise.all([logs?.close(config.shutdownTimeoutMs) ?? { left: 0 }, printer?.drained()]);
  if (left > 0)
    log.line(
      `${left} records could not be sent in time; they stay in ${queue?.path} and are sent after the next start`,
      'warn',
    );
  await traces?.close(remainingMs());
  if (metrics) await Promise.race([metrics.close(), new Promise((resolve) => setTimeout(resolve, remainingMs()))]);
  health?.close();
  // After the last export of metrics, which remembers there what it exported.
  queue?.close();
  history?.close();
  unreported?.close();
  await notified;
}

async function openQueue(config: RunConfig): Promise<Queue> {
  const { Queue } = await import('./io/queue/queue.ts');
  return new Queue({ directory: config.stateDir, bytesMax: config.queueBytes, log });
}

async function startHealth(
  config: RunConfig,
  state: State,
  queue: Queue | null,
  snapshot: () => ServiceSnapshot,
): Promise<Server | null> {
  if (config.health === null) return null;
  const { serveHealth } = await import('./io/health.ts');
  const rejections = (limit: number) => queue?.lastRejections(limit) ?? [];
  const recent = () => terminationsOf(config, state);
  return serveHealth(config.health, { snapshot, rejections, recent });
}

async function startPrinter(config: RunConfig, form: OutputForm, stop: AbortController): Promise<Printer> {
  const { stdoutPrinter } = await import('./io/printer.ts');
  const { logs, shutdownTimeoutMs } = config;
  return stdoutPrinter(form, { log, acknowledges: logs === null, stop, shutdownTimeoutMs });
}

async function main(): Promise<number> {
  for (const hint of hints) log.line(hint, 'warn');
  const config = readConfig(argv, process.env);
  if (config.command !== 'run') return (await import('./commands.ts')).runCommand(config, CLOCK, log);
  if (logLevel.problem !== null) log.line(logLevel.problem, 'warn');
  await run(config, catchSignals(log));
  return 0;
}

for (const stream of [process.stdout, process.stderr]) {
  // A write reports its own error; without a listener, it would also terminate the process.
  stream.on('error', () => {});
  neverBlock(stream);
}
try {
  process.exit(await main());
} catch (error) {
  if (!(error instanceof FatalError)) throw error;
  log.failure(error.message);
  process.exit(error.exitCode);
}
