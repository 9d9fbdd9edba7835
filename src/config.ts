// SPDX-License-Identifier: Apache-2.0
// Environment and flags → Config. Every knob with its default; a wrong one is a FatalError with exit code 78 that names key,
// value, what is allowed and the remedy. Headers, timeouts, compression and TLS are read by the official exporters themselves:
// here they are only checked, because the exporters would go on with a warning.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { ArgumentsMode } from './core/enrich.ts';
import { configError, EXIT_CONFIG, FatalError } from './core/errors.ts';
import type { ReportMode } from './core/screen.ts';
import type { Protocol } from './io/otlp.ts';

const PROTOCOLS: readonly Protocol[] = ['grpc', 'http/protobuf', 'http/json'];
export type OutputForm = 'text' | 'json';
export type Command = 'run' | 'doctor' | 'help' | 'version';

export interface OtlpTarget {
  readonly protocol: Protocol;
  /** What the exporter will use, for people to read. */
  readonly endpoint: string;
}

export interface Config {
  readonly command: Command;
  readonly socketPath: string;
  /** null: no health server (`WHODUNIT_HEALTH_ADDR=off`). */
  readonly health: { readonly host: string; readonly port: number } | null;
  readonly report: ReportMode;
  readonly arguments: ArgumentsMode;
  /** null: not sent over OTLP. */
  readonly logs: OtlpTarget | null;
  readonly metrics: OtlpTarget | null;
  /** null: deaths are not printed. */
  readonly console: OutputForm | null;
  readonly metricIntervalMs: number;
  readonly shutdownTimeoutMs: number;
}

type Env = Readonly<Record<string, string | undefined>>;
type Signal = 'LOGS' | 'METRICS';

export const HELP = `whodunit tells why a process died: when, why, and who did it.

usage: whodunit [run | doctor] [--output text|json]

  run      read deaths from the loader and send them (the default)
  doctor   check the way from the kernel to the collector

  --output text|json   print each death on stdout, also where it is sent to a collector
  --help, --version

Set OTEL_EXPORTER_OTLP_ENDPOINT to send to a collector; without it each death is printed as a report.
Others: OTEL_EXPORTER_OTLP_PROTOCOL (grpc, http/protobuf, http/json), OTEL_LOGS_EXPORTER, OTEL_METRICS_EXPORTER,
OTEL_METRIC_EXPORT_INTERVAL, WHODUNIT_SOCKET, WHODUNIT_HEALTH_ADDR, WHODUNIT_REPORT, WHODUNIT_ARGUMENTS,
WHODUNIT_SHUTDOWN_TIMEOUT.`;

/** Reads flags and environment. Throws FatalError. */
export function readConfig(argv: readonly string[], env: Env): Config {
  const { command, output } = readFlags(argv);
  const disabled = get(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true';
  const protocols = { LOGS: protocolOf(env, 'LOGS'), METRICS: protocolOf(env, 'METRICS') };
  const logs = disabled ? new Set(['console']) : logsExporters(env);
  const printed = logs.has('console') || output !== null;
  return {
    command,
    socketPath: get(env, 'WHODUNIT_SOCKET') ?? '/run/whodunit/events.sock',
    health: healthAddress(get(env, 'WHODUNIT_HEALTH_ADDR') ?? '127.0.0.1:9465'),
    report: oneOf(env, 'WHODUNIT_REPORT', ['default', 'all'], 'default'),
    arguments: oneOf(env, 'WHODUNIT_ARGUMENTS', ['redacted', 'full', 'off'], 'redacted'),
    logs: logs.has('otlp') ? otlpTarget(env, 'LOGS', protocols.LOGS) : null,
    metrics: !disabled && metricsExporter(env) === 'otlp' ? otlpTarget(env, 'METRICS', protocols.METRICS) : null,
    console: printed ? (output ?? 'text') : null,
    metricIntervalMs: milliseconds(env, 'OTEL_METRIC_EXPORT_INTERVAL', 60_000),
    shutdownTimeoutMs: milliseconds(env, 'WHODUNIT_SHUTDOWN_TIMEOUT', 5_000),
  };
}

function readFlags(argv: readonly string[]): { command: Command; output: OutputForm | null } {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(argv);
  } catch (error) {
    throw new FatalError('USAGE', `${(error as Error).message.split('\n')[0]} See whodunit --help.`, EXIT_CONFIG);
  }
  const { values, positionals } = parsed;
  const { output } = values;
  if (output !== undefined && output !== 'text' && output !== 'json') {
    throw configError('--output', output, 'text, json', 'Leave it out for the default.');
  }
  if (values.help) return { command: 'help', output: null };
  if (values.version) return { command: 'version', output: null };
  const [command = 'run', ...rest] = positionals;
  if ((command !== 'run' && command !== 'doctor') || rest.length > 0) {
    throw configError('the command', positionals.join(' '), 'run, doctor', 'See whodunit --help.');
  }
  return { command, output: output ?? null };
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      output: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'v' },
    },
  });
}

/** A variable that is set and not empty; the specification treats empty as unset. */
function get(env: Env, key: string): string | undefined {
  const value = env[key]?.trim();
  return value === '' ? undefined : value;
}

