// SPDX-License-Identifier: Apache-2.0
// The official OTLP exporters. They read endpoint, headers, compression, timeout and TLS from the standard variables themselves. One file
// for each protocol, loaded only for the protocol in use: gRPC alone is larger than the rest of the service. exchange.ts runs them.
import type { MeterProvider } from '@opentelemetry/api';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Protocol } from '../../core/delivery/target.ts';

export interface LogOptions {
  /** Where a log exporter records otel.sdk.exporter.*; undefined: nowhere. */
  readonly selfObsMeterProvider?: MeterProvider;
  /** undefined: the endpoint of the standard variables. */
  readonly url?: string;
}

/** Those of one protocol. */
export interface OtlpExporters {
  readonly logs: (options: LogOptions) => LogRecordExporter;
  readonly metrics: () => PushMetricExporter;
  readonly spans: () => SpanExporter;
}

export async function exportersOf(protocol: Protocol): Promise<OtlpExporters> {
  const { OTLPLogExporter, OTLPMetricExporter, OTLPTraceExporter } = await classesOf(protocol);
  return {
    logs: (options) => new OTLPLogExporter(options),
    metrics: () => new OTLPMetricExporter(),
    spans: () => new OTLPTraceExporter(),
  };
}

function classesOf(protocol: Protocol) {
  switch (protocol) {
    case 'grpc':
      return import('./exporters-grpc.ts');
    case 'http/protobuf':
      return import('./exporters-http-protobuf.ts');
    case 'http/json':
      return import('./exporters-http-json.ts');
  }
}
