// SPDX-License-Identifier: Apache-2.0

import { describe, expect, it } from 'vitest';
import { diagnose, explainAnswer, type Spoken, withoutCredentials } from '../../../src/core/delivery/diagnose.ts';
import type { Protocol } from '../../../src/core/delivery/target.ts';

const spoken = (changes: Partial<Extract<Spoken, { kind: 'spoken' }>>): Spoken => ({
  kind: 'spoken',
  tls: false,
  distrust: null,
  http1: false,
  http2: false,
  ...changes,
});

describe('what an endpoint speaks against what whodunit is set to', () => {
  const fits: [Protocol, string, Spoken][] = [
    ['grpc', 'http://collector:4317', spoken({ http2: true })],
    ['grpc', 'http://collector:4317', spoken({ http1: true, http2: true })],
    ['grpc', 'unix:/run/otel.sock', spoken({ http2: true })],
    ['grpc', 'collector:4317', spoken({ tls: true, http2: true })],
    ['http/protobuf', 'http://collector:4318/v1/logs', spoken({ http1: true })],
    ['http/json', 'https://collector/v1/logs', spoken({ tls: true, http1: true, http2: true })],
  ];
  it.each(fits)('%s to %s fits', (protocol, endpoint, seen) => {
    expect(diagnose({ protocol, endpoint }, seen)).toBeNull();
  });

  const faults: [Protocol, string, Spoken, string, RegExp][] = [
    ['grpc', 'http://c:4317', { kind: 'unreachable', reason: 'ECONNREFUSED' }, 'collector', /ECONNREFUSED/],
    ['grpc', 'http://c:4318', spoken({ http1: true }), 'protocol', /speaks HTTP\/1\.1: set .*=http\/protobuf/],
    ['grpc', 'http://c:22', spoken({}), 'protocol', /no HTTP\/2/],
    ['http/json', 'http://c:4317', spoken({ http2: true }), 'protocol', /speaks gRPC: set .*=grpc/],
    ['http/json', 'http://c:22', spoken({}), 'protocol', /no HTTP:/],
    ['http/json', 'https://c:4318', spoken({ http1: true }), 'TLS', /write http:\/\//],
    ['grpc', 'c:4317', spoken({ http2: true }), 'TLS', /write http:\/\//],
    ['grpc', 'http://c:4317', spoken({ tls: true, http2: true }), 'TLS', /write https:\/\//],
    [
      'grpc',
      'https://c:4317',
      spoken({ tls: true, http2: true, distrust: 'CERT_HAS_EXPIRED' }),
      'TLS',
      /CERT_HAS_EXPIRED/,
    ],
  ];
  it.each(faults)('%s to %s does not: %o', (protocol, endpoint, seen, stop, text) => {
    expect(diagnose({ protocol, endpoint }, seen)).toEqual({ stop, text: expect.stringMatching(text) });
  });
});

describe('what an answer means that took nothing', () => {
  it.each([
    ['HTTP 404 Not Found', 'backend'],
    ['gRPC 12 unknown service', 'backend'],
    ['HTTP 401 Unauthorized', 'credentials'],
    ['gRPC 16 ', 'credentials'],
    ['HTTP 503 Service Unavailable', 'collector'],
    ['gRPC 14 No connection established', 'collector'],
    ['no answer within 5000 ms', 'collector'],
  ])('%s: %s', (reason, stop) => {
    const fault = explainAnswer({ protocol: 'grpc', endpoint: 'http://me:secret@c:4317' }, reason);
    expect(fault.stop).toBe(stop);
    expect(fault.text).toContain(reason);
    expect(fault.text).not.toContain('secret');
  });
});

it('credentials in an endpoint are not shown', () => {
  expect(withoutCredentials('https://me:secret@c:4318/v1/logs')).toBe('https://c:4318/v1/logs');
});
