// SPDX-License-Identifier: Apache-2.0
// The trace of a termination, from TRACEPARENT (W3C Trace Context) or from the thread; and the span built from a record.
import { describe, expect, it } from 'vitest';
import { parseProcessContext } from '../../../src/core/identity/process-context.ts';
import { buildSpan } from '../../../src/core/telemetry/span.ts';
import {
  parseTraceParent,
  TRACE_PARENT_UPTIME_MAX_NS,
  traceContextOf,
} from '../../../src/core/telemetry/trace-context.ts';
import type { Death } from '../../../src/core/wire/event.ts';
import { recordOf } from '../../support/circumstances.ts';
import { END, exitedWith, OFFSET, victim } from '../../support/deadly.ts';
import { processContext, text } from '../../support/published.ts';

const contextOf = (death: Death) => traceContextOf(death, parseProcessContext(death.process.otel_context));

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
const START = 9_000_000_000n;
const LAST_MS = END - 1_000_000n;

describe('TRACEPARENT', () => {
  it.each<[string, string, number | null]>([
    ['sampled', `00-${TRACE}-${SPAN}-01`, 1],
    ['not sampled', `00-${TRACE}-${SPAN}-00`, 0],
    ['unknown flags are not passed on', `00-${TRACE}-${SPAN}-ff`, 1],
    ['random trace id (level 2), not sampled', `00-${TRACE}-${SPAN}-02`, 0],
    ['spaces around', ` 00-${TRACE}-${SPAN}-01\n`, 1],
    ['a later version', `01-${TRACE}-${SPAN}-01`, 1],
    ['a later version with more fields', `cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`, 1],
    ['a later version with more fields, but no dash', `cc-${TRACE}-${SPAN}-01.more`, null],
    ['version 00 with more fields', `00-${TRACE}-${SPAN}-01-more`, null],
    ['version ff', `ff-${TRACE}-${SPAN}-01`, null],
    ['an all-zero trace id', `00-${'0'.repeat(32)}-${SPAN}-01`, null],
    ['an all-zero span id', `00-${TRACE}-${'0'.repeat(16)}-01`, null],
    ['capital letters', `00-${TRACE.toUpperCase()}-${SPAN}-01`, null],
    ['too short', `00-${TRACE.slice(1)}-${SPAN}-01`, null],
    ['no flags', `00-${TRACE}-${SPAN}`, null],
    ['one digit of flags', `00-${TRACE}-${SPAN}-1`, null],
    ['letters beyond f', `00-${TRACE.replace('4', 'g')}-${SPAN}-01`, null],
    ['nothing', '', null],
    ['something else', 'no trace', null],
  ])('%s', (_, text, traceFlags) => {
    const expected = traceFlags === null ? null : { traceId: TRACE, spanId: SPAN, traceFlags };
    expect(parseTraceParent(text)).toEqual(expected);
  });

  it.each([
    [0n, null],
    [-1n, { traceId: TRACE, spanId: SPAN, traceFlags: 1 }],
  ])('five minutes and %s ns after the start', (more, expected) => {
    const process = victim({ env: { TRACEPARENT: `00-${TRACE}-${SPAN}-01` } });
    expect(contextOf(exitedWith(1, { process, time_ns: START + TRACE_PARENT_UPTIME_MAX_NS + more }))).toEqual(expected);
  });
});

describe('the span that was open in the thread', () => {
  const open = { trace_id: '1'.repeat(32), span_id: '2'.repeat(16), trace_flags: 3, attributes: null };
  const declaring = (schema: string) =>
    victim({
      env: { TRACEPARENT: `00-${TRACE}-${SPAN}-00` },
      otel_context: processContext([], [['threadlocal.schema_version', text(schema)]]),
    });

  it.each(['tls_v1', 'tlsdesc_v1_dev'])(
    'takes precedence over the one that started the process (%s), at any age',
    (schema) => {
      const death = exitedWith(1, {
        process: declaring(schema),
        thread_context: open,
        time_ns: START + TRACE_PARENT_UPTIME_MAX_NS,
      });
      expect(contextOf(death)).toEqual({ traceId: open.trace_id, spanId: open.span_id, traceFlags: 1 });
    },
  );

  it('is ignored if the process declares another layout of thread contexts, or none', () => {
    const started = { traceId: TRACE, spanId: SPAN, traceFlags: 0 };
    const undeclared = {
      ...declaring(''),
      otel_context: processContext([['threadlocal.schema_version', text('tls_v1')]], []),
    };
    for (const process of [declaring('go_pprof_labels_v1'), undeclared, { ...undeclared, otel_context: null }]) {
      expect(contextOf(exitedWith(1, { process, thread_context: open }))).toEqual(started);
    }
    expect(contextOf(exitedWith(1, { process: declaring('tls_v1') }))).toEqual(started);
  });
});

describe('the span of a record', () => {
  const spanOf = (env: Record<string, string>) => {
    const record = recordOf(exitedWith(3, { process: victim({ env }) }));
    return { record, span: buildSpan(record, START + OFFSET) };
  };

  it('is the last millisecond of the process, is an error, and has all attributes of the record', () => {
    const { record, span } = spanOf({});
    expect(span).toMatchObject({
      name: 'sleep',
      kind: 0,
      startTime: [Number((LAST_MS + OFFSET) / 1_000_000_000n), Number((LAST_MS + OFFSET) % 1_000_000_000n)],
      endTime: [Number((END + OFFSET) / 1_000_000_000n), Number((END + OFFSET) % 1_000_000_000n)],
      duration: [0, 1_000_000],
      status: { code: 2, message: 'sleep (pid 4242) exited with code 3, after 3.0 s.' },
      attributes: record.attributes,
      ended: true,
    });
    expect(span.resource).toBe(record.resource);
  });

  it.each([
    ['after a day', 86_400_000_000_000n, 1_000_000n],
    ['after a millisecond', 1_000_000n, 1_000_000n],
    ['within a millisecond', 300n, 300n],
    ['before it started, because the clock was set back', -5n, 0n],
  ])('ends with the process, and is no longer than it ran: %s', (_, ranNs, lengthNs) => {
    const record = recordOf(exitedWith(3));
    const span = buildSpan(record, END + OFFSET - ranNs);
    expect([span.endTime, span.duration]).toEqual([record.hrTime, [0, Number(lengthNs)]]);
    expect(span.startTime).toEqual([
      Number((END + OFFSET - lengthNs) / 1_000_000_000n),
      Number((END + OFFSET - lengthNs) % 1_000_000_000n),
    ]);
  });

  it('is a child of the span that started the process', () => {
    const { record, span } = spanOf({ TRACEPARENT: `00-${TRACE}-${SPAN}-00` });
    expect(record.spanContext).toMatchObject({ traceId: TRACE, spanId: SPAN });
    expect(span.parentSpanContext).toMatchObject({ traceId: TRACE, spanId: SPAN, isRemote: true });
    expect(span.spanContext()).toMatchObject({
      traceId: TRACE,
      traceFlags: 1,
      spanId: expect.stringMatching(/^[0-9a-f]{16}$/),
    });
    expect(span.spanContext().spanId).not.toBe(SPAN);
  });

  it('is a trace of its own if the record has none, with the same ids each time', () => {
    const { record, span } = spanOf({});
    expect(span.parentSpanContext).toBeUndefined();
    expect(span.spanContext().traceId).toBe(String(record.attributes['log.record.uid']).replaceAll('-', ''));
    expect(buildSpan(record, 0n).spanContext()).toEqual(span.spanContext());
  });
});
