// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  describeFailure,
  type Failure,
  grpcFailure,
  httpFailure,
  retryAfterMs,
  unencodable,
  unreached,
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

  it('of any HTTP status: only 400 and 413 reject, and only a listed status means wrong settings', () => {
    const kinds = Map.groupBy(
      Array.from({ length: 300 }, (_, index) => 300 + index),
      (status) => http(status).kind,
    );
    expect(kinds.get('rejected')).toEqual([400, 413]);
    expect(kinds.get('retryable')).toEqual([408, 429, 502, 503, 504]);
    expect(kinds.get('misconfigured')?.filter((status) => status >= 400)).toEqual([
      401, 402, 403, 404, 405, 407, 415, 421, 426, 501,
    ]);
    expect(kinds.get('misconfigured')?.length).toBe(110);
    expect(http(200).kind).toBe('misconfigured');
  });

  it('of any gRPC status: only INVALID_ARGUMENT rejects', () => {
    const kinds = Map.groupBy(
      Array.from({ length: 20 }, (_, index) => index + 1),
      (code) => grpc(code).kind,
    );
    expect(kinds.get('rejected')).toEqual([3]);
    expect(kinds.get('retryable')).toEqual([1, 4, 10, 11, 14, 15]);
    expect(kinds.get('misconfigured')).toEqual([5, 7, 12, 16]);
    expect(kinds.get('ambiguous')).toEqual([2, 6, 8, 9, 13, 17, 18, 19, 20]);
  });

  it.each([
    'Client sent an HTTP request to an HTTPS server.',
    'Bad Request <html>… The plain HTTP request was sent to HTTPS port …',
  ])('HTTP 400 of a TLS port is a wrong setting: %s', (text) => {
    expect(httpFailure({ status: 400, retryAfter: undefined, text }, NOW).kind).toBe('misconfigured');
  });

  it('Retry-After is kept for what may be sent again', () => {
    expect(http(503, '7')).toMatchObject({ kind: 'retryable', sent: true, reached: true, afterMs: 7_000 });
    expect(http(500, '7')).toMatchObject({ kind: 'ambiguous', afterMs: 7_000 });
    expect(http(500)).toMatchObject({ kind: 'ambiguous', afterMs: null });
  });

  it.each<[string, Failure, boolean]>([
    ['a refused connection', unreached('ECONNREFUSED', 'x'), false],
    ['an unknown name', unreached('ENOTFOUND', 'x'), false],
    ['a wrong certificate', unreached('CERT_HAS_EXPIRED', 'x'), false],
    ['a reset', unreached('ECONNRESET', 'x'), true],
    ['a closed connection', unreached('EPIPE', 'x'), true],
    ['a timeout of the connection', unreached('ETIMEDOUT', 'x'), true],
    ['no answer in time', unreached(null, 'x'), true],
  ])('%s: the records may have been sent or not', (_, failure, sent) => {
    const { status } = failure;
    expect(failure).toEqual({ kind: 'retryable', status, message: 'x', sent, reached: false, afterMs: null });
  });

  it.each([
    ['No connection established. Last error: null. Resolution note: ', false],
    ['Name resolution failed for target dns:nowhere', false],
    ['the pool has No connection established', true],
    ['Connection dropped', true],
  ])('UNAVAILABLE of grpc-js: %s', (message, sent) => {
    expect(grpcFailure({ code: 14, message, details: undefined })).toMatchObject({
      sent,
      reached: false,
      afterMs: null,
    });
  });

  it('RetryInfo proves that a server answered, also with RESOURCE_EXHAUSTED', () => {
    const details = retryInfo({ seconds: 2 });
    for (const code of [8, 14])
      expect(grpcFailure({ code, message: 'x', details })).toMatchObject({
        kind: 'retryable',
        sent: true,
        reached: true,
        afterMs: 2_000,
      });
    expect(grpcFailure({ code: 13, message: 'x', details })).toMatchObject({ kind: 'ambiguous', afterMs: 2_000 });
  });

  it('what cannot be encoded is rejected, with a printable reason', () => {
    expect(unencodable('bad\nbyte')).toEqual({
      kind: 'rejected',
      status: { kind: 'unencodable' },
      message: 'bad byte',
    });
    expect(describeFailure(unencodable('x'))).toBe('cannot be encoded: x');
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

/** Encodes a google.rpc.Status with a google.rpc.RetryInfo after another detail. */
function retryInfo(delay: { seconds?: number; nanos?: number }, type = 'type.googleapis.com/google.rpc.RetryInfo') {
  const field = (number: number, content: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from([(number << 3) | 2, content.length]), content]);
  const varint = (number: number, value: number): number[] => {
    const bytes = [number << 3];
    for (let rest = value; ; rest = Math.floor(rest / 128)) {
      if (rest < 128) return [...bytes, rest];
      bytes.push((rest % 128) | 128);
    }
  };
  const duration = Buffer.from([...varint(1, delay.seconds ?? 0), ...varint(2, delay.nanos ?? 0)]);
  const detail = (name: string) => field(3, Buffer.concat([field(1, Buffer.from(name)), field(2, field(1, duration))]));
  return Buffer.concat([detail('type.googleapis.com/google.rpc.Other'), detail(type)]);
}

describe('RetryInfo', () => {
  it.each([
    ['seconds', retryInfo({ seconds: 3 }), 3_000],
    ['nanoseconds', retryInfo({ nanos: 250_000_000 }), 250],
    ['both', retryInfo({ seconds: 2, nanos: 500_000_000 }), 2_500],
    ['zero', retryInfo({}), 0],
    ['another detail', retryInfo({ seconds: 3 }, 'type.googleapis.com/google.rpc.Help'), null],
    ['bytes that end too early', retryInfo({ seconds: 3 }).subarray(0, -2), null],
    ['nothing', undefined, null],
  ])('%s', (_, details, ms) => {
    expect(retryDelayMs(details)).toBe(ms);
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
