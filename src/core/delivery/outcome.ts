// SPDX-License-Identifier: Apache-2.0
// What a collector's answer to an export means: accepted, try again, fix the settings, or rejected. Follows the OTLP specification
// 1.10 ("Failures", "Retryable response codes", "OTLP/HTTP Throttling"), but believes fewer codes than it that the items are bad
// (docs/decisions/0046). plan.ts decides what is sent next; advice for people is in diagnose.ts.
import { retryDelayMs } from './retry-info.ts';

export type Outcome = Success | Failure;

export interface Success {
  readonly kind: 'success';
  /** null: every item was accepted. */
  readonly partial: PartialSuccess | null;
}

/** The target accepted the request and dropped some of its items. The protocol does not say which; none may be sent again. */
export interface PartialSuccess {
  /** Log records, data points or spans. 0: the message is only a warning. */
  readonly rejected: number;
  readonly message: string;
}

/** Why an export was not accepted. `message`: the server's message or the local error, as one short printable line. */
export type Failure =
  /**
   * Not a fault of the items: send them again. `sent`: the server may have received them. `reached`: it answered. `afterMs`: the delay
   * that it requested.
   */
  | (Reason & {
      readonly kind: 'retryable';
      readonly sent: boolean;
      readonly reached: boolean;
      readonly afterMs: number | null;
    })
  /** The answer does not say whether the items are the cause. */
  | (Reason & { readonly kind: 'ambiguous'; readonly afterMs: number | null })
  /** The target does not accept this signal, or not with these settings. Waiting does not fix it. */
  | (Reason & { readonly kind: 'misconfigured' })
  /** The request is bad. If it has one item, that item is. */
  | (Reason & { readonly kind: 'rejected' });

export interface Reason {
  readonly status: Status;
  readonly message: string;
}

export type Status =
  | { readonly kind: 'http'; readonly code: number }
  | { readonly kind: 'grpc'; readonly code: number }
  /** No complete answer. `cause`: the code of a system error (ECONNREFUSED), or null. */
  | { readonly kind: 'unreached'; readonly cause: string | null }
  /** Nothing was sent: an item could not be read or encoded. */
  | { readonly kind: 'unencodable' };

/** An answer over HTTP. */
export interface HttpAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** An answer over gRPC. `details`: grpc-status-details-bin, a google.rpc.Status. */
export interface GrpcAnswer {
  readonly code: number;
  readonly message: string;
  readonly details: Uint8Array | undefined;
}

/** The status and the message in one line: `HTTP 404 Not Found`. */
export function describeFailure({ status, message }: Reason): string {
  switch (status.kind) {
    case 'http':
      return `HTTP ${status.code} ${message}`.trim();
    case 'grpc':
      return `gRPC ${status.code} ${message}`.trim();
    case 'unreached':
      return message;
    case 'unencodable':
      return `cannot be encoded: ${message}`;
  }
}

/** `rejected 2 of 7 spans (partial success): too old`. `rejected` 0: the message is a warning. */
export function describePartial(rejected: number, count: number, items: string, message: string): string {
  return rejected === 0
    ? `accepted ${count} ${items} with a warning: ${message}`
    : `rejected ${rejected} of ${count} ${items} (partial success): ${message}`;
}

/** No server answered, or its answer was incomplete. `cause`: the code of a system error, or null. */
export function unreached(cause: string | null, message: string): Failure {
  const sent = cause === null || SENT.has(cause);
  return { kind: 'retryable', status: { kind: 'unreached', cause }, message, sent, reached: false, afterMs: null };
}

/** Nothing was sent: the same bytes cannot be encoded next time either. */
export function unencodable(message: string): Failure {
  return { kind: 'rejected', status: { kind: 'unencodable' }, message: printable(message) };
}

/** An answer that is not an OTLP response. `nowMs`: ms since 1970, for a Retry-After that is a date. */
export function httpFailure({ status: code, retryAfter, text }: HttpAnswer, nowMs: number): Failure {
  const reason: Reason = { status: { kind: 'http', code }, message: printable(text) };
  const afterMs = retryAfterMs(retryAfter, nowMs);
  if (HTTP_RETRYABLE.has(code)) return { ...reason, kind: 'retryable', sent: true, reached: true, afterMs };
  if (code < 400 || HTTP_MISCONFIGURED.has(code) || PLAIN_TO_TLS.test(text))
    return { ...reason, kind: 'misconfigured' };
  if (HTTP_REJECTED.has(code)) return { ...reason, kind: 'rejected' };
  return { ...reason, kind: 'ambiguous', afterMs };
}

/** A status that is not OK. */
export function grpcFailure({ code, message, details }: GrpcAnswer): Failure {
  // grpc-js appends an empty note on name resolution, and the last error even if there was none.
  const text = printable(message.replace(/\.?\s*Last error: null\.?/, '').replace(/\s*Resolution note:\s*$/, ''));
  const reason: Reason = { status: { kind: 'grpc', code }, message: text };
  const afterMs = retryDelayMs(details);
  if (GRPC_RETRYABLE.has(code) || (code === RESOURCE_EXHAUSTED && afterMs !== null)) {
    // grpc-js also uses these codes for a failed connection. Only RetryInfo proves that a server answered.
    return { ...reason, kind: 'retryable', sent: !NOT_CONNECTED.test(text), reached: afterMs !== null, afterMs };
  }
  if (GRPC_MISCONFIGURED.has(code)) return { ...reason, kind: 'misconfigured' };
  if (code === INVALID_ARGUMENT) return { ...reason, kind: 'rejected' };
  return { ...reason, kind: 'ambiguous', afterMs };
}

/** A connection that existed broke. Every other system error precedes the request. */
const SENT: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ETIMEDOUT']);
/** How grpc-js says that no connection could be made. */
const NOT_CONNECTED = /^(?:No connection established|Name resolution failed)/;

/** 408 is not in the specification; RFC 9110, 15.5.9 allows repeating the request. */
const HTTP_RETRYABLE: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);
/** Bad request, content too large. */
const HTTP_REJECTED: ReadonlySet<number> = new Set([400, 413]);
/** Wrong credentials, wrong path, wrong encoding, or not an OTLP server: faults of the settings, not of the records. */
const HTTP_MISCONFIGURED: ReadonlySet<number> = new Set([401, 402, 403, 404, 405, 407, 415, 421, 426, 501]);
/** A TLS port answers plain HTTP with 400, whatever the request holds (net/http of Go, nginx). */
const PLAIN_TO_TLS = /HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS port/;

const INVALID_ARGUMENT = 3;
const RESOURCE_EXHAUSTED = 8;
/** CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. */
const GRPC_RETRYABLE: ReadonlySet<number> = new Set([1, 4, 10, 11, 14, 15]);
/** NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED. */
const GRPC_MISCONFIGURED: ReadonlySet<number> = new Set([5, 7, 12, 16]);

/** Retry-After (RFC 9110, 10.2.3): seconds or a date. null: absent or invalid. */
export function retryAfterMs(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

/** At most 200 characters, safe for a log line and for JSON. */
export function printable(text: string): string {
  return text
    .slice(0, 1_000)
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 200);
}
