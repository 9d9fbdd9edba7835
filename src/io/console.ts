// SPDX-License-Identifier: Apache-2.0
// Renders a record as text for people, or as one line of JSON. Both use only the record, so the terminal shows what the collector
// receives. main.ts prints them.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import * as semconv from '../core/telemetry/semconv.ts';
import { duration, size } from '../core/words/units.ts';
import { visible } from '../core/words/visible.ts';

type Value = string | number | boolean | readonly string[] | undefined;
type Bag = Readonly<Record<string, Value>>;

const LABEL_WIDTH = 10;
const STACK_LINES_MAX = 12;
const COLOURS = { FATAL: '\x1b[1;31m', ERROR: '\x1b[31m', WARN: '\x1b[33m', INFO: '\x1b[36m' } as const;
const MARKS: Readonly<Record<string, string>> = { FATAL: '✖', ERROR: '✖', WARN: '▲', INFO: '●' };
const DIM = '\x1b[2m';
const RESET = '\x1b[0m';

/**
 * Returns several lines and an empty one, with local times. Control characters that come from the process are escaped. `stackLines`: lines of a
 * stack that are shown. The record has all.
 */
export function renderText(record: ReadableLogRecord, colour: boolean, stackLines = STACK_LINES_MAX): string {
  const attributes = record.attributes as Bag;
  const resource = record.resource.attributes as Bag;
  const severity = record.severityText ?? 'ERROR';
  const paint = (code: string, text: string): string => (colour ? `${code}${text}${RESET}` : text);
  const head = paint(
    COLOURS[severity as keyof typeof COLOURS] ?? '',
    `${MARKS[severity] ?? '✖'} ${visible(String(record.body))}`,
  );
  const lines = [head];
  const row = (label: string, parts: readonly (string | null)[]): void => {
    const text = parts.filter((part) => part !== null && part !== '').join(' · ');
    if (text !== '') lines.push(`  ${paint(DIM, label.padEnd(LABEL_WIDTH))}${visible(text)}`);
  };
  row('when', [localTime(record.hrTime), runtime(attributes)]);
  if (record.eventName !== semconv.EVENT_PROCESS_TERMINATION) {
    row('who', [list(attributes[semconv.RESTART_ANCESTORS], ' ← '), ...who(attributes)]);
    for (const [index, line] of members(attributes, stackLines).entries()) row(index === 0 ? 'members' : '', [line]);
    row('where', where(resource));
    return `${lines.join('\n')}\n\n`;
  }
  row('what', what(attributes, resource));
  row('why', why(attributes));
  row('who', who(attributes));
  row('where', where(resource));
  row('memory', memory(attributes));
  row('command', [list(resource[semconv.PROCESS_COMMAND_ARGS], ' ')]);
  const evidence = attributes[semconv.EVIDENCE];
  if (Array.isArray(evidence))
    for (const [index, fact] of evidence.entries()) row(index === 0 ? 'evidence' : '', [fact]);
  for (const [index, line] of stack(attributes, stackLines).entries()) row(index === 0 ? 'stack' : '', [line]);
  return `${lines.join('\n')}\n\n`;
}

/** Returns the record with its resource as one line of JSON. Times are strings, in ns since 1970. */
export function renderJson(record: ReadableLogRecord): string {
  const { spanContext } = record;
  const line = JSON.stringify({
    timestamp_ns: nanoseconds(record.hrTime),
    observed_timestamp_ns: nanoseconds(record.hrTimeObserved),
    event_name: record.eventName,
    severity_number: record.severityNumber,
    severity_text: record.severityText,
    body: record.body,
    ...(spanContext === undefined
      ? {}
      : { trace_id: spanContext.traceId, span_id: spanContext.spanId, trace_flags: spanContext.traceFlags }),
    attributes: record.attributes,
    resource: { attributes: record.resource.attributes, schema_url: record.resource.schemaUrl },
    scope: {
      name: record.instrumentationScope.name,
      version: record.instrumentationScope.version,
      schema_url: record.instrumentationScope.schemaUrl,
    },
  });
  return `${line}\n`;
}

/** True for a terminal, unless NO_COLOR (no-color.org) or TERM=dumb is set. */
export function wantsColour(stream: { isTTY?: boolean }, env: Readonly<Record<string, string | undefined>>): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}

function stack(attributes: Bag, linesMax: number): string[] {
  return limited(text(attributes[semconv.EXCEPTION_STACKTRACE])?.split('\n') ?? [], linesMax);
}

/** Those that did not end as most did first. */
function members(attributes: Bag, linesMax: number): string[] {
  const groups = [attributes[semconv.INCIDENT_OUTLIERS], attributes[semconv.INCIDENT_MEMBERS]].flatMap((value) =>
    Array.isArray(value) ? value : [],
  );
  return limited([...new Set<string>(groups)], linesMax);
}

function limited(lines: string[], linesMax: number): string[] {
  const more = lines.length - linesMax;
  return more <= 1 ? lines : [...lines.slice(0, linesMax), `… ${more} more lines`];
}

function what(attributes: Bag, resource: Bag): (string | null)[] {
  const path = text(resource[semconv.PROCESS_EXECUTABLE_PATH]);
  const pid = `pid ${resource[semconv.PROCESS_PID]}`;
  const inner = resource[semconv.PROCESS_VPID];
  const thread = attributes[semconv.THREAD_ID];
  const differs = thread !== undefined && thread !== resource[semconv.PROCESS_PID];
  return [
    path ?? text(resource[semconv.PROCESS_EXECUTABLE_NAME]),
    inner === resource[semconv.PROCESS_PID] ? pid : `${pid}, ${inner} in its namespace`,
    `parent ${resource[semconv.PROCESS_PARENT_PID]}`,
    `user ${resource[semconv.PROCESS_OWNER] ?? resource[semconv.PROCESS_USER_ID]}`,
    differs ? `thread ${attributes[semconv.THREAD_NAME] ?? ''} (${thread})` : null,
  ];
}

