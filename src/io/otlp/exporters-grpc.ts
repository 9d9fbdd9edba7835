// SPDX-License-Identifier: Apache-2.0
// The OTLP exporters over gRPC.
// The exporters would load this at their first export, which delays the first record.
import '@grpc/grpc-js';

export { OTLPLogExporter } from '@opentelemetry/exporter-logs-otlp-grpc';
export { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
export { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