function oneOf<T extends string>(env: Env, key: string, allowed: readonly T[], fallback: T): T {
  const value = get(env, key);
  if (value === undefined) return fallback;
  if ((allowed as readonly string[]).includes(value)) return value as T;
  throw configError(key, value, allowed.join(', '), `Leave it out for ${fallback}.`);
}

function milliseconds(env: Env, key: string, fallback: number): number {
  const value = get(env, key);
  if (value === undefined) return fallback;
  if (/^\d{1,9}$/.test(value) && Number(value) > 0) return Number(value);
  throw configError(key, value, 'a whole number of milliseconds above 0', `Leave it out for ${fallback}.`);
}

function logsExporters(env: Env): Set<string> {
  const key = 'OTEL_LOGS_EXPORTER';
  const value = get(env, key) ?? (hasEndpoint(env, 'LOGS') ? 'otlp' : 'console');
  const names = value.split(',').map((name) => name.trim());
  for (const name of names) {
    if (!['otlp', 'console', 'none'].includes(name))
      throw configError(key, value, 'otlp, console, none, or several with commas', 'Correct it.');
  }
  return new Set(names);
}

function metricsExporter(env: Env): 'otlp' | 'none' {
  return oneOf(env, 'OTEL_METRICS_EXPORTER', ['otlp', 'none'], hasEndpoint(env, 'METRICS') ? 'otlp' : 'none');
}

function hasEndpoint(env: Env, signal: Signal): boolean {
  return specific(env, signal, 'ENDPOINT') !== undefined;
}

/** The per-signal form of a variable, else the general one, with the key that was used. */
function specific(env: Env, signal: Signal, name: string): { key: string; value: string } | undefined {
  for (const key of [`OTEL_EXPORTER_OTLP_${signal}_${name}`, `OTEL_EXPORTER_OTLP_${name}`]) {
    const value = get(env, key);
    if (value !== undefined) return { key, value };
  }
  return undefined;
}

/** Checked even where nothing is sent: a typing error should not wait for the day on which the endpoint is set. */
function protocolOf(env: Env, signal: Signal): Protocol {
  const chosen = specific(env, signal, 'PROTOCOL');
  const protocol = PROTOCOLS.find((name) => name === (chosen?.value ?? 'http/protobuf'));
  if (protocol !== undefined) return protocol;
  const remedy = 'A collector takes grpc on port 4317 and http/protobuf on port 4318.';
  throw configError(chosen?.key ?? '', chosen?.value ?? '', PROTOCOLS.join(', '), remedy);
}

function otlpTarget(env: Env, signal: Signal, protocol: Protocol): OtlpTarget {
  checkExporterVariables(env, signal);
  return { protocol, endpoint: endpointOf(env, signal, protocol) };
}

function endpointOf(env: Env, signal: Signal, protocol: Protocol): string {
  const set = specific(env, signal, 'ENDPOINT');
  if (protocol === 'grpc') {
    const value = set?.value ?? 'http://localhost:4317';
    // The gRPC exporter also takes a bare host:port, and means TLS by it unless OTEL_EXPORTER_OTLP_INSECURE is true.
    const url = /^\w{1,8}:\/\//.test(value) || value.startsWith('unix:') ? value : `https://${value}`;
    if (!URL.canParse(url)) throw badEndpoint(set?.key ?? '', value);
    return value;
  }
  const value = set?.value ?? 'http://localhost:4318';
  if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol)) throw badEndpoint(set?.key ?? '', value);
  if (set?.key === `OTEL_EXPORTER_OTLP_${signal}_ENDPOINT`) return value;
  return `${value.replace(/\/$/, '')}/v1/${signal.toLowerCase()}`;
}

function badEndpoint(key: string, value: string): FatalError {
  return configError(key, value, 'a URL such as http://localhost:4318', 'Write the scheme, the host and the port.');
}

function checkExporterVariables(env: Env, signal: Signal): void {
  const compression = specific(env, signal, 'COMPRESSION');
  if (compression !== undefined && !['gzip', 'none'].includes(compression.value)) {
    throw configError(compression.key, compression.value, 'gzip, none', 'Leave it out for none.');
  }
  const timeout = specific(env, signal, 'TIMEOUT');
  if (timeout !== undefined) milliseconds(env, timeout.key, 10_000);
  const files = ['CERTIFICATE', 'CLIENT_KEY', 'CLIENT_CERTIFICATE'].map((name) => specific(env, signal, name));
  for (const file of files) if (file !== undefined) checkReadable(file.key, file.value);
  const [, key, certificate] = files;
  if ((key === undefined) !== (certificate === undefined)) {
    const present = key ?? certificate;
    throw configError(
      present?.key ?? '',
      present?.value ?? '',
      'a client key together with a client certificate',
      'Set both or neither.',
    );
  }
}

function checkReadable(key: string, path: string): void {
  try {
    readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'an error';
    throw configError(key, path, 'a file in PEM format that can be read', `Reading it gave ${code}.`);
  }
}

function healthAddress(value: string): Config['health'] {
  if (value === 'off') return null;
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(value) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined || Number(port) > 65_535) {
    throw configError(
      'WHODUNIT_HEALTH_ADDR',
      value,
      'host:port, [IPv6 address]:port, or off',
      'Leave it out for 127.0.0.1:9465.',
    );
  }
  return { host: host === '' ? '0.0.0.0' : host, port: Number(port) };
}
