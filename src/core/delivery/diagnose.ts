// SPDX-License-Identifier: Apache-2.0
// Pure: what is wrong between whodunit and a collector, and what to do. Judges what the endpoint was seen to speak (io/endpoint.ts) and
// what it answered (outcome.ts), against what whodunit is set to speak.
import type { Target } from './target.ts';

/** What an endpoint was seen to speak. */
export type Spoken =
  | { readonly kind: 'unreachable'; readonly reason: string }
  | {
      readonly kind: 'spoken';
      readonly tls: boolean;
      /** Why its certificate is not trusted; null: it is, or there is none. */
      readonly distrust: string | null;
      readonly http1: boolean;
      readonly http2: boolean;
    };

export interface Fault {
  /** The stop that is broken. */
  readonly stop: 'collector' | 'TLS' | 'protocol' | 'credentials' | 'backend';
  /** What is wrong and what to do, in sentences. */
  readonly text: string;
}

/** Why nothing can be exported to what speaks so. null: it fits. */
export function diagnose({ protocol, endpoint }: Target, spoken: Spoken): Fault | null {
  const shown = withoutCredentials(endpoint);
  if (spoken.kind === 'unreachable') {
    const text = `${shown} cannot be reached (${spoken.reason}): start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT.`;
    return { stop: 'collector', text };
  }
  const wanted = wantsTls(endpoint);
  if (wanted && !spoken.tls) {
    const text = `whodunit speaks TLS and ${shown} does not: write http:// into OTEL_EXPORTER_OTLP_ENDPOINT, or give the collector a certificate.`;
    return { stop: 'TLS', text };
  }
  if (!wanted && spoken.tls) {
    const text = `${shown} speaks TLS and whodunit does not: write https:// into OTEL_EXPORTER_OTLP_ENDPOINT (and OTEL_EXPORTER_OTLP_CERTIFICATE where the authority is your own).`;
    return { stop: 'TLS', text };
  }
  if (spoken.distrust !== null) {
    const text = `the certificate of ${shown} is not trusted (${spoken.distrust}): set OTEL_EXPORTER_OTLP_CERTIFICATE to the authority's certificate in PEM format.`;
    return { stop: 'TLS', text };
  }
  if (protocol === 'grpc' && !spoken.http2) {
    const text = `whodunit speaks grpc and ${shown} ${spoken.http1 ? 'speaks HTTP/1.1' : 'no HTTP/2'}: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or use the collector's grpc port (usually 4317).`;
    return { stop: 'protocol', text };
  }
  if (protocol !== 'grpc' && !spoken.http1) {
    const text = `whodunit speaks ${protocol} and ${shown} ${spoken.http2 ? 'speaks gRPC' : 'no HTTP'}: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use the collector's http port (usually 4318).`;
    return { stop: 'protocol', text };
  }
  return null;
}

/** What an answer means that took nothing. `reason`: as outcome.ts gives it, `HTTP 404 …` or `gRPC 12 …`. */
export function explainAnswer(target: Target, reason: string): Fault {
  const shown = withoutCredentials(target.endpoint);
  const [, kind = '', digits = ''] = /^(HTTP|gRPC) (\d+)/.exec(reason) ?? [];
  const answer = `${kind} ${digits}`;
  if (NO_LOGS.has(answer)) {
    const text =
      `${shown} takes no logs (${reason}): send them to a backend that does (OTEL_EXPORTER_OTLP_LOGS_ENDPOINT), or, where it takes traces alone as Jaeger does, ` +
      'set OTEL_TRACES_EXPORTER=otlp and OTEL_LOGS_EXPORTER=console.';
    return { stop: 'backend', text };
  }
  if (NO_ENTRY.has(answer)) {
    const text = `${shown} does not let whodunit in (${reason}): set OTEL_EXPORTER_OTLP_HEADERS to what the backend asks for.`;
    return { stop: 'credentials', text };
  }
  return { stop: 'collector', text: `${shown} did not take it (${reason}): the collector's own log says why.` };
}

/** NOT_FOUND, UNIMPLEMENTED; not found, method not allowed, not implemented. */
const NO_LOGS: ReadonlySet<string> = new Set(['gRPC 5', 'gRPC 12', 'HTTP 404', 'HTTP 405', 'HTTP 501']);
/** PERMISSION_DENIED, UNAUTHENTICATED. */
const NO_ENTRY: ReadonlySet<string> = new Set(['gRPC 7', 'gRPC 16', 'HTTP 401', 'HTTP 402', 'HTTP 403']);

/** gRPC without a scheme means TLS (OTLP exporter specification, "Endpoint URLs for OTLP/HTTP" and "insecure"). */
function wantsTls(endpoint: string): boolean {
  return !endpoint.startsWith('http://') && !endpoint.startsWith('unix:');
}

export function withoutCredentials(endpoint: string): string {
  return endpoint.replace(/\/\/[^/@]*@/, '//');
}
