// SPDX-License-Identifier: Apache-2.0
// Reads what the collector's file exporter wrote, OTLP as JSON, one request a line, into flat records and metric points.
// It reads the file itself and knows nothing of the code that sent it.
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

/** Whether a record reports a termination. Others follow one (a restart), or stand for many (a summary). */
export const isTermination = ({ eventName }: LogRecord): boolean => eventName === 'whodunit.process.termination';

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

/** Returns the complete lines that were appended since the last call, piece by piece: all of them may be more than a string can hold. */
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
 * The requests of a line: one, but after a collector was killed while it wrote. What it had begun was not accepted and lacks its
 * newline, so that the next collector's first request stands behind it.
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

// biome-ignore lint/suspicious/noExplicitAny: it is another program's JSON; a test that reads it wrongly fails
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

/** Sums and gauges, of integers; histograms are left out. */
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
            // All our sums count things: a double here is a wrong type, and becomes NaN, which equals nothing.
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
