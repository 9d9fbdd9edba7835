// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { grpcFailure, httpFailure, retryAfterMs } from '../../../src/core/delivery/outcome.ts';
import { retryDelayMs } from '../../../src/core/delivery/retry-info.ts';

const NOW = Date.parse('2026-11-25T10:00:00Z');
const http = (status: number, retryAfter?: string) => httpFailure({ status, retryAfter, text: 'x' }, NOW);
const grpc = (code: number) => grpcFailure({ code, message: 'x', details: undefined });

describe('what a failure means', () => {
  it.each<[string, ReturnType<typeof http>, string, boolean | undefined]>([
    ['HTTP 429', http(429), 'retryable', false],
    ['HTTP 502', http(502), 'retryable', false],
    ['HTTP 503', http(503), 'retryable', false],
    ['HTTP 504', http(504), 'retryable', false],
    ['HTTP 408', http(408), 'retryable', false],
    ['HTTP 500', http(500), 'retryable', true],
    ['HTTP 400', http(400), 'permanent', undefined],
    ['HTTP 413', http(413), 'permanent', undefined],
    ['HTTP 301', http(301), 'unwilling', undefined],
    ['HTTP 401', http(401), 'unwilling', undefined],
    ['HTTP 404', http(404), 'unwilling', undefined],
    ['UNAVAILABLE', grpc(14), 'retryable', false],
    ['DEADLINE_EXCEEDED', grpc(4), 'retryable', false],
    ['UNKNOWN', grpc(2), 'retryable', true],
    ['INTERNAL', grpc(13), 'retryable', true],
    ['INVALID_ARGUMENT', grpc(3), 'permanent', undefined],
    ['RESOURCE_EXHAUSTED without RetryInfo', grpc(8), 'permanent', undefined],
    ['UNIMPLEMENTED', grpc(12), 'unwilling', undefined],
    ['UNAUTHENTICATED', grpc(16), 'unwilling', undefined],
  ])('%s', (_, outcome, kind, doubtful) => {
    expect(outcome.kind).toBe(kind);
    if (outcome.kind === 'retryable') expect(outcome.doubtful).toBe(doubtful);
  });

  it('the reason is one short line that a terminal may show', () => {
    const { reason } = httpFailure(
      { status: 400, retryAfter: undefined, text: `a\nb\u001b[31m${'c'.repeat(999)}` },
      NOW,
    );
    expect(reason).toMatch(/^HTTP 400 a b \[31mc+$/);
    expect(reason?.length).toBeLessThan(220);
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
  it('is whatever a server sends: a delay, or none, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const ms = retryDelayMs(bytes);
        expect(ms === null || ms >= 0).toBe(true);
      }),
      { numRuns: 2_000 },
    );
  });
});
