// SPDX-License-Identifier: Apache-2.0
// Environment → the settings of each command, and only those that it uses; the doctor validates all settings of the service. An invalid value
// is a FatalError with exit code 78 that names the variable, its value, what is allowed and the remedy. cli.ts parses commands and flags.

import type { Target } from '../core/delivery/target.ts';
import { configError } from '../core/errors.ts';
import type { ReportMode } from '../core/filter/rules.ts';
import type { ArgumentsMode } from '../core/identity/arguments.ts';
import type { LoginsMode } from '../core/identity/logins.ts';
import type { SpansMode } from '../core/telemetry/span.ts';
import { type Env, get, read } from './env.ts';
import type { HealthAddress } from './health-address.ts';
import { type Given, stateDirOf } from './history-flags.ts';
import type { HistoryLimits } from './kinds.ts';
import { hasEndpoint, otlpTarget, protocolOf } from './otlp.ts';

/** `text`: a report on a terminal, otherwise a line. */
export type OutputForm = 'text' | 'report' | 'json';

/** Which filter rules apply. */
export interface RulesSource {
  /** The file with the user's rules; null: only the built-in rules apply. */
  readonly path: string | null;
  readonly mode: ReportMode;
}

/** Where each signal is sent; null: not over OTLP. */
export interface Targets {
  readonly logs: Target | null;
  readonly metrics: Target | null;
  readonly traces: Target | null;
}

/** Where Prometheus finds the metrics. */
export type PageAddress = HealthAddress;

export interface FiltersSettings {
  readonly rules: RulesSource;
  readonly output: OutputForm | null;
}

/** Rules to try. */
export interface FiltersTest extends FiltersSettings {
  readonly stateDir: string;
  /** The output may be shown in a pager. */
  readonly pager: boolean;
}

export interface RunSettings extends Targets {
  readonly rules: RulesSource;
  readonly health: HealthAddress | null;
  /** Where `/metrics` is served; null: nowhere. */
  readonly page: PageAddress | null;
  readonly socketPath: string;
  readonly arguments: ArgumentsMode;
  readonly logins: LoginsMode;
  /** The socket of Docker or Podman; null: none is asked. */
  readonly dockerSocket: string | null;
  /** Maximum records per service and minute; further terminations are aggregated. Infinity: no limit. */
  readonly recordsPerMinute: number;
  readonly spans: SpansMode;
  /** null: records are not printed. */
  readonly console: OutputForm | null;
  readonly stateDir: string;
  /** null: no history is kept. */
  readonly history: HistoryLimits | null;
  readonly queueBytes: number;
  readonly metricIntervalMs: number;
  readonly shutdownTimeoutMs: number;
}

export interface DoctorSettings extends RunSettings {
  /** Where the loader pins its probes and maps. */
  readonly pinDir: string;
}

/** Of `up`, which starts loader and service: it refuses what the service would refuse. */
export interface UpSettings extends DoctorSettings {
  /** Also stop at the end of standard input. */
  readonly endOfInput: boolean;
  /** The flags of the service. */
  readonly serviceArgs: readonly string[];
}

export interface UiSettings {
  readonly stateDir: string;
  /** The address of the running service; null: it has no health endpoint. */
  readonly health: HealthAddress | null;
  /** 0: any free one. */
  readonly port: number;
  /** Whether to open the browser, if there is one. */
  readonly open: boolean;
}

/** `given`: the flags. */
export function readUiSettings(env: Env, given: Given): UiSettings {
  return {
    stateDir: stateDirOf(env, given),
    health: read(env, 'WHODUNIT_HEALTH_ADDR'),
    port: portOf(given.port),
    open: given['no-open'] !== true,
  };
}

function portOf(given: Given[string] = '0'): number {
  const text = String(given);
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw configError('--port', text, '0 to 65535', 'Leave it out for a free one.');
}

/** `file`: the file with the user's rules; null: that of WHODUNIT_CONFIG. */
export function readFiltersTest(env: Env, given: Given, file: string | null, output: OutputForm | null): FiltersTest {
  const pager = given['no-pager'] !== true;
  return { rules: rulesSource(env, file), output, stateDir: stateDirOf(env, given), pager };
}

