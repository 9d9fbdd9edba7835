// SPDX-License-Identifier: Apache-2.0
// The trace of a termination. First choice: the span that was open in the thread that triggered it, if the thread published it
// (OpenTelemetry's OTEP 4947). Else TRACEPARENT in the environment of the process (W3C Trace Context, level 1, section 3.2;
// OpenTelemetry's "Environment Variables as Context Propagation Carriers"), if the process is not older than TRACE_PARENT_UPTIME_MAX_NS.

import type { ProcessContext } from '../identity/process-context.ts';
import type { Death } from '../wire/event.ts';
import { threadContextOf } from './thread-context.ts';

/** TRACEPARENT names the trace that started the process. After this time, the process no longer belongs to it. */
export const TRACE_PARENT_UPTIME_MAX_NS = 300_000_000_000n;

export interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

const TRACE_PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;

/** The span that was open in the thread, else the one that started the process. null: none, invalid, or too long ago. */
export function traceContextOf(death: Death, published: ProcessContext): TraceContext | null {
  return openSpan(death, published) ?? startingSpan(death);
}

function openSpan(death: Death, published: ProcessContext): TraceContext | null {
  const context = threadContextOf(death, published);
  if (context === null) return null;
  return { traceId: context.trace_id, spanId: context.span_id, traceFlags: context.trace_flags & SAMPLED };
}

function startingSpan(death: Death): TraceContext | null {
  const text = death.process.env?.TRACEPARENT;
  if (text === undefined || death.time_ns - death.process.start_boottime_ns >= TRACE_PARENT_UPTIME_MAX_NS) return null;
  return parseTraceParent(text);
}

/** Version 00 has four fields, a later version may have more, ff is invalid. All-zero ids are invalid. */
export function parseTraceParent(text: string): TraceContext | null {
  const [, version, traceId = '', spanId = '', flags = '', more] = TRACE_PARENT.exec(text.trim()) ?? [];
  if (version === undefined || version === 'ff' || (version === '00' && more !== undefined)) return null;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & SAMPLED };
}
