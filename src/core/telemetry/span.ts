// SPDX-License-Identifier: Apache-2.0
// A reported termination as a span, built from its record: the last moment of the process, so that a search by time finds it, and no
// span is as long as a process ran. It joins the trace that the record names, or is a trace of its own. io/otlp/traces.ts sends it.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { hrTime, SECOND_NS } from '../time.ts';
import { ERROR_TYPE, LOG_RECORD_UID, PROCESS_EXECUTABLE_NAME } from './semconv.ts';
import { uidOf } from './uid.ts';

// SpanKind.INTERNAL, SpanStatusCode.UNSET and ERROR of @opentelemetry/api, which core does not import.
const INTERNAL = 0;
const UNSET = 0;
const ERROR = 2;
const SAMPLED = 1;
const SPAN_ID_CHARS = 16;
/** Which records get a span: those that name a trace, or all. */
export type SpansMode = 'joined' | 'all';

/** The length of a span, unless the process ran for less. Not 0, which backends draw as nothing. */
export const SPAN_NS = 1_000_000n;

/**
 * The span of a record. `startNs`: start of the process, ns since 1970. Always sampled, even if the trace is not: a termination must not
 * be hidden. The same record always has the same ids.
 */
export function buildSpan(record: ReadableLogRecord, startNs: bigint): ReadableSpan {
  const uid = String(record.attributes[LOG_RECORD_UID]);
  const parent = record.spanContext;
  const context = {
    // A UUID has as many bits as a trace id.
    traceId: parent?.traceId ?? hex(uid),
    spanId: hex(uidOf(`${uid}/span`)).slice(0, SPAN_ID_CHARS),
    traceFlags: SAMPLED,
  };
  const [seconds, nanos] = record.hrTime;
  const endNs = BigInt(seconds) * SECOND_NS + BigInt(nanos);
  const length = shorter(endNs > startNs ? endNs - startNs : 0n, SPAN_NS);
  return {
    name: String(record.resource.attributes[PROCESS_EXECUTABLE_NAME]),
    kind: INTERNAL,
    spanContext: () => context,
    ...(parent === undefined ? {} : { parentSpanContext: { ...parent, isRemote: true } }),
    startTime: hrTime(endNs - length),
    endTime: record.hrTime,
    duration: hrTime(length),
    ended: true,
    status:
      record.attributes[ERROR_TYPE] === undefined ? { code: UNSET } : { code: ERROR, message: String(record.body) },
    attributes: record.attributes as ReadableSpan['attributes'],
    resource: record.resource,
    instrumentationScope: record.instrumentationScope,
    links: [],
    events: [],
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function shorter(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function hex(uuid: string): string {
  return uuid.replaceAll('-', '');
}
