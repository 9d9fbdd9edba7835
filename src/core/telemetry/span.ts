// SPDX-License-Identifier: Apache-2.0
// A reported termination as a span, for backends that accept only traces (Jaeger): from the start of the process to its termination, built
// from its record. It joins the trace that started the process, or is a trace of its own. io/otlp/traces.ts sends it.
import type { ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { ReadableSpan } from '@opentelemetry/sdk-trace';
import { hrTime } from '../time.ts';
import { uidOf } from './record.ts';
import { LOG_RECORD_UID, PROCESS_EXECUTABLE_NAME } from './semconv.ts';

// SpanKind.INTERNAL and SpanStatusCode.ERROR of @opentelemetry/api, which core does not import.
const INTERNAL = 0;
const ERROR = 2;
const SAMPLED = 1;
const SPAN_ID_CHARS = 16;

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
  const lived = BigInt(seconds) * 1_000_000_000n + BigInt(nanos) - startNs;
  return {
    name: String(record.resource.attributes[PROCESS_EXECUTABLE_NAME]),
    kind: INTERNAL,
    spanContext: () => context,
    ...(parent === undefined ? {} : { parentSpanContext: { ...parent, isRemote: true } }),
    startTime: hrTime(startNs),
    endTime: record.hrTime,
    duration: hrTime(lived > 0n ? lived : 0n),
    ended: true,
    status: { code: ERROR, message: String(record.body) },
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

function hex(uuid: string): string {
  return uuid.replaceAll('-', '');
}
