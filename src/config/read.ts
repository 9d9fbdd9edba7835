// SPDX-License-Identifier: Apache-2.0
// Environment and flags → Config. The knobs and their defaults are those of knobs.ts; a wrong one is a FatalError with exit code 78 that
// names key, value, what is allowed and the remedy. Headers, timeouts, compression and TLS are read by the official exporters themselves:
// here they are only checked, because the exporters would go on with a warning.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Protocol } from '../core/delivery/target.ts';
import { configError, EXIT_CONFIG, FatalError } from '../core/errors.ts';
import type { ReportMode } from '../core/filter/rules.ts';
import type { ArgumentsMode } from '../core/identity/arguments.ts';
import { KNOBS, type KnobName, OTLP_KNOBS, type OtlpKnobName } from './knobs.ts';

const PROTOCOLS: readonly Protocol[] = ['grpc', 'http/protobuf', 'http/json'];
export type OutputForm = 'text' | 'json';
export type Command = 'run' | 'doctor' | 'explain' | 'rules' | 'help' | 'version';

export interface OtlpTarget {
  readonly protocol: Protocol;
  /** What the exporter will use, for people to read. */
  readonly endpoint: string;
  /** The authority that the exporter trusts, in PEM format; null: the well-known ones. */
  readonly certificate: string | null;
}

export interface Config {
  readonly command: Command;
  /** null unless the command is `explain`. `what`: an exit code or a signal. */
  readonly question: { readonly what: string; readonly executable: string | null } | null;
  /** `doctor`: let a child die and follow it. */
  readonly test: boolean;
  /** `rules`: try them on what died lately instead of listing them. */
  readonly dryRun: boolean;
  /** The file with rules; null: none. */
  readonly configPath: string | null;
  /** Records of one service in a minute; further ones are aggregated into a summary. Infinity: never. */
  readonly recordsPerMinute: number;
  readonly socketPath: string;
  /** Where the loader pins; the doctor looks there. */
  readonly pinDir: string;
  /** null: no health server (`WHODUNIT_HEALTH_ADDR=off`). */
  readonly health: { readonly host: string; readonly port: number } | null;
  readonly report: ReportMode;
  readonly arguments: ArgumentsMode;
  /** null: not sent over OTLP. */
  readonly logs: OtlpTarget | null;
  readonly metrics: OtlpTarget | null;
  readonly traces: OtlpTarget | null;
  /** null: deaths are not printed. */
  readonly console: OutputForm | null;
  readonly stateDir: string;
  readonly queueBytes: number;
  readonly metricIntervalMs: number;
  readonly shutdownTimeoutMs: number;
}

/** Less would not hold one batch. */
const QUEUE_BYTES_MIN = 4 * 1024 * 1024;

type Env = Readonly<Record<string, string | undefined>>;
type Signal = 'LOGS' | 'METRICS' | 'TRACES';
type Key = KnobName | `OTEL_EXPORTER_OTLP_${Signal}_${OtlpKnobName}` | `OTEL_EXPORTER_OTLP_${OtlpKnobName}`;

export const HELP = `whodunit tells why a process died: when, why, and who did it.

usage: whodunit [run] [--output text|json] [--config FILE]
       whodunit doctor [--test] [--config FILE]
       whodunit rules [--dry-run] [--config FILE]
       whodunit explain <exit code | signal> [--executable NAME]

  run      read deaths from the loader and send them (the default)
  doctor   check the way from the kernel to the collector, stop by stop, with remedies; ends with 1 where something is wrong
  rules    list the rules that choose what is reported, or try them on what died lately
  explain  say what an exit code or a signal means: explain 137, explain SIGBUS, explain --executable node 7

  --output text|json   print each death on stdout, also where it is sent to a collector
  --config FILE        YAML with rules that go before the built-in ones; SIGHUP reads it again
  --test               kill a child, follow its death to the collector's answer, and name the stop where it got stuck
  --dry-run            ask the running service for the last terminations and say which rule takes each
  --executable NAME    whose exit code it is: the name of a program, or of a language (jvm, rust, …)
  --help, --version

Exit codes: 0 well, 1 something is wrong, 78 a setting or the command line is.

Set OTEL_EXPORTER_OTLP_ENDPOINT to send to a collector; without it each death is printed as a report. What each
variable means and may be is in docs/configuration.md: OTEL_EXPORTER_OTLP_* and its forms for each signal,
${serviceKnobs()}.`;

