// A batch job with a real OpenTelemetry SDK: it joins the trace of TRACEPARENT, sends a span with the resource that the SDK makes of
// OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, prints its pid, and aborts.
//
// SPDX-License-Identifier: Apache-2.0

import { context, propagation } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { defaultResource, detectResources, envDetector } from '@opentelemetry/resources';
import { SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

const provider = new TracerProvider({
  resource: defaultResource().merge(detectResources({ detectors: [envDetector] })),
  spanProcessors: [new SimpleSpanProcessor({ exporter: new OTLPTraceExporter() })],
});
propagation.setGlobalPropagator(new W3CTraceContextPropagator());
const parent = propagation.extract(context.active(), { traceparent: process.env.TRACEPARENT });
provider.getTracer('batch-job').startSpan('nightly batch', {}, parent).end();
await provider.forceFlush();
process.stdout.write(`${process.pid}\n`, () => process.abort());
