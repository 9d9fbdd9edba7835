// SPDX-License-Identifier: Apache-2.0
// Renders a record for stdout: as a report for people, on one line for logs, or as JSON. All use only the record, so the terminal shows
// what the collector receives. printer.ts prints them.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { OutputForm } from '../config/read.ts';
import { renderLine } from '../core/report/line.ts';
import { renderReport } from '../core/report/report.ts';
import { visibleJson } from '../core/words/visible.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** `text`: a report on a terminal, otherwise a line, because logs are read by the line. */
export function renderer(
  form: OutputForm,
  stream: { isTTY?: boolean },
  env: Environment,
): (record: ReadableLogRecord) => string {
  switch (form) {
    case 'json':
      return renderJson;
    case 'report':
      return (record) => renderReport(record, { colour: wantsColour(stream, env) });
    case 'text':
      return stream.isTTY === true ? renderer('report', stream, env) : renderLine;
  }
}

/** Returns the record with its resource as one line of JSON. Times are strings, in ns since 1970. */
export function renderJson(record: ReadableLogRecord): string {
  const { spanContext } = record;
  const line = visibleJson({
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
export function wantsColour(stream: { isTTY?: boolean }, env: Environment): boolean {
  return stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb';
}

function nanoseconds([seconds, nanos]: readonly [number, number]): string {
  return String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos));
}
