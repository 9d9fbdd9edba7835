// SPDX-License-Identifier: Apache-2.0
// Runs one export with an official exporter, and returns the answer. The exporters do not return the status of a retryable failure, its
// Retry-After, or a partial success. The first two are read from the HTTP response, the last from a logged warning; an AsyncLocalStorage
// assigns response and warning to their export (docs/decisions/0043). core/delivery/outcome.ts classifies the answer.
import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import {
  type Failure,
  grpcFailure,
  type HttpAnswer,
  httpFailure,
  type Outcome,
  type PartialSuccess,
  printable,
  unencodable,
  unreached,
} from '../../core/delivery/outcome.ts';
import type { Log } from '../log.ts';

/** The callback of an exporter (ExportResult of @opentelemetry/core). */
export type Done = (result: { readonly code: number; readonly error?: Error }) => void;

/** What is observed of one export while it runs. */
interface Exchange {
  /** The answer to the last request over HTTP; null: none yet, or gRPC. */
  http: HttpAnswer | null;
  response: IncomingMessage | null;
  /** That answer is a web page. */
  isPage: boolean;
  /** The longest that a request and its answer may take. */
  readonly limitMs: number;
  partial: PartialSuccess | null;
}

/** The timeout of the exporters (OTEL_EXPORTER_OTLP_TIMEOUT) is only for the next byte, which may come again and again. */
const LIMIT_MS = 60_000;
const LATE = Object.assign(new Error('the answer did not end in time'), { code: 'ETIMEDOUT' });

const exchanges = new AsyncLocalStorage<Exchange>();

/** Published by node:http in the async context of the caller (Node.js 22.12). */
subscribe('http.client.request.created', (message) => {
  const exchange = exchanges.getStore();
  if (exchange === undefined) return;
  const { request } = message as { request: ClientRequest };
  const timer = setTimeout(() => (exchange.response ?? request).destroy(LATE), exchange.limitMs);
  request.once('close', () => clearTimeout(timer));
  // The exporter tries again: the answer to its last attempt counts.
  [exchange.http, exchange.response] = [null, null];
  request.once('response', (response: IncomingMessage) => {
    const { statusCode = 0, statusMessage = '', headers } = response;
    exchange.http = { status: statusCode, retryAfter: headers['retry-after'], text: statusMessage };
    exchange.isPage = /^(?:text\/html|application\/xhtml\+xml)\b/i.test(headers['content-type'] ?? '');
    exchange.response = response;
  });
});

/** Calls `start`, which passes items to an exporter, and resolves with the outcome. Never rejects. Exports may overlap. */
export async function exportOnce(start: (done: Done) => void, limitMs = LIMIT_MS): Promise<Outcome> {
  const exchange: Exchange = { http: null, response: null, isPage: false, limitMs, partial: null };
  try {
    const error = await exchanges.run(
      exchange,
      () =>
        new Promise<ExportError | null>((resolve) =>
          start(({ code, error }) => resolve(code === 0 ? null : (error ?? new Error('failed without a reason')))),
        ),
    );
    const { response } = exchange;
    // The exporters take one that breaks off for what its status says.
    if (response !== null && !response.complete && !exchange.isPage) return brokenOff(response, error);
    if (error !== null) return failureOf(error, exchange.http);
    // A login page or a web server also answers 200. The records did not arrive.
    if (exchange.http !== null && exchange.isPage)
      return httpFailure({ ...exchange.http, text: 'with a web page instead of an OTLP response' }, Date.now());
    return { kind: 'success', partial: exchange.partial };
  } catch (error) {
    // Exporters encode before they send, and throw if encoding fails.
    return unencodable((error as Error).message);
  }
}

function brokenOff({ errored }: IncomingMessage, error: Error | null): Failure {
  const { code = null, message } = (errored ?? error ?? new Error('the answer broke off')) as NodeJS.ErrnoException;
  return unreached(code, message);
}

/** OTLPExporterError of the HTTP exporters, ServiceError of grpc-js, or a local error without an answer. */
interface ExportError extends Error {
  readonly code?: unknown;
  readonly data?: string;
  readonly details?: string;
  readonly metadata?: { get(key: string): unknown[] };
}

function failureOf({ code, message, data = '', details, metadata }: ExportError, http: HttpAnswer | null): Failure {
  if (http !== null && http.status > 299) return httpFailure({ ...http, text: `${http.text} ${data}` }, Date.now());
  if (typeof code === 'number') {
    const [status] = metadata?.get('grpc-status-details-bin') ?? [];
    return grpcFailure({ code, message: details || message, details: Buffer.isBuffer(status) ? status : undefined });
  }
  return unreached(typeof code === 'string' ? code : null, message || 'failed without a reason');
}

/** Routes OpenTelemetry's warnings to the log, except a partial success, which is part of its export's outcome. */
export function readDiagnostics(log: Log): void {
  const textOf = (args: readonly unknown[]): string =>
    args.map((arg) => (typeof arg === 'string' ? arg : arg instanceof Error ? arg.message : '')).join(' ');
  const warn = (message: string, ...args: unknown[]): void => {
    const text = textOf(args);
    const exchange = exchanges.getStore();
    if (exchange !== undefined && message.startsWith(PARTIAL_SUCCESS)) exchange.partial ??= readPartial(text);
    else log.rateLimited(`otel ${message.slice(0, 40)}`, `OpenTelemetry: ${`${message} ${text}`.slice(0, 300)}`);
  };
  const tell = (message: string, ...args: unknown[]): void =>
    log.line(`OpenTelemetry: ${`${message} ${textOf(args)}`.slice(0, 300)}`, 'debug');
  // Warnings are read at every level: a partial success is one.
  const logLevel = log.writes('debug') ? DiagLogLevel.ALL : DiagLogLevel.WARN;
  diag.setLogger(
    { error: warn, warn, info: tell, debug: tell, verbose: tell },
    { logLevel, suppressOverrideMessage: true },
  );
}

/** How @opentelemetry/otlp-exporter-base 0.301 starts this warning; its argument is the partialSuccess of the response, as JSON. */
const PARTIAL_SUCCESS = 'Received Partial Success response';

/** Reads ExportLogsPartialSuccess, ExportMetricsPartialSuccess or ExportTracePartialSuccess. null: it is empty or not JSON. */
function readPartial(json: string): PartialSuccess | null {
  try {
    const { rejectedLogRecords, rejectedDataPoints, rejectedSpans, errorMessage } = JSON.parse(json) as Record<
      string,
      unknown
    >;
    const rejected = rejectedLogRecords ?? rejectedDataPoints ?? rejectedSpans;
    if (rejected === undefined && errorMessage === undefined) return null;
    const count = Math.trunc(Number(rejected ?? 0)) || 0;
    return { rejected: Math.max(count, 0), message: printable(String(errorMessage || 'no reason given')) };
  } catch {
    return null;
  }
}
