// SPDX-License-Identifier: Apache-2.0
// What a collector's answer to a batch means: accepted, try again, try again seldom, or never. Rests on the OTLP specification 1.10
// ("Failures", "Retryable response codes", "OTLP/HTTP Throttling"). What is done about it is left to io/deliver.ts.
import { retryDelayMs } from './retry-info.ts';

export type Outcome =
  /** `refused` records of the batch were dropped by the collector (partial success): they must not be sent again. */
  | { readonly kind: 'success'; readonly refused: number; readonly reason: string | null }
  /**
   * To be sent again: nobody judged the records. `reached`: a server answered. `afterMs`: when it wants to be asked again.
   * `doubtful`: it may be the records' fault after all, so not for ever.
   */
  | {
      readonly kind: 'retryable';
      readonly reason: string;
      readonly reached: boolean;
      readonly doubtful: boolean;
      readonly afterMs: number | null;
    }
  /** The target takes no logs, or none from us: no fault of the records, and nothing that time alone will mend. */
  | { readonly kind: 'unwilling'; readonly reason: string }
  /** These records will never be taken. */
  | { readonly kind: 'permanent'; readonly reason: string };

/** What came back over HTTP. */
export interface HttpAnswer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** What came back over gRPC. `details`: grpc-status-details-bin, a google.rpc.Status. */
export interface GrpcAnswer {
  readonly code: number;
  readonly message: string;
  readonly details: Uint8Array | undefined;
}

/** Nobody answered, or not to the end. Never the records' fault. */
export function unreached(reason: string): Outcome {
  return { kind: 'retryable', reason, reached: false, doubtful: false, afterMs: null };
}

/** An answer that is not 2xx. `nowMs`: ms since 1970, for a Retry-After that is a date. */
export function httpFailure({ status, retryAfter, text }: HttpAnswer, nowMs: number): Outcome {
  const reason = `HTTP ${status} ${printable(text)}`.trim();
  const afterMs = retryAfterMs(retryAfter, nowMs);
  if (HTTP_RETRYABLE.has(status)) return { kind: 'retryable', reason, reached: true, doubtful: false, afterMs };
  if (status === 500) return { kind: 'retryable', reason, reached: true, doubtful: true, afterMs };
  if (status < 400 || HTTP_UNWILLING.has(status)) return { kind: 'unwilling', reason };
  return { kind: 'permanent', reason };
}

/** A status that is not OK. */
export function grpcFailure({ code, message, details }: GrpcAnswer): Outcome {
  // grpc-js ends its details with an empty note on name resolution.
  const reason = `gRPC ${code} ${printable(message.replace(/\s*Resolution note:\s*$/, ''))}`.trim();
  const afterMs = retryDelayMs(details);
  if (code === RESOURCE_EXHAUSTED && afterMs === null) return { kind: 'permanent', reason };
  if (GRPC_RETRYABLE.has(code))
    return { kind: 'retryable', reason, reached: afterMs !== null, doubtful: false, afterMs };
  if (GRPC_DOUBTFUL.has(code)) return { kind: 'retryable', reason, reached: true, doubtful: true, afterMs };
  if (GRPC_UNWILLING.has(code)) return { kind: 'unwilling', reason };
  return { kind: 'permanent', reason };
}

/** 408 is not in the specification; it says of itself that the request may be repeated (RFC 9110, 15.5.9). */
const HTTP_RETRYABLE: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);
/** Wrong credentials, wrong path, wrong program: those of the configuration, not of the records. */
const HTTP_UNWILLING: ReadonlySet<number> = new Set([401, 402, 403, 404, 405, 407, 501]);

const RESOURCE_EXHAUSTED = 8;
/** CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (with RetryInfo only), ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. */
const GRPC_RETRYABLE: ReadonlySet<number> = new Set([1, 4, RESOURCE_EXHAUSTED, 10, 11, 14, 15]);
/** UNKNOWN, INTERNAL: also what grpc-js makes of a connection that breaks, or of a proxy's HTTP 500. */
const GRPC_DOUBTFUL: ReadonlySet<number> = new Set([2, 13]);
/** NOT_FOUND, PERMISSION_DENIED, UNIMPLEMENTED, UNAUTHENTICATED. */
const GRPC_UNWILLING: ReadonlySet<number> = new Set([5, 7, 12, 16]);

/** Retry-After (RFC 9110, 10.2.3): seconds, or a date. null: none, or not understood. */
export function retryAfterMs(value: string | undefined, nowMs: number): number | null {
  if (value === undefined) return null;
  if (/^\s*\d{1,9}\s*$/.test(value)) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}

/** At most 200 characters for a log and for JSON. */
function printable(text: string): string {
  return text
    .replace(/[^\x20-\x7e]+/g, ' ')
    .trim()
    .slice(0, 200);
}
