// SPDX-License-Identifier: Apache-2.0
// The official OTLP exporters, loaded only for the protocol in use. They read endpoint, headers, compression, timeout and TLS from the
// standard variables themselves. exchange.ts runs them.
import type { MeterProvider } from '@opentelemetry/api';
import type { LogRecordExporter } from '@opentelemetry/sdk-logs';
import type { PushMetricExporter } from '@opentelemetry/sdk-metrics';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Protocol } from '../../core/delivery/target.ts';

/** Returns a factory of log exporters. `meters`: where they record otel.sdk.exporter.*; undefined: nowhere. */
export async function logExporterFactory(protocol: Protocol, meters?: MeterProvider): Promise<() => LogRecordExporter> {
  const options = meters === undefined ? {} : { selfObsMeterProvider: meters };
  switch (protocol) {
    case 'grpc': {
      const { OTLPLogExporter } = await import('@opentelemetry/exporter-logs-otlp-grpc');
      // Otherwise the exporter loads it at its first export, which delays the first record.
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

export async function createSpanExporter(protocol: Protocol): Promise<SpanExporter> {
  switch (protocol) {
    case 'grpc':
      return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter();
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter();
  }
}
