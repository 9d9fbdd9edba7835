// SPDX-License-Identifier: Apache-2.0
// A record as a report for a person: the headline, then only lines that add something to it. The service prints it on a terminal,
// `whodunit show` prints it with what belongs to it. Both have only the record, so that people see what the collector receives.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import { listOf, numberOf, textOf } from '../page/values.ts';
import type { Attributes } from '../telemetry/attributes.ts';
import * as semconv from '../telemetry/semconv.ts';
import { joined } from '../words/quoted.ts';
import { duration } from '../words/units.ts';
import { visible } from '../words/visible.ts';
import { askedBy, isShownAbove, type Limits, victimLines, who } from './people.ts';
import { localTime, memory, nearest, repetition, where } from './places.ts';

const LABEL_WIDTH = 10;
const COLOURS: Readonly<Record<string, string>> = {
  FATAL: '\x1b[1;31m',
  ERROR: '\x1b[31m',
  WARN: '\x1b[33m',
  INFO: '\x1b[36m',
};
const MARKS: Readonly<Record<string, string>> = { FATAL: '✖', ERROR: '✖', WARN: '▲', INFO: '●' };
const DIM = '\x1b[2m';
const RESET = '\x1b[0m';
/** Of a report that no one asked for. */
const LIMITS: Limits = { commandChars: 240, ancestors: 3 };
const NO_LIMITS: Limits = { commandChars: Number.POSITIVE_INFINITY, ancestors: Number.POSITIVE_INFINITY };
/** Lines of a stack, or of members. */
const LINES_MAX = 12;
/** A shorter time between signal and end explains nothing. */
const SLOW_S = 1;

/** A label, and its lines. Without lines, it is not shown. */
export type Row = readonly [label: string, lines: readonly string[]];

export interface ReportOptions {
  readonly colour: boolean;
  /** All of stacks, members, command lines and ancestors, for who asked for this report. */
  readonly whole?: boolean;
  /** What the record itself does not say. */
  readonly more?: readonly Row[];
}

/** Several lines and an empty one, with local times. Control characters that come from the process are escaped. */
export function renderReport(record: ReadableLogRecord, { colour, whole = false, more = [] }: ReportOptions): string {
  const paint = (code: string, text: string): string => (colour ? `${code}${text}${RESET}` : text);
  const severity = record.severityText ?? 'ERROR';
  const body = String(record.body ?? '');
  const head = paint(COLOURS[severity] ?? '', `${MARKS[severity] ?? '✖'} ${visible(body)}`);
  const rows = [...rowsOf(record, body, whole), ...more];
  const lines = rows.flatMap(([label, texts]) =>
    texts.map((text, at) => `  ${paint(DIM, (at === 0 ? label : '').padEnd(LABEL_WIDTH))}${visible(text)}`),
  );
  return `${[head, ...lines].join('\n')}\n\n`;
}

/** In the order in which people ask. */
function rowsOf(record: ReadableLogRecord, body: string, whole: boolean): Row[] {
  const attributes = record.attributes as Attributes;
  const resource = record.resource.attributes as Attributes;
  const limits = whole ? NO_LIMITS : LIMITS;
  const limited = (lines: string[]): string[] => (whole ? lines : cutLines(lines));
  const isTermination = record.eventName === semconv.EVENT_PROCESS_TERMINATION;
  const evidence = listOf(attributes[semconv.EVIDENCE]);
  return [
    ['when', line(localTime(record.hrTime), repetition(attributes))],
    ['who', who(attributes, resource, limits)],
    ['asked by', askedBy(attributes, limits)],
    ['why', why(attributes)],
    ['where', line(...where(resource))],
    ['was', isTermination ? victimLines(attributes, resource, limits) : commandOf(attributes, resource)],
    ['memory', line(...memory(attributes))],
    ['core', line(textOf(attributes[semconv.CORE_DUMP_LOCATION]))],
    ['stack', limited(textOf(attributes[semconv.EXCEPTION_STACKTRACE])?.split('\n') ?? [])],
    ['members', limited(members(attributes))],
    ['incident', record.eventName !== semconv.EVENT_INCIDENT ? [] : line(textOf(attributes[semconv.INCIDENT_ID]))],
    ['evidence', evidence.filter((fact) => !isIn(body, fact) && !isShownAbove(fact, attributes))],
  ];
}

/** `it exited with code 3` says no more than the headline. */
function isIn(body: string, fact: string): boolean {
  return body.includes(fact.replace(/^it /, ''));
}

/** What is known of the parts, on one line. */
function line(...parts: readonly (string | null)[]): string[] {
  const text = joined(parts);
  return text === '' ? [] : [text];
}

/** What the headline does not say of the cause. */
function why(attributes: Attributes): string[] {
  const reaction = numberOf(attributes[semconv.SIGNAL_TIME_TO_EXIT]) ?? 0;
  const isHandled = attributes[semconv.SIGNAL_DISPOSITION] === 'handled';
  const instruction = textOf(attributes[semconv.FAULT_INSTRUCTION_POINTER]);
  const hasStack = attributes[semconv.EXCEPTION_STACKTRACE] !== undefined;
  const count = numberOf(attributes[semconv.CRASH_COUNT]) ?? 1;
  const since = textOf(attributes[semconv.CRASH_FIRST_SEEN]);
  return line(
    isHandled || reaction < SLOW_S ? null : `it ended ${duration(BigInt(Math.round(reaction * 1e9)))} after the signal`,
    instruction === null || hasStack ? null : `instruction ${instruction}`,
    count < 2 || since === null ? null : `${count} crashes at this place since ${since}`,
  );
}

/** An example of the terminations that are counted. */
function commandOf(attributes: Attributes, resource: Attributes): string[] {
  const command = textOf(attributes[semconv.AGGREGATED_COMMAND]);
  const program = command === null ? textOf(attributes[semconv.PROCESS_EXECUTABLE_PATH]) : `for example ${command}`;
  return line(program, nearest(resource) === null ? textOf(attributes[semconv.AGGREGATED_CGROUP]) : null);
}

/** Those that did not end as most did first. */
function members(attributes: Attributes): string[] {
  const lists = [attributes[semconv.INCIDENT_OUTLIERS], attributes[semconv.INCIDENT_MEMBERS]];
  return [...new Set(lists.flatMap(listOf))];
}

function cutLines(lines: string[]): string[] {
  const more = lines.length - LINES_MAX;
  return more <= 1 ? lines : [...lines.slice(0, LINES_MAX), `… ${more} more lines`];
}
