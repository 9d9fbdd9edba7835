// SPDX-License-Identifier: Apache-2.0
// Records of the history → rows and reports of the page. Pure.
import type { Entry } from '../history/entry.ts';
import type { Attributes, AttributeValue } from '../telemetry/attributes.ts';
import * as semconv from '../telemetry/semconv.ts';
import { isoTime } from '../time.ts';
import { duration } from '../words/units.ts';
import type { DetailAnswer, Field, Row } from './answers.ts';
import { chainOf } from './chain.ts';
import { memoryOf } from './memory.ts';
import { listOf, numberOf, textOf } from './values.ts';

/** Values in a row are cut there: a name may have kilobytes. The report has all of them. */
const ROW_CHARS_MAX = 300;

export function rowOf(entry: Entry): Row {
  const { id, uid, kind, severity, process } = entry;
  const cut = (text: string | undefined): string | null =>
    text === undefined || text === '' ? null : shorten(text, ROW_CHARS_MAX);
  return {
    id,
    uid,
    kind,
    severity,
    timeMs: msOf(entry.time_ns),
    body: shorten(entry.body, ROW_CHARS_MAX),
    name: shorten(process.name, ROW_CHARS_MAX),
    pid: process.pid,
    cause: cut(entry.cause),
    how: cut(entry.signal ?? (entry.exit_code === undefined ? undefined : `exit code ${entry.exit_code}`)),
    sender: cut(entry.sender),
    requester: cut(entry.requester),
    where: cut(entry.service ?? entry.unit ?? entry.container),
  };
}

/** Whole characters: half of a pair would be no text. */
function shorten(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max).replace(/[\ud800-\udbff]$/, '')}…`;
}

export function msOf(ns: bigint): number {
  return Number(ns / 1_000_000n);
}

/** The records that belong to one. */
export interface Related {
  readonly restarts: readonly Entry[];
  readonly members: readonly Entry[];
  readonly moreMembers: boolean;
  readonly earlier: readonly Entry[];
}

export function detailOf(entry: Entry, { restarts, members, moreMembers, earlier }: Related): DetailAnswer {
  const { attributes, resource, incident_id: incident } = entry;
  return {
    row: { ...rowOf(entry), body: entry.body, name: entry.process.name },
    time: isoTime(entry.time_ns),
    summary: summaryOf(entry),
    chain: chainOf(attributes, resource, entry.kind),
    memory: memoryOf(attributes),
    evidence: listOf(attributes[semconv.EVIDENCE]),
    stack: textOf(attributes[semconv.EXCEPTION_STACKTRACE])?.split('\n') ?? [],
    explanation: textOf(attributes[semconv.CRASH_EXPLANATION]),
    delivery: deliveryInWords(entry.delivery),
    related: restarts.map(rowOf),
    incident: incident === undefined ? null : { id: incident, members: members.map(rowOf), more: moreMembers },
    earlier: earlier.map(rowOf),
    attributes: fieldsOf(attributes),
    resource: fieldsOf(resource),
  };
}

function summaryOf({ attributes, resource, ...entry }: Entry): Field[] {
  const uptime = numberOf(attributes[semconv.PROCESS_UPTIME]);
  const reaction = numberOf(attributes[semconv.SIGNAL_TIME_TO_EXIT]);
  const fields: (readonly [name: string, value: string | null | undefined])[] = [
    ['program', textOf(resource[semconv.PROCESS_EXECUTABLE_PATH]) ?? entry.process.executable],
    ['user', entry.user],
    ['cause', entry.cause],
    ['signal', entry.signal],
    ['meaning', textOf(attributes[semconv.SIGNAL_MEANING]) ?? textOf(attributes[semconv.EXIT_MEANING])],
    ['exit code', entry.exit_code === undefined ? null : String(entry.exit_code)],
    ['ran for', uptime === null ? null : inWords(uptime)],
    ['from signal to end', reaction === null ? null : inWords(reaction)],
    ['service', entry.service],
    ['unit', entry.unit],
    ['container', entry.container],
    ['control group', textOf(resource[semconv.PROCESS_LINUX_CGROUP])],
    ['host', textOf(resource[semconv.HOST_NAME])],
    ['thread', textOf(attributes[semconv.THREAD_NAME])],
    ['address', textOf(attributes[semconv.FAULT_ADDRESS])],
    ['crashed in', textOf(attributes[semconv.CRASH_PLACE])],
    ['core dump', textOf(attributes[semconv.CORE_DUMP_LOCATION])],
    ['terminated', timesOf(attributes)],
    ['how', listOf(attributes[semconv.LOOP_OUTCOMES]).join(', ') || null],
    ['started again by', textOf(attributes[semconv.LOOP_RESTARTER])],
  ];
  return fields.flatMap(([name, value]) => (value === null || value === undefined ? [] : [{ name, value }]));
}

/** Of a loop. */
function timesOf(attributes: Entry['attributes']): string | null {
  const count = numberOf(attributes[semconv.LOOP_COUNT]);
  return count === null ? null : `${count} times`;
}

function inWords(seconds: number): string {
  return duration(BigInt(Math.round(seconds * 1e9)));
}

function deliveryInWords({ state, at_ns: at, endpoint, reason }: Entry['delivery']): string {
  const to = endpoint === undefined ? '' : ` to ${endpoint}`;
  const why = reason === undefined ? '' : `: ${reason}`;
  switch (state) {
    case 'delivered':
      return `delivered${to}${at === undefined ? '' : ` at ${isoTime(at)}`}`;
    case 'waiting':
      return `waits for the collector${to}${why}`;
    case 'rejected':
      return `rejected by the collector${to}${why}`;
    case 'none':
      return 'not sent: no collector is set (OTEL_EXPORTER_OTLP_ENDPOINT)';
  }
}

function fieldsOf(attributes: Attributes): Field[] {
  return Object.entries(attributes)
    .filter(([name]) => !SHOWN_ABOVE.has(name))
    .map(([name, value]) => ({ name, value: valueInWords(value) }));
}

/** Long values with a place of their own. */
const SHOWN_ABOVE: ReadonlySet<string> = new Set([
  semconv.EVIDENCE,
  semconv.EXCEPTION_STACKTRACE,
  semconv.CRASH_FRAMES,
]);

function valueInWords(value: AttributeValue): string {
  return Array.isArray(value) ? value.join(' · ') : String(value);
}