function why(attributes: Bag): (string | null)[] {
  const signal = text(attributes[semconv.SIGNAL_NAME]);
  const exit = attributes[semconv.PROCESS_EXIT_CODE];
  const handled = attributes[semconv.SIGNAL_DISPOSITION] === 'handled';
  const grace = attributes[semconv.SIGNAL_TIME_TO_EXIT];
  const address = text(attributes[semconv.FAULT_ADDRESS]);
  const instruction = text(attributes[semconv.FAULT_INSTRUCTION_POINTER]);
  return [
    String(attributes[semconv.CAUSE]),
    exit === undefined ? null : `exit code ${exit}`,
    text(attributes[semconv.EXIT_MEANING]),
    signal === null ? null : `${handled ? 'handled ' : ''}${signal} ${attributes[semconv.SIGNAL_CODE] ?? ''}`.trim(),
    address === null ? null : `address ${address}`,
    instruction === null ? null : `instruction ${instruction}`,
    attributes[semconv.CORE_DUMPED] === true ? 'core dumped' : null,
    typeof grace === 'number' ? `${duration(nanosOf(grace))} from signal to termination` : null,
  ];
}

function who(attributes: Bag): (string | null)[] {
  switch (attributes[semconv.SENDER_KIND]) {
    case 'process': {
      const user = attributes[semconv.SENDER_USER_NAME] ?? `uid ${attributes[semconv.SENDER_USER_ID]}`;
      const name = `${attributes[semconv.SENDER_NAME]} (pid ${attributes[semconv.SENDER_PID]}, ${user})`;
      const place =
        containerIn(attributes, semconv.SENDER_CONTAINER_NAME, semconv.SENDER_CONTAINER_ID) ??
        text(attributes[semconv.SENDER_SYSTEMD_UNIT]);
      const chain = list(attributes[semconv.SENDER_ANCESTORS], ' ← ');
      return [chain === null ? name : `${name} ← ${chain}`, text(attributes[semconv.SENDER_COMMAND_LINE]), place];
    }
    case 'self':
      return ['the process itself'];
    case 'kernel':
      return ['the kernel'];
    case 'unknown':
      return ['unknown'];
    default:
      return [];
  }
}

function where(resource: Bag): (string | null)[] {
  return [
    knownService(resource),
    text(resource[semconv.SYSTEMD_UNIT]),
    containerIn(resource, semconv.CONTAINER_NAME, semconv.CONTAINER_ID),
    short(text(resource[semconv.K8S_POD_UID]), 'pod', 36),
    text(resource[semconv.PROCESS_LINUX_CGROUP]),
    text(resource[semconv.HOST_NAME]),
  ];
}

function containerIn(attributes: Bag, nameKey: string, idKey: string): string | null {
  const name = text(attributes[nameKey]);
  return name === null ? short(text(attributes[idKey]), 'container') : `container ${name}`;
}

/** Returns null for `unknown_service:sleep`: it repeats the name of the executable. */
function knownService(resource: Bag): string | null {
  const name = text(resource[semconv.SERVICE_NAME]);
  return name === null || name.startsWith('unknown_service') ? null : `service ${name}`;
}

function memory(attributes: Bag): (string | null)[] {
  const bytes = (label: string, key: string): string | null => {
    const value = attributes[key];
    return typeof value === 'number' ? `${label} ${size(value)}` : null;
  };
  return [
    bytes('limit', semconv.OOM_LIMIT),
    bytes('anonymous', semconv.OOM_ANON_RSS),
    bytes('file', semconv.OOM_FILE_RSS),
    bytes('shared', semconv.OOM_SHMEM_RSS),
    bytes('virtual', semconv.OOM_TOTAL_VM),
    text(attributes[semconv.OOM_CGROUP]),
  ];
}

function runtime(attributes: Bag): string | null {
  const uptime = attributes[semconv.PROCESS_UPTIME];
  return typeof uptime === 'number' ? `ran for ${duration(nanosOf(uptime))}` : null;
}

/** `2026-11-23 14:03:22.123456789 +00:00`, in the time zone of this machine. */
export function localTime([seconds, nanos]: readonly [number, number]): string {
  const date = new Date(seconds * 1000);
  const offset = -date.getTimezoneOffset();
  const local = new Date(seconds * 1000 + offset * 60_000).toISOString().slice(0, 19).replace('T', ' ');
  const zone = `${offset < 0 ? '-' : '+'}${two(Math.trunc(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`;
  return `${local}.${String(nanos).padStart(9, '0')} ${zone}`;
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

function nanosOf(seconds: number): bigint {
  return BigInt(Math.round(seconds * 1e9));
}

function nanoseconds([seconds, nanos]: readonly [number, number]): string {
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
}

function text(value: Value): string | null {
  return value === undefined || value === '' ? null : String(value);
}

function list(value: Value, separator: string): string | null {
  return Array.isArray(value) && value.length > 0 ? value.join(separator) : null;
}

function short(id: string | null, label: string, chars = 12): string | null {
  return id === null ? null : `${label} ${id.slice(0, chars)}`;
}
