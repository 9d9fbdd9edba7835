// SPDX-License-Identifier: Apache-2.0
// The official OTLP exporters, loaded only for the protocol in use, and what their answers mean. Endpoint, headers, compression,
// timeout and TLS they read from the standard variables themselves. Batches, waits and what happens to a record are left to deliver.ts.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { DiagLogLevel, diag, type MeterProvider } from '@opentelemetry/api';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import { grpcFailure, httpFailure, type Outcome, unreached } from '../../core/delivery/outcome.ts';
import type { Protocol } from '../../core/delivery/target.ts';
import { readRecord } from '../../core/telemetry/stored.ts';
import type { Log } from '../log.ts';

export interface Sender {
  /** Sends stored records as one request. Not to be called again before it resolves. Never rejects. */
  send(records: readonly Uint8Array[]): Promise<Outcome>;
  close(): void;
}

/** `endpoint`: the URL that the exporter will use. `meters`: where it counts itself (otel.sdk.exporter.*); left out, it does not. */
export async function createLogSender(protocol: Protocol, endpoint: string, meters?: MeterProvider): Promise<Sender> {
  const create = await exporterFor(protocol, meters);
  let exporter = create();
  const answers = protocol === 'grpc' ? null : new HttpAnswers(endpoint);
  return {
    async send(records) {
      takePartial();
      answers?.forget();
      let error: ExportError | null;
      try {
        error = await exported(exporter, records);
      } catch (unreadable) {
        // Nothing was sent: a record cannot be read or encoded, and never will be.
        return { kind: 'permanent', reason: `cannot be encoded: ${(unreadable as Error).message}` };
      }
      if (error === null) {
        const { rejected = 0, message = null } = takePartial() ?? {};
        return { kind: 'success', refused: rejected, reason: message };
      }
      const outcome = failureOf(error, answers);
      if (protocol === 'grpc' && outcome.kind === 'retryable' && !outcome.reached) {
        // A channel waits longer and longer before it connects again, up to two minutes: a new one connects at once.
        void exporter.shutdown();
        exporter = create();
      }
      return outcome;
    },
    close() {
      answers?.close();
      void exporter.shutdown();
    },
  };
}

async function exporterFor(protocol: Protocol, meters?: MeterProvider): Promise<() => LogRecordExporter> {
  const options = meters === undefined ? {} : { selfObsMeterProvider: meters };
  switch (protocol) {
    case 'grpc': {
      const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-grpc');
      // The exporter would load it at its first export, and the first death would wait for that.
      await import('@grpc/grpc-js');
      return () => new OTLPLogExporter(options);
    }
    case 'http/protobuf': {
      const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-proto');
      return () => new OTLPLogExporter(options);
    }
    case 'http/json': {
      const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-http');
      return () => new OTLPLogExporter(options);
    }
  }
}

/** null: accepted. Rejects only where a record cannot be read or encoded: then nothing is sent. */
function exported(exporter: LogRecordExporter, records: readonly Uint8Array[]): Promise<ExportError | null> {
  return new Promise((resolve) => {
    exporter.export(records.map(readRecord), ({ code, error }) => resolve(code === 0 ? null : (error ?? new Error())));
  });
}

/** OTLPExporterError of the HTTP exporters, ServiceError of grpc-js, or whatever went wrong before there was an answer. */
interface ExportError extends Error {
  readonly code?: unknown;
  readonly data?: string;
  readonly details?: string;
  readonly metadata?: { get(key: string): unknown[] };
}

function failureOf(error: ExportError, answers: HttpAnswers | null): Outcome {
  const { code, message, data = '', details, metadata } = error;
  if (answers === null && typeof code === 'number') {
    const [told] = metadata?.get('grpc-status-details-bin') ?? [];
    return grpcFailure({ code, message: details || message, details: Buffer.isBuffer(told) ? told : undefined });
  }
  const answer = answers?.last;
  if (answer) return httpFailure({ ...answer, text: `${answer.text} ${data}` }, Date.now());
  return unreached(message || 'failed without a reason');
}

/**
 * The last HTTP answer from the endpoint. The exporters tell neither the status behind "retryable" nor Retry-After; Node.js publishes
 * each answer on a diagnostics channel, when its headers are there.
 */
class HttpAnswers {
  last: { readonly status: number; readonly retryAfter: string | undefined; readonly text: string } | null = null;
  readonly #host: string;
  readonly #path: string;

  constructor(endpoint: string) {
    const url = new URL(endpoint);
    this.#host = url.hostname.replace(/^\[|\]$/g, '');
    this.#path = `${url.pathname}${url.search}`;
    subscribe(HTTP_ANSWER, this.#hear);
  }

  forget(): void {
    this.last = null;
  }

  close(): void {
    unsubscribe(HTTP_ANSWER, this.#hear);
  }

  readonly #hear = (message: unknown): void => {
    const { request, response } = message as { request: ClientRequest; response: IncomingMessage };
    if (request.host !== this.#host || request.path !== this.#path) return;
    const { statusCode = 0, statusMessage = '', headers } = response;
    this.last = { status: statusCode, retryAfter: headers['retry-after'], text: statusMessage };
  };
}

const HTTP_ANSWER = 'http.client.response.finish';

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

interface Partial {
  readonly rejected: number;
  readonly message: string;
}
let partial: Partial | null = null;

/** What was told of a partial success since the last call. */
function takePartial(): Partial | null {
  const told = partial;
  partial = null;
  return told;
}

/** The exporters tell partial success and their own warnings only to OpenTelemetry's diagnostics: listen there. */
export function listenToDiagnostics(log: Log): void {
  const tell = (message: string, ...args: unknown[]): void => {
    const text = args.map((arg) => (typeof arg === 'string' ? arg : arg instanceof Error ? arg.message : '')).join(' ');
    if (message.startsWith('Received Partial Success response')) partial = readPartial(text) ?? partial;
    else log.rateLimited(`otel ${message.slice(0, 40)}`, `OpenTelemetry: ${`${message} ${text}`.slice(0, 300)}`);
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
