// SPDX-License-Identifier: Apache-2.0
// The trace that a process belongs to, from TRACEPARENT in its environment (W3C Trace Context, level 1, section 3.2; OpenTelemetry's
// "Environment Variables as Context Propagation Carriers"). Whether it still belonged to it when it died is asked here, too.
import type { Death } from './event.ts';

/** TRACEPARENT tells the trace that started the process; a daemon has long left it. */
export const TRACE_PARENT_UPTIME_MAX_NS = 300_000_000_000n;

export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

const TRACE_PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;

/** The context of the span that started the process; null: none, not a valid one, or too long ago. */
export function traceContextOf(death: Death): TraceContext | null {
  const text = death.process.env?.TRACEPARENT;
  if (text === undefined || death.time_ns - death.process.start_boottime_ns >= TRACE_PARENT_UPTIME_MAX_NS) return null;
  return parseTraceParent(text);
}

/** Version 00 has four fields; a later one may have more, and ff is none. Ids of zeros are none either. */
export function parseTraceParent(text: string): TraceContext | null {
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACE_PARENT.exec(text.trim()) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & SAMPLED };
}
