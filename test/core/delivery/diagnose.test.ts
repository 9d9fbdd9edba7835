// SPDX-License-Identifier: Apache-2.0

import { describe, expect, it } from 'vitest';
import { diagnose, type EndpointProbe, explainFailure, explainRefusal } from '../../../src/core/delivery/diagnose.ts';
import { grpcFailure, httpFailure, unreached } from '../../../src/core/delivery/outcome.ts';
import type { Protocol } from '../../../src/core/delivery/target.ts';

const probed = (changes: Partial<Extract<EndpointProbe, { kind: 'reachable' }>>): EndpointProbe => ({
  kind: 'reachable',
  tls: false,
  certificateError: null,
  http1: false,
  http2: false,
  ...changes,
});

describe('the protocols of an endpoint compared with the settings', () => {
  const fits: [Protocol, string, EndpointProbe][] = [
    ['grpc', 'http://collector:4317', probed({ http2: true })],
    ['grpc', 'http://collector:4317', probed({ http1: true, http2: true })],
    ['grpc', 'unix:/run/otel.sock', probed({ http2: true })],
    ['grpc', 'collector:4317', probed({ tls: true, http2: true })],
    ['http/protobuf', 'http://collector:4318/v1/logs', probed({ http1: true })],
    ['http/json', 'https://collector/v1/logs', probed({ tls: true, http1: true, http2: true })],
  ];
  it.each(fits)('%s to %s fits', (protocol, endpoint, seen) => {
    expect(diagnose({ protocol, endpoint }, seen)).toBeNull();
  });

  const faults: [Protocol, string, EndpointProbe, string, RegExp][] = [
    ['grpc', 'http://c:4317', { kind: 'unreachable', reason: 'ECONNREFUSED' }, 'collector', /ECONNREFUSED/],
    ['grpc', 'http://c:4318', probed({ http1: true }), 'protocol', /speaks HTTP\/1\.1: set .*=http\/protobuf/],
    ['grpc', 'http://c:22', probed({}), 'protocol', /does not speak HTTP\/2/],
    ['http/json', 'http://c:4317', probed({ http2: true }), 'protocol', /speaks gRPC: set .*=grpc/],
    ['http/json', 'http://c:22', probed({}), 'protocol', /does not speak HTTP:/],
    ['http/json', 'https://c:4318', probed({ http1: true }), 'TLS', /use http:\/\//],
    ['grpc', 'c:4317', probed({ http2: true }), 'TLS', /use http:\/\//],
    ['grpc', 'http://c:4317', probed({ tls: true, http2: true }), 'TLS', /use https:\/\//],
    [
      'grpc',
      'https://c:4317',
      probed({ tls: true, http2: true, certificateError: 'CERT_HAS_EXPIRED' }),
      'TLS',
      /CERT_HAS_EXPIRED/,
    ],
  ];
  it.each(faults)('%s to %s does not fit: %o', (protocol, endpoint, seen, step, text) => {
    expect(diagnose({ protocol, endpoint }, seen)).toEqual({ step, text: expect.stringMatching(text) });
  });
});

describe('the explanation of a failure', () => {
  const TARGET = { protocol: 'grpc', endpoint: 'http://me:secret@c:4317' } as const;
  const http = (status: number, text: string) => httpFailure({ status, retryAfter: undefined, text }, 0);
  const grpc = (code: number, message: string) => grpcFailure({ code, message, details: undefined });

  it.each([
    ['HTTP 404 Not Found', http(404, 'Not Found'), 'backend'],
    ['gRPC 12 unknown service', grpc(12, 'unknown service'), 'backend'],
    ['HTTP 401 Unauthorized', http(401, 'Unauthorized'), 'credentials'],
    ['gRPC 16', grpc(16, ''), 'credentials'],
    ['HTTP 503 Service Unavailable', http(503, 'Service Unavailable'), 'collector'],
    ['gRPC 14 No connection established', grpc(14, 'No connection established'), 'collector'],
    ['connect ECONNREFUSED', unreached('ECONNREFUSED', 'connect ECONNREFUSED'), 'collector'],
    ['HTTP 404 in a text', unreached(null, 'HTTP 404 in a text'), 'collector'],
  ])('%s', (reason, failure, step) => {
    const fault = explainFailure(TARGET, failure);
    expect(fault.step).toBe(step);
    expect(fault.text).toContain(`(${reason})`);
    expect(fault.text).not.toContain('secret');
  });

  it.each(['metrics', 'traces'] as const)('of %s names that signal and its settings', (signal) => {
    const { text } = explainFailure(TARGET, http(404, 'Not Found'), signal);
    expect(text).toContain(`does not accept ${signal} (HTTP 404 Not Found)`);
    expect(text).toContain(`set OTEL_${signal.toUpperCase()}_EXPORTER=none`);
    expect(text).not.toContain('LOGS');
  });

  it('of which only the reason is known names the collector', () => {
    const fault = explainRefusal(TARGET, 'HTTP 404 in a message');
    expect(fault.step).toBe('collector');
    expect(fault.text).not.toContain('secret');
  });
});