/** In lines that a terminal shows whole. */
function serviceKnobs(): string {
  const names = Object.entries(KNOBS).flatMap(([name, { reader }]) => (reader === 'loader' ? [] : [name]));
  return names
    .join(', ')
    .replace(/(.{1,110})(?: |$)/g, '$1\n')
    .trimEnd();
}

/** Reads flags and environment. Throws FatalError. */
export function readConfig(argv: readonly string[], env: Env): Config {
  const { command, output, question, test, dryRun, file } = readFlags(argv);
  const disabled = get(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true';
  const protocols = {
    LOGS: protocolOf(env, 'LOGS'),
    METRICS: protocolOf(env, 'METRICS'),
    TRACES: protocolOf(env, 'TRACES'),
  };
  const logs = disabled ? new Set(['console']) : logsExporters(env);
  const report = oneOf(env, 'WHODUNIT_REPORT', ['default', 'all']);
  const printed = logs.has('console') || output !== null;
  return {
    command,
    question,
    test,
    dryRun,
    configPath: file ?? get(env, 'WHODUNIT_CONFIG') ?? null,
    recordsPerMinute: recordsPerMinute(env, report),
    socketPath: or(env, 'WHODUNIT_SOCKET'),
    pinDir: or(env, 'WHODUNIT_PIN_DIR'),
    health: healthAddress(or(env, 'WHODUNIT_HEALTH_ADDR')),
    report,
    arguments: oneOf(env, 'WHODUNIT_ARGUMENTS', ['redacted', 'full', 'off']),
    logs: logs.has('otlp') ? otlpTarget(env, 'LOGS', protocols.LOGS) : null,
    metrics: !disabled && metricsExporter(env) === 'otlp' ? otlpTarget(env, 'METRICS', protocols.METRICS) : null,
    traces: !disabled && tracesExporter(env) === 'otlp' ? otlpTarget(env, 'TRACES', protocols.TRACES) : null,
    console: printed ? (output ?? 'text') : null,
    stateDir: or(env, 'WHODUNIT_STATE_DIR'),
    queueBytes: bytes('WHODUNIT_QUEUE_BYTES', or(env, 'WHODUNIT_QUEUE_BYTES'), QUEUE_BYTES_MIN),
    metricIntervalMs: milliseconds('OTEL_METRIC_EXPORT_INTERVAL', or(env, 'OTEL_METRIC_EXPORT_INTERVAL')),
    shutdownTimeoutMs: milliseconds('WHODUNIT_SHUTDOWN_TIMEOUT', or(env, 'WHODUNIT_SHUTDOWN_TIMEOUT')),
  };
}

interface Flags extends Pick<Config, 'command' | 'question' | 'test' | 'dryRun'> {
  readonly output: OutputForm | null;
  readonly file: string | null;
}

function readFlags(argv: readonly string[]): Flags {
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
  const dryRun = values['dry-run'] === true;
  const test = values.test === true;
  const flags: Flags = {
    command: 'run',
    question: null,
    test,
    dryRun,
    output: output ?? null,
    file: values.config ?? null,
  };
  if (values.help) return { ...flags, command: 'help', output: null };
  if (values.version) return { ...flags, command: 'version', output: null };
  const [command = 'run', what, ...rest] = positionals;
  if (command === 'explain' && what !== undefined && rest.length === 0) {
    return { ...flags, command, question: { what, executable: values.executable ?? null } };
  }
  if ((command === 'run' || command === 'doctor' || command === 'rules') && what === undefined)
    return { ...flags, command };
  const commands = 'run, doctor, rules, explain <exit code | signal>';
  throw configError('the command', positionals.join(' '), commands, 'See whodunit --help.');
}

function parse(argv: readonly string[]) {
  return parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      output: { type: 'string' },
      config: { type: 'string' },
      test: { type: 'boolean' },
      'dry-run': { type: 'boolean' },
      executable: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean', short: 'v' },
    },
  });
}

