// SPDX-License-Identifier: Apache-2.0
// The official OTLP exporters, loaded only where they are used, and what their answers mean: accepted, try again, or never.
// Endpoint, headers, compression, timeout and TLS they read from the standard variables themselves. Batches, retries and
// acknowledgements are left to deliver.ts.
import { DiagLogLevel, diag, type MeterProvider } from '@opentelemetry/api';
import type { LogRecordExporter, ReadableLogRecord } from '@opentelemetry/sdk-logs';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import type { Log } from './log.ts';

/** The values of OTEL_EXPORTER_OTLP_PROTOCOL. */
export type Protocol = 'grpc' | 'http/protobuf' | 'http/json';

export type Outcome =
  /** `refused` records of the batch were dropped by the collector (partial success): they must not be sent again. */
  | { readonly kind: 'success'; readonly refused: number; readonly reason: string | null }
  | { readonly kind: 'retryable'; readonly reason: string }
  | { readonly kind: 'permanent'; readonly reason: string };

/** `meters`: where the exporter counts itself (otel.sdk.exporter.*); left out, it does not. */
export async function createLogExporter(protocol: Protocol, meters?: MeterProvider): Promise<LogRecordExporter> {
  const options = meters === undefined ? {} : { selfObsMeterProvider: meters };
  switch (protocol) {
    case 'grpc':
      return new (await import('@opentelemetry/exporter-logs-otlp-grpc')).OTLPLogExporter(options);
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-logs-otlp-proto')).OTLPLogExporter(options);
    case 'http/json':
      return new (await import('@opentelemetry/exporter-logs-otlp-http')).OTLPLogExporter(options);
  }
}

export async function createMetricExporter(protocol: Protocol): Promise<PushMetricExporter> {
  switch (protocol) {
    case 'grpc':
      return new (await import('@opentelemetry/exporter-metrics-otlp-grpc')).OTLPMetricExporter();
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-metrics-otlp-proto')).OTLPMetricExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-metrics-otlp-http')).OTLPMetricExporter();
  }
}

/** Sends a batch once. Not to be called again before it resolves: partial success is told without saying of which batch. */
export function sendRecords(exporter: LogRecordExporter, records: readonly ReadableLogRecord[]): Promise<Outcome> {
  partial.records = null;
  return new Promise((resolve) => {
    try {
      exporter.export([...records], (result) => {
        if (result.code === 0) {
          const refused = partial.records;
          resolve({ kind: 'success', refused: refused?.rejected ?? 0, reason: refused?.message ?? null });
        } else resolve(outcomeOf(result.error));
      });
    } catch (error) {
      // Encoding failed: the same record would fail again.
      resolve({ kind: 'permanent', reason: `cannot be encoded: ${(error as Error).message}` });
    }
  });
}

/**
 * What a failed export means (OTLP specification 1.10, "Failures" and "Retryable response codes"). Where no server gave a
 * judgement on the data (refused connection, timeout, TLS, DNS) it is never the data's fault: try again.
 */
export function outcomeOf(error: unknown): Outcome {
  const { code, message, metadata, details } = (error ?? {}) as {
    code?: unknown;
    message?: string;
    details?: string;
    metadata?: { get(key: string): unknown[] };
  };
  if (typeof code !== 'number') return { kind: 'retryable', reason: message ?? 'failed without a reason' };
  // HTTP statuses are 100 and above, gRPC's codes are 16 and below.
  const retry =
    code >= 100 ? HTTP_RETRYABLE.has(code) : GRPC_RETRYABLE.has(code) || (code === 8 && hasRetryInfo(metadata));
  // grpc-js ends its details with an empty note on name resolution.
  const told = ((code >= 100 ? message : (details ?? message)) ?? '').replace(/\s*Resolution note:\s*$/, '');
  const reason = `${code >= 100 ? 'HTTP' : 'gRPC'} ${code} ${told}`.trim();
  return { kind: retry ? 'retryable' : 'permanent', reason };
}

const HTTP_RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);
/** CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS. */
const GRPC_RETRYABLE: ReadonlySet<number> = new Set([1, 4, 10, 11, 14, 15]);

/** RESOURCE_EXHAUSTED may be tried again only if the server says when (google.rpc.RetryInfo). */
function hasRetryInfo(metadata: { get(key: string): unknown[] } | undefined): boolean {
  const status = metadata?.get('grpc-status-details-bin')[0];
  return Buffer.isBuffer(status) && status.includes('google.rpc.RetryInfo');
}

interface Partial {
  readonly rejected: number;
  readonly message: string;
}
const partial: { records: Partial | null } = { records: null };

/** The exporters tell partial success and their own warnings only to OpenTelemetry's diagnostics: listen there. */
export function listenToDiagnostics(log: Log): void {
  const tell = (message: string, ...args: unknown[]): void => {
    const text = args.map((arg) => (typeof arg === 'string' ? arg : arg instanceof Error ? arg.message : '')).join(' ');
    if (message.startsWith('Received Partial Success response')) partial.records = readPartial(text) ?? partial.records;
    else log.seldom(`otel ${message.slice(0, 40)}`, `OpenTelemetry: ${`${message} ${text}`.slice(0, 300)}`);
  };
  const silent = (): void => {};
  diag.setLogger(
    { error: tell, warn: tell, info: silent, debug: silent, verbose: silent },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}

function readPartial(json: string): Partial | null {
  try {
    const { rejectedLogRecords, errorMessage } = JSON.parse(json) as {
      rejectedLogRecords?: number | string;
      errorMessage?: string;
    };
    if (rejectedLogRecords === undefined && errorMessage === undefined) return null;
    return { rejected: Number(rejectedLogRecords ?? 0), message: errorMessage ?? 'no reason given' };
  } catch {
    return null;
  }
}
