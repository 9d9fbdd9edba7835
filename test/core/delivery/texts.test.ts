// SPDX-License-Identifier: Apache-2.0
// What an operator reads about a collector that does not accept, word for word.
import { describe, expect, it } from 'vitest';
import {
  diagnose,
  type EndpointProbe,
  explainFailure,
  explainRefusal,
  type SignalName,
} from '../../../src/core/delivery/diagnose.ts';
import {
  describeFailure,
  describePartial,
  type Failure,
  grpcFailure,
  httpFailure,
  printable,
  retryAfterMs,
  unencodable,
  unreached,
} from '../../../src/core/delivery/outcome.ts';
import type { Target } from '../../../src/core/delivery/target.ts';

const speaks = (changes: Partial<Extract<EndpointProbe, { kind: 'reachable' }>>): EndpointProbe => ({
  kind: 'reachable',
  tls: false,
  certificateError: null,
  http1: false,
  http2: false,
  ...changes,
});
const http = (status: number, text: string): Failure => httpFailure({ status, retryAfter: undefined, text }, 0);
const grpc = (code: number, message: string): Failure => grpcFailure({ code, message, details: undefined });

describe('what is wrong with an endpoint', () => {
  const grpcAt = (endpoint: string): Target => ({ protocol: 'grpc', endpoint });
  const httpAt = (endpoint: string): Target => ({ protocol: 'http/protobuf', endpoint });

  it.each<[string, Target, EndpointProbe, string, string]>([
    [
      'it cannot be reached',
      grpcAt('http://me:secret@c:4317'),
      { kind: 'unreachable', reason: 'ECONNREFUSED' },
      'collector',
      'http://c:4317 cannot be reached (ECONNREFUSED): start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT.',
    ],
    [
      'it has no TLS',
      httpAt('https://c:4318/v1/logs'),
      speaks({ http1: true }),
      'TLS',
      'whodunit uses TLS and https://c:4318/v1/logs does not: use http:// in OTEL_EXPORTER_OTLP_ENDPOINT, or give the collector a certificate.',
    ],
    [
      'it has TLS',
      grpcAt('http://c:4317'),
      speaks({ tls: true, http2: true }),
      'TLS',
      'http://c:4317 uses TLS and whodunit does not: use https:// in OTEL_EXPORTER_OTLP_ENDPOINT (and set OTEL_EXPORTER_OTLP_CERTIFICATE if you use your own CA).',
    ],
    [
      'its certificate is not trusted',
      grpcAt('https://c:4317'),
      speaks({ tls: true, http2: true, certificateError: 'CERT_HAS_EXPIRED' }),
      'TLS',
      'the certificate of https://c:4317 is not trusted (CERT_HAS_EXPIRED): set OTEL_EXPORTER_OTLP_CERTIFICATE to the CA certificate in PEM format.',
    ],
    [
      'gRPC to an HTTP port',
      grpcAt('http://c:4318'),
      speaks({ http1: true }),
      'protocol',
      "whodunit speaks grpc and http://c:4318 speaks HTTP/1.1: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or use the collector's grpc port (usually 4317).",
    ],
    [
      'gRPC to a port that speaks neither',
      grpcAt('http://c:22'),
      speaks({}),
      'protocol',
      "whodunit speaks grpc and http://c:22 does not speak HTTP/2: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or use the collector's grpc port (usually 4317).",
    ],
    [
      'HTTP to a gRPC port',
      httpAt('http://c:4317/v1/logs'),
      speaks({ http2: true }),
      'protocol',
      "whodunit speaks http/protobuf and http://c:4317/v1/logs speaks gRPC: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use the collector's http port (usually 4318).",
    ],
    [
      'HTTP to a port that speaks neither',
      httpAt('http://c:22/v1/logs'),
      speaks({}),
      'protocol',
      "whodunit speaks http/protobuf and http://c:22/v1/logs does not speak HTTP: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use the collector's http port (usually 4318).",
    ],
  ])('%s', (_, target, probed, step, text) => {
    expect(diagnose(target, probed)).toEqual({ step, text });
  });
});

