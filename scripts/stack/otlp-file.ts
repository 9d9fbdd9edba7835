// SPDX-License-Identifier: Apache-2.0
// Parses the output of the collector's file exporter (OTLP as JSON, one request per line) into flat records, metric points and spans.
// Shares no code with the sender.
import { closeSync, existsSync, openSync, readSync } from 'node:fs';

const CHUNK_BYTES = 1 << 20;

export type Value = string | number | boolean | readonly Value[];
export type Attributes = Readonly<Record<string, Value>>;

export interface LogRecord {
  readonly eventName: string | undefined;
  readonly timeUnixNs: bigint;
  readonly observedTimeUnixNs: bigint;
  readonly severityNumber: number | undefined;
  readonly body: Value | undefined;
  readonly traceId: string;
  readonly spanId: string;
  readonly attributes: Attributes;
  readonly resource: Attributes;
  readonly resourceSchemaUrl: string | undefined;
  readonly scope: string | undefined;
}

/** Whether a record reports a termination; the others are restarts and summaries. */
export const isTermination = ({ eventName }: Pick<LogRecord, 'eventName'>): boolean =>
  eventName === 'whodunit.process.termination';

export interface MetricPoint {
  readonly name: string;
  readonly attributes: Attributes;
  readonly resource: Attributes;
  readonly timeUnixNs: bigint;
  readonly value: number;
}

export interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  /** Empty: the root of its trace. */
  readonly parentSpanId: string;
  readonly startTimeUnixNs: bigint;
  readonly endTimeUnixNs: bigint;
  /** 2: an error. */
  readonly statusCode: number;
  readonly statusMessage: string;
  readonly attributes: Attributes;
  readonly resource: Attributes;
}

/** Yields the complete lines that were appended since the last call. Reads in chunks: the file may exceed the maximum length of a string. */
export class AppendedLines {
  private readonly path: string;
  private offset = 0;
  private rest = Buffer.alloc(0);

  constructor(path: string) {
    this.path = path;
  }

  *read(): Generator<string, void> {
    if (!existsSync(this.path)) return;
    const file = openSync(this.path, 'r');
    try {
      for (;;) {
        const chunk = Buffer.alloc(CHUNK_BYTES);
        const length = readSync(file, chunk, 0, chunk.length, this.offset);
        if (length === 0) return;
        this.offset += length;
        const bytes = Buffer.concat([this.rest, chunk.subarray(0, length)]);
        const end = bytes.lastIndexOf(0x0a) + 1;
        this.rest = bytes.subarray(end);
        for (const line of bytes.toString('utf8', 0, end).split('\n')) if (line !== '') yield line;
      }
    } finally {
      closeSync(file);
    }
  }
}

/**
 * Returns the requests of a line. It is usually one. If a collector was killed during a write, the line begins with an incomplete request,
 * which was not accepted, and continues with the first request of the next collector.
 */
export function requests(line: string): string[] {
  const [first = '', ...others] = line.split(/(?=\{"resource(?:Logs|Metrics)":)/);
  return others.length === 0 ? [first] : [first, ...others].filter(isWhole);
}

function isWhole(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: JSON of another program; a test fails if it is read wrongly
type Json = any;

function plainValue(value: Json): Value {
  if (value.intValue !== undefined) return Number(value.intValue);
  if (value.arrayValue !== undefined) return (value.arrayValue.values ?? []).map(plainValue);
  return value.stringValue ?? value.doubleValue ?? value.boolValue ?? '';
}

function attributesOf(list: Json): Attributes {
  return Object.fromEntries((list ?? []).map(({ key, value }: Json) => [key, plainValue(value)]));
}

export function logRecords(line: string): LogRecord[] {
  return (JSON.parse(line).resourceLogs ?? []).flatMap((resourceLogs: Json) =>
    (resourceLogs.scopeLogs ?? []).flatMap((scopeLogs: Json) =>
      (scopeLogs.logRecords ?? []).map(
        (record: Json): LogRecord => ({
          eventName: record.eventName,
          timeUnixNs: BigInt(record.timeUnixNano ?? 0),
          observedTimeUnixNs: BigInt(record.observedTimeUnixNano ?? 0),
          severityNumber: record.severityNumber,
          body: record.body === undefined ? undefined : plainValue(record.body),
          traceId: record.traceId ?? '',
          spanId: record.spanId ?? '',
          attributes: attributesOf(record.attributes),
          resource: attributesOf(resourceLogs.resource?.attributes),
          resourceSchemaUrl: resourceLogs.schemaUrl,
          scope: scopeLogs.scope?.name,
        }),
      ),
    ),
  );
}

/** Returns the points of integer sums and gauges. Ignores histograms. */
export function metricPoints(line: string): MetricPoint[] {
  return (JSON.parse(line).resourceMetrics ?? []).flatMap((resourceMetrics: Json) =>
    (resourceMetrics.scopeMetrics ?? []).flatMap((scopeMetrics: Json) =>
      (scopeMetrics.metrics ?? []).flatMap((metric: Json) =>
        ((metric.sum ?? metric.gauge)?.dataPoints ?? []).map(
          (point: Json): MetricPoint => ({
            name: metric.name,
            attributes: attributesOf(point.attributes),
            resource: attributesOf(resourceMetrics.resource?.attributes),
            timeUnixNs: BigInt(point.timeUnixNano ?? 0),
            // All sums of whodunit are integers. A double is a bug: it becomes NaN, so that every comparison fails.
            value: Number(point.asInt ?? Number.NaN),
          }),
        ),
      ),
    ),
  );
}

export function spans(line: string): Span[] {
  return (JSON.parse(line).resourceSpans ?? []).flatMap((resourceSpans: Json) =>
    (resourceSpans.scopeSpans ?? []).flatMap((scopeSpans: Json) =>
      (scopeSpans.spans ?? []).map(
        (span: Json): Span => ({
          name: span.name,
          traceId: span.traceId,
          spanId: span.spanId,
          parentSpanId: span.parentSpanId ?? '',
          startTimeUnixNs: BigInt(span.startTimeUnixNano ?? 0),
          endTimeUnixNs: BigInt(span.endTimeUnixNano ?? 0),
          statusCode: span.status?.code ?? 0,
          statusMessage: span.status?.message ?? '',
          attributes: attributesOf(span.attributes),
          resource: attributesOf(resourceSpans.resource?.attributes),
        }),
      ),
    ),
  );
}
