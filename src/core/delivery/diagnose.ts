// SPDX-License-Identifier: Apache-2.0
// Pure: what is wrong between whodunit and a collector, and what to do. Compares the protocols that the endpoint supports
// (io/otlp/endpoint.ts) and its answers (outcome.ts) with the settings of whodunit.
import { describeFailure, type Reason, type Status } from './outcome.ts';
import { type Target, withoutCredentials } from './target.ts';

/** The protocols that an endpoint was found to speak. */
export type EndpointProbe =
  | { readonly kind: 'unreachable'; readonly reason: string }
  | {
      readonly kind: 'reachable';
      readonly tls: boolean;
      /** Why its certificate is not trusted. null: it is trusted, or there is none. */
      readonly certificateError: string | null;
      readonly http1: boolean;
      readonly http2: boolean;
    };

export interface Fault {
  /** The step of the export that fails. */
  readonly step: 'collector' | 'TLS' | 'protocol' | 'credentials' | 'backend';
  /** The problem and the remedy, for people. */
  readonly text: string;
}

/** Why nothing can be exported to an endpoint that speaks these protocols. null: the settings fit. */
export function diagnose({ protocol, endpoint }: Target, probed: EndpointProbe): Fault | null {
  const shown = withoutCredentials(endpoint);
  if (probed.kind === 'unreachable') {
    const text = `${shown} cannot be reached (${probed.reason}): start the collector, or correct OTEL_EXPORTER_OTLP_ENDPOINT.`;
    return { step: 'collector', text };
  }
  const wanted = wantsTls(endpoint);
  if (wanted && !probed.tls) {
    const text = `whodunit uses TLS and ${shown} does not: use http:// in OTEL_EXPORTER_OTLP_ENDPOINT, or give the collector a certificate.`;
    return { step: 'TLS', text };
  }
  if (!wanted && probed.tls) {
    const text = `${shown} uses TLS and whodunit does not: use https:// in OTEL_EXPORTER_OTLP_ENDPOINT (and set OTEL_EXPORTER_OTLP_CERTIFICATE if you use your own CA).`;
    return { step: 'TLS', text };
  }
  if (probed.certificateError !== null) {
    const text = `the certificate of ${shown} is not trusted (${probed.certificateError}): set OTEL_EXPORTER_OTLP_CERTIFICATE to the CA certificate in PEM format.`;
    return { step: 'TLS', text };
  }
  if (protocol === 'grpc' && !probed.http2) {
    const text = `whodunit speaks grpc and ${shown} ${probed.http1 ? 'speaks HTTP/1.1' : 'does not speak HTTP/2'}: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf, or use the collector's grpc port (usually 4317).`;
    return { step: 'protocol', text };
  }
  if (protocol !== 'grpc' && !probed.http1) {
    const text = `whodunit speaks ${protocol} and ${shown} ${probed.http2 ? 'speaks gRPC' : 'does not speak HTTP'}: set OTEL_EXPORTER_OTLP_PROTOCOL=grpc, or use the collector's http port (usually 4318).`;
    return { step: 'protocol', text };
  }
  return null;
}

export type SignalName = 'logs' | 'metrics' | 'traces';

/** Why the target did not accept this signal, and what to do. */
export function explainFailure({ endpoint }: Target, failure: Reason, signal: SignalName = 'logs'): Fault {
  const shown = withoutCredentials(endpoint);
  const reason = describeFailure(failure);
  const step = failingStep(failure.status);
  switch (step) {
    case 'backend':
      return { step, text: `${shown} does not accept ${signal} (${reason}): ${otherBackend(signal)}` };
    case 'credentials':
      return {
        step,
        text: `${shown} refuses access (${reason}): set OTEL_EXPORTER_OTLP_HEADERS to the credentials that the backend requires.`,
      };
    case 'collector':
      return { step, text: refusedText(endpoint, reason) };
  }
}

function otherBackend(signal: SignalName): string {
  const name = signal.toUpperCase();
  const send = `send them to a backend that does (OTEL_EXPORTER_OTLP_${name}_ENDPOINT)`;
  if (signal !== 'logs') return `${send}, or set OTEL_${name}_EXPORTER=none.`;
  return `${send}. If it accepts only traces, as Jaeger does, set OTEL_TRACES_EXPORTER=otlp, WHODUNIT_SPANS=all and OTEL_LOGS_EXPORTER=console.`;
}

/** For a refusal without a status, only with a reason: a record that the running service could not deliver. */
export function explainRefusal({ endpoint }: Target, reason: string): Fault {
  return { step: 'collector', text: refusedText(endpoint, reason) };
}

function refusedText(endpoint: string, reason: string): string {
  return `${withoutCredentials(endpoint)} did not accept the record (${reason}): see the collector's log.`;
}

function failingStep(status: Status): 'backend' | 'credentials' | 'collector' {
  if (status.kind !== 'http' && status.kind !== 'grpc') return 'collector';
  if (WITHOUT_LOGS[status.kind].has(status.code)) return 'backend';
  return ACCESS_REFUSED[status.kind].has(status.code) ? 'credentials' : 'collector';
}

type Codes = Readonly<Record<'http' | 'grpc', ReadonlySet<number>>>;
/** Not found, method not allowed, not implemented; NOT_FOUND, UNIMPLEMENTED. */
const WITHOUT_LOGS: Codes = { http: new Set([404, 405, 501]), grpc: new Set([5, 12]) };
/** Unauthorized, payment required, forbidden; PERMISSION_DENIED, UNAUTHENTICATED. */
const ACCESS_REFUSED: Codes = { http: new Set([401, 402, 403]), grpc: new Set([7, 16]) };

/** A gRPC endpoint without a scheme means TLS (OTLP exporter specification, "Endpoint URLs for OTLP/HTTP" and "insecure"). */
function wantsTls(endpoint: string): boolean {
  return !endpoint.startsWith('http://') && !endpoint.startsWith('unix:');
}