/** A variable that is set and not empty; the specification treats empty as unset. */
function get(env: Env, key: Key): string | undefined {
  const value = env[key]?.trim();
  return value === '' ? undefined : value;
}

/** What is set, or the default. */
function or(env: Env, key: KnobName): string {
  return get(env, key) ?? KNOBS[key].fallback;
}

function oneOf<T extends string>(env: Env, key: KnobName, allowed: readonly T[], fallback = or({}, key)): T {
  const value = get(env, key) ?? fallback;
  if ((allowed as readonly string[]).includes(value)) return value as T;
  throw configError(key, value, allowed.join(', '), `Leave it out for ${fallback}.`);
}

function milliseconds(key: string, value: string, fallback = ''): number {
  if (/^\d{1,9}$/.test(value) && Number(value) > 0) return Number(value);
  throw configError(key, value, 'a whole number of milliseconds from 1 to 999999999', leaveOut(key, fallback));
}

function leaveOut(key: string, fallback: string): string {
  return `Leave it out for ${key in KNOBS ? KNOBS[key as KnobName].fallback : fallback}.`;
}

/** A whole number, or one with KiB, MiB or GiB behind it. */
function bytes(key: KnobName, value: string, min: number): number {
  const [, digits, unit = ''] = /^(\d{1,15}) ?(KiB|MiB|GiB)?$/.exec(value) ?? [];
  const count = Number(digits) * (UNITS[unit] ?? 1);
  if (count >= min && Number.isSafeInteger(count)) return count;
  throw configError(
    key,
    value,
    `a whole number of bytes from ${min} on, or one such as 256MiB`,
    `Leave it out for ${KNOBS[key].fallback}.`,
  );
}

const UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

/** Who asks for all records gets all, unless a number is set. */
function recordsPerMinute(env: Env, report: ReportMode): number {
  const key = 'WHODUNIT_RECORDS_PER_MINUTE';
  const value = get(env, key) ?? (report === 'all' ? 'off' : '10');
  if (value === 'off') return Number.POSITIVE_INFINITY;
  if (/^\d+$/.test(value) && Number.isSafeInteger(Number(value)) && Number(value) > 0) return Number(value);
  throw configError(
    key,
    value,
    'a whole number above 0, or off',
    'Leave it out for 10, or for off with WHODUNIT_REPORT=all.',
  );
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

/** Off unless asked for: a span is a record told twice. */
function tracesExporter(env: Env): 'otlp' | 'none' {
  return oneOf(env, 'OTEL_TRACES_EXPORTER', ['otlp', 'none']);
}

function hasEndpoint(env: Env, signal: Signal): boolean {
  return specific(env, signal, 'ENDPOINT') !== undefined;
}

/** The per-signal form of a variable, else the general one, with the key that was used. */
function specific(env: Env, signal: Signal, name: OtlpKnobName): { key: string; value: string } | undefined {
  for (const key of [`OTEL_EXPORTER_OTLP_${signal}_${name}`, `OTEL_EXPORTER_OTLP_${name}`] as const) {
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
  const certificate = checkExporterVariables(env, signal);
  return { protocol, endpoint: endpointOf(env, signal, protocol), certificate };
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

/** Gives the authority to trust; null: none is named. */
function checkExporterVariables(env: Env, signal: Signal): string | null {
  const compression = specific(env, signal, 'COMPRESSION');
  if (compression !== undefined && !['gzip', 'none'].includes(compression.value)) {
    throw configError(compression.key, compression.value, 'gzip, none', 'Leave it out for none.');
  }
  const timeout = specific(env, signal, 'TIMEOUT');
  if (timeout !== undefined) milliseconds(timeout.key, timeout.value, OTLP_KNOBS.TIMEOUT.fallback);
  const files = (['CERTIFICATE', 'CLIENT_KEY', 'CLIENT_CERTIFICATE'] as const).map((name) =>
    specific(env, signal, name),
  );
  const [authority = null] = files.map((file) => (file === undefined ? null : readPem(file.key, file.value)));
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
  return authority;
}

function readPem(key: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
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
