#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Joins the stages: socket → conclude → console and collector → acknowledgement. The only file that exits. Signals stop the
// intake; what is under way is flushed within WHODUNIT_SHUTDOWN_TIMEOUT, and what is not stays in the kernel's ring.
import { type Config, HELP, readConfig } from './config.ts';
import { conclude } from './core/conclude.ts';
import { FatalError } from './core/errors.ts';
import { Recent, Seen } from './core/memory.ts';
import { VERSION } from './core/version.ts';
import { Delivery, PENDING_MAX } from './io/deliver.ts';
import { hostReader } from './io/host.ts';
import { Log } from './io/log.ts';
import type { Metrics } from './io/metrics.ts';
import type { Outcome } from './io/otlp.ts';
import { readLoader } from './io/socket.ts';
import { newStats, type Stats } from './io/stats.ts';

/** Deaths whose second copy is recognised: more than can be pending, so that a reconnect never tells one twice. */
const SEEN_MAX = 8 * PENDING_MAX;

const log = new Log();

async function run(config: Config, stop: AbortController): Promise<void> {
  const stats = newStats(Date.now());
  const readHost = hostReader();
  const health = config.health && (await (await import('./io/health.ts')).serveHealth(config.health, stats));
  const metrics = await startMetrics(config, stats, readHost);
  const print = config.console && (await printer(config.console));
  const delivery = new Delivery({
    send: await sender(config, metrics),
    onDelivered: (record) => metrics?.delivered(Date.now() / 1000 - (record.hrTime[0] + record.hrTime[1] / 1e9)),
    stats,
    log,
    signal: stop.signal,
    target: config.logs === null ? 'the console' : `the collector at ${config.logs.endpoint}`,
  });
  const memory = { seen: new Seen(SEEN_MAX), recent: new Recent() };
  const settings = { argumentsMode: config.arguments, reportMode: config.report };

  for await (const { message, connection } of readLoader({
    path: config.socketPath,
    stats,
    log,
    signal: stop.signal,
  })) {
    switch (message.type) {
      case 'hello':
        break;
      case 'status':
        stats.loader = message;
        break;
      case 'unreadable':
        await delivery.submit({ record: null, seq: message.seq, connection });
        break;
      case 'death': {
        const bootId = stats.hello?.boot_id ?? '';
        const ended = message.time_ns + message.clock_offset_ns;
        const now = BigInt(Date.now()) * 1_000_000n;
        // Date.now() has whole milliseconds: nothing is observed before it happened.
        const observedNs = now > ended ? now : ended;
        const conclusion = conclude(message, { ...memory, ...settings, bootId, host: readHost(), observedNs });
        if (conclusion.kind === 'duplicate') stats.duplicates += 1;
        else {
          stats.received += 1;
          if (conclusion.action !== 'ignore') metrics?.terminated(conclusion.resource, conclusion.verdict);
          if (conclusion.record === null) stats.screened += 1;
          else if (print) print(conclusion.record);
        }
        const record = conclusion.kind === 'new' ? conclusion.record : null;
        await delivery.submit({ record, seq: message.seq, connection });
      }
    }
  }
  const deadline = Date.now() + config.shutdownTimeoutMs;
  const { left } = await delivery.close(config.shutdownTimeoutMs);
  if (left > 0)
    log.line(`${left} deaths were not delivered in time; they stay in the kernel's ring for the next start`);
  if (metrics)
    await Promise.race([
      metrics.close(),
      new Promise((resolve) => setTimeout(resolve, Math.max(deadline - Date.now(), 500))),
    ]);
  health?.close();
}

type Send = (records: Parameters<typeof import('./io/otlp.ts').sendRecords>[1]) => Promise<Outcome>;

async function sender(config: Config, metrics: Metrics | null): Promise<Send> {
  // Printed, or wanted nowhere: there is nobody to wait for.
  if (config.logs === null) return async () => ({ kind: 'success', refused: 0, reason: null });
  const { createLogExporter, listenToDiagnostics, sendRecords } = await import('./io/otlp.ts');
  listenToDiagnostics(log);
  const exporter = await createLogExporter(config.logs.protocol, metrics?.meters);
  return (records) => sendRecords(exporter, records);
}

async function startMetrics(
  config: Config,
  stats: Stats,
  readHost: ReturnType<typeof hostReader>,
): Promise<Metrics | null> {
  if (config.metrics === null) return null;
  const [{ Metrics }, { createMetricExporter }] = await Promise.all([
    import('./io/metrics.ts'),
    import('./io/otlp.ts'),
  ]);
  const exporter = await createMetricExporter(config.metrics.protocol);
  const target = `the collector at ${config.metrics.endpoint}`;
  return new Metrics({ exporter, host: readHost(), stats, log, intervalMs: config.metricIntervalMs, target });
}

async function printer(form: 'text' | 'json') {
  const { renderJson, renderText, wantsColour } = await import('./io/console.ts');
  const colour = wantsColour(process.stdout, process.env);
  return (record: Parameters<typeof renderJson>[0]) =>
    void process.stdout.write(form === 'json' ? renderJson(record) : renderText(record, colour));
}

async function doctor(config: Config): Promise<number> {
  const { examine, renderFindings } = await import('./io/doctor.ts');
  const findings = await examine(config);
  process.stdout.write(renderFindings(findings));
  return findings.some(({ level }) => level === 'bad') ? 1 : 0;
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
      return doctor(config);
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