/** Reads all settings of the service, so that the doctor refuses what the service would refuse. */
export function readDoctorSettings(env: Env, file: string | null): DoctorSettings {
  return { ...readRunSettings(env, file, null), pinDir: read(env, 'WHODUNIT_PIN_DIR') };
}

/** `output`: the value of --output. */
export function readUpSettings(env: Env, given: Given, output: OutputForm | null): UpSettings {
  const file = given.rules === undefined ? null : String(given.rules);
  return {
    ...readRunSettings(env, file, output),
    pinDir: read(env, 'WHODUNIT_PIN_DIR'),
    endOfInput: given['until-eof'] === true,
    serviceArgs: [...(output === null ? [] : ['--output', output]), ...(file === null ? [] : ['--rules', file])],
  };
}

/** `output`: the value of --output. */
export function readRunSettings(env: Env, file: string | null, output: OutputForm | null): RunSettings {
  const { targets, page, printed } = readExporters(env);
  const rules = rulesSource(env, file);
  return {
    ...targets,
    page,
    rules,
    health: read(env, 'WHODUNIT_HEALTH_ADDR'),
    socketPath: read(env, 'WHODUNIT_SOCKET'),
    arguments: read(env, 'WHODUNIT_ARGUMENTS'),
    logins: read(env, 'WHODUNIT_LOGINS'),
    dockerSocket: get(env, 'WHODUNIT_DOCKER_SOCKET') === undefined ? null : read(env, 'WHODUNIT_DOCKER_SOCKET'),
    recordsPerMinute: read(env, 'WHODUNIT_RECORDS_PER_MINUTE', rules.mode === 'all'),
    spans: read(env, 'WHODUNIT_SPANS'),
    console: output ?? (printed ? 'text' : null),
    stateDir: read(env, 'WHODUNIT_STATE_DIR'),
    history: read(env, 'WHODUNIT_HISTORY'),
    queueBytes: read(env, 'WHODUNIT_QUEUE_BYTES'),
    metricIntervalMs: read(env, 'OTEL_METRIC_EXPORT_INTERVAL'),
    shutdownTimeoutMs: read(env, 'WHODUNIT_SHUTDOWN_TIMEOUT'),
  };
}

function rulesSource(env: Env, file: string | null): RulesSource {
  return { path: file ?? get(env, 'WHODUNIT_CONFIG')?.value ?? null, mode: read(env, 'WHODUNIT_REPORT') };
}

interface Exporters {
  readonly targets: Targets;
  readonly page: PageAddress | null;
  /** Records go to the console. */
  readonly printed: boolean;
}

function readExporters(env: Env): Exporters {
  const protocols = {
    logs: protocolOf(env, 'LOGS'),
    metrics: protocolOf(env, 'METRICS'),
    traces: protocolOf(env, 'TRACES'),
  };
  const address = {
    host: read(env, 'OTEL_EXPORTER_PROMETHEUS_HOST'),
    port: read(env, 'OTEL_EXPORTER_PROMETHEUS_PORT'),
  };
  if (read(env, 'OTEL_SDK_DISABLED'))
    return { targets: { logs: null, metrics: null, traces: null }, page: null, printed: true };
  const logs = read(env, 'OTEL_LOGS_EXPORTER', hasEndpoint(env, 'LOGS'));
  const metrics = read(env, 'OTEL_METRICS_EXPORTER', hasEndpoint(env, 'METRICS'));
  const traces = read(env, 'OTEL_TRACES_EXPORTER');
  const targets = {
    logs: logs.has('otlp') ? otlpTarget(env, 'LOGS', protocols.logs) : null,
    metrics: metrics.has('otlp') ? otlpTarget(env, 'METRICS', protocols.metrics) : null,
    traces: traces === 'otlp' ? otlpTarget(env, 'TRACES', protocols.traces) : null,
  };
  return { targets, page: metrics.has('prometheus') ? address : null, printed: logs.has('console') };
}