describe('why a collector does not accept', () => {
  const TARGET: Target = { protocol: 'grpc', endpoint: 'http://me:secret@c:4317' };

  it.each<[string, Failure, SignalName | undefined, string, string]>([
    [
      'logs, by default',
      http(404, 'Not Found'),
      undefined,
      'backend',
      'http://c:4317 does not accept logs (HTTP 404 Not Found): send them to a backend that does (OTEL_EXPORTER_OTLP_LOGS_ENDPOINT). If it accepts only traces, as Jaeger does, set OTEL_TRACES_EXPORTER=otlp, WHODUNIT_SPANS=all and OTEL_LOGS_EXPORTER=console.',
    ],
    [
      'traces',
      grpc(12, 'unknown service'),
      'traces',
      'backend',
      'http://c:4317 does not accept traces (gRPC 12 unknown service): send them to a backend that does (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT), or set OTEL_TRACES_EXPORTER=none.',
    ],
    [
      'metrics',
      http(405, 'Method Not Allowed'),
      'metrics',
      'backend',
      'http://c:4317 does not accept metrics (HTTP 405 Method Not Allowed): send them to a backend that does (OTEL_EXPORTER_OTLP_METRICS_ENDPOINT), or set OTEL_METRICS_EXPORTER=none.',
    ],
    [
      'without credentials',
      http(401, 'Unauthorized'),
      'logs',
      'credentials',
      'http://c:4317 refuses access (HTTP 401 Unauthorized): set OTEL_EXPORTER_OTLP_HEADERS to the credentials that the backend requires.',
    ],
    [
      'for a reason of its own',
      http(503, 'Service Unavailable'),
      'logs',
      'collector',
      "http://c:4317 did not accept the record (HTTP 503 Service Unavailable): see the collector's log.",
    ],
  ])('%s', (_, failure, signal, step, text) => {
    expect(explainFailure(TARGET, failure, signal)).toEqual({ step, text });
  });

  it.each([
    [404, 'backend'],
    [405, 'backend'],
    [501, 'backend'],
    [401, 'credentials'],
    [402, 'credentials'],
    [403, 'credentials'],
    [5, 'collector'],
    [16, 'collector'],
  ])('HTTP %i points at the %s', (status, step) => {
    expect(explainFailure(TARGET, http(status, '')).step).toBe(step);
  });

  it.each([
    [5, 'backend'],
    [12, 'backend'],
    [7, 'credentials'],
    [16, 'credentials'],
    [13, 'collector'],
  ])('gRPC %i points at the %s', (code, step) => {
    expect(explainFailure(TARGET, grpc(code, '')).step).toBe(step);
  });

  it('only the reason is known', () => {
    expect(explainRefusal(TARGET, 'too large')).toEqual({
      step: 'collector',
      text: "http://c:4317 did not accept the record (too large): see the collector's log.",
    });
  });
});

describe('a failure in one line', () => {
  it.each<[string, Failure, string]>([
    ['HTTP', http(503, 'busy'), 'HTTP 503 busy'],
    ['HTTP without a text', http(503, ''), 'HTTP 503'],
    ['gRPC', grpc(14, 'busy'), 'gRPC 14 busy'],
    ['gRPC without a message', grpc(14, ''), 'gRPC 14'],
    ['a local error', unreached('ECONNREFUSED', 'connect ECONNREFUSED'), 'connect ECONNREFUSED'],
    ['an item that cannot be encoded', unencodable('not a number'), 'cannot be encoded: not a number'],
    [
      'notes of grpc-js without content',
      grpc(14, 'No connection. Last error: null. Resolution note: '),
      'gRPC 14 No connection',
    ],
    ['a note without a dot before it', grpc(14, 'No connection Last error: null'), 'gRPC 14 No connection'],
    ['notes with more space around them', grpc(14, 'Gone.   Last error: null.   Resolution note:   '), 'gRPC 14 Gone'],
    [
      'a note of grpc-js with content is kept',
      grpc(14, 'Gone. Last error: ECONNRESET. Resolution note: no address'),
      'gRPC 14 Gone. Last error: ECONNRESET. Resolution note: no address',
    ],
    ['a note right behind the text', grpc(14, 'Gone.Resolution note:'), 'gRPC 14 Gone.'],
    ['a note without space before it', grpc(14, 'Resolution note:'), 'gRPC 14'],
  ])('%s', (_, failure, text) => {
    expect(describeFailure(failure)).toBe(text);
  });

  it.each<[string, number, string]>([
    ['some items', 2, 'rejected 2 of 7 spans (partial success): too old'],
    ['none', 0, 'accepted 7 spans with a warning: too old'],
  ])('a partial success that rejects %s', (_, rejected, text) => {
    expect(describePartial(rejected, 7, 'spans', 'too old')).toBe(text);
  });

  it.each([
    ['control characters become one space', 'a\r\n\u001b[31mb', 'a [31mb'],
    ['letters beyond ASCII become one space', 'straße', 'stra e'],
    ['space around it is removed', '\n busy \t', 'busy'],
    ['what comes after 1,000 characters is not read', `${'\n'.repeat(1_000)}x`, ''],
    ['it has 200 characters at most', 'x'.repeat(201), 'x'.repeat(200)],
  ])('printable: %s', (_, text, shown) => {
    expect(printable(text)).toBe(shown);
  });
});

describe('local failures', () => {
  it('no server answered: try again, at an own pace', () => {
    expect(unreached('ECONNRESET', 'socket hang up')).toEqual({
      kind: 'retryable',
      status: { kind: 'unreached', cause: 'ECONNRESET' },
      message: 'socket hang up',
      sent: true,
      reached: false,
      afterMs: null,
    });
  });

  it('an item that cannot be encoded is rejected', () => {
    expect(unencodable('not a number')).toEqual({
      kind: 'rejected',
      status: { kind: 'unencodable' },
      message: 'not a number',
    });
  });
});

describe('Retry-After', () => {
  const NOW = Date.parse('2026-11-25T10:00:00Z');
  it.each<[string, string | undefined, number | null]>([
    ['seconds with space around them', '  7 ', 7_000],
    ['nine digits', '999999999', 999_999_999_000],
    ['a date later', 'Wed, 25 Nov 2026 10:01:00 GMT', 60_000],
    ['a date before now', 'Wed, 25 Nov 2026 09:59:00 GMT', 0],
    ['ten digits', '9999999999', null],
    ['seconds with a unit', '5s', null],
    ['text before the seconds', 'after 5x', null],
    ['nothing', '', null],
    ['no header', undefined, null],
  ])('%s', (_, value, ms) => {
    expect(retryAfterMs(value, NOW)).toBe(ms);
  });
});
