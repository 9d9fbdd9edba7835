// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  describeFailure,
  type Failure,
  grpcFailure,
  httpFailure,
  retryAfterMs,
} from '../../../src/core/delivery/outcome.ts';
import { retryDelayMs } from '../../../src/core/delivery/retry-info.ts';

const NOW = Date.parse('2026-11-25T10:00:00Z');
const http = (status: number, retryAfter?: string) => httpFailure({ status, retryAfter, text: 'x' }, NOW);
const grpc = (code: number) => grpcFailure({ code, message: 'x', details: undefined });

describe('the kind of a failure', () => {
  it.each<[string, Failure, Failure['kind']]>([
    ['HTTP 429', http(429), 'retryable'],
    ['HTTP 502', http(502), 'retryable'],
    ['HTTP 503', http(503), 'retryable'],
    ['HTTP 504', http(504), 'retryable'],
    ['HTTP 408', http(408), 'retryable'],
    ['HTTP 500', http(500), 'ambiguous'],
    ['HTTP 400', http(400), 'rejected'],
    ['HTTP 413', http(413), 'rejected'],
    ['HTTP 301', http(301), 'misconfigured'],
    ['HTTP 401', http(401), 'misconfigured'],
    ['HTTP 404', http(404), 'misconfigured'],
    ['UNAVAILABLE', grpc(14), 'retryable'],
    ['DEADLINE_EXCEEDED', grpc(4), 'retryable'],
    ['UNKNOWN', grpc(2), 'ambiguous'],
    ['INTERNAL', grpc(13), 'ambiguous'],
    ['INVALID_ARGUMENT', grpc(3), 'rejected'],
    ['RESOURCE_EXHAUSTED without RetryInfo', grpc(8), 'ambiguous'],
    ['UNIMPLEMENTED', grpc(12), 'misconfigured'],
    ['UNAUTHENTICATED', grpc(16), 'misconfigured'],
  ])('%s', (_, failure, kind) => {
    expect(failure.kind).toBe(kind);
  });

  it('the status is kept as a value', () => {
    expect(http(404).status).toEqual({ kind: 'http', code: 404 });
    expect(grpc(12).status).toEqual({ kind: 'grpc', code: 12 });
  });

  it('the reason is one short printable line', () => {
    const text = `a\nb\u001b[31m${'c'.repeat(999)}`;
    const reason = describeFailure(httpFailure({ status: 400, retryAfter: undefined, text }, NOW));
    expect(reason).toMatch(/^HTTP 400 a b \[31mc+$/);
    expect(reason.length).toBeLessThan(220);
  });
});

describe('Retry-After', () => {
  it.each<[string | undefined, number | null]>([
    ['120', 120_000],
    ['0', 0],
    ['Wed, 25 Nov 2026 10:00:30 GMT', 30_000],
    ['Wed, 25 Nov 2026 09:00:00 GMT', 0],
    ['soon', null],
    [undefined, null],
  ])('%s', (value, ms) => {
    expect(retryAfterMs(value, NOW)).toBe(ms);
  });
});

describe('grpc-status-details-bin', () => {
  it('gives a delay or none for any bytes, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const ms = retryDelayMs(bytes);
        expect(ms === null || ms >= 0).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});

it.each([
  ['No connection established. Last error: null. Resolution note: ', 'gRPC 14 No connection established'],
  [
    'No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ',
    'gRPC 14 No connection established. Last error: connect ECONNREFUSED 127.0.0.1:1.',
  ],
])('empty notes of grpc-js are left out: %s', (message, text) => {
  expect(describeFailure(grpcFailure({ code: 14, message, details: undefined }))).toBe(text);
});
