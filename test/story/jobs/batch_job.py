# SPDX-License-Identifier: Apache-2.0
# A batch job with a real OpenTelemetry SDK: it joins the trace of TRACEPARENT, sends a span with the resource that the SDK makes of
# OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, prints its pid, and aborts.
import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
parent = TraceContextTextMapPropagator().extract({"traceparent": os.environ["TRACEPARENT"]})
provider.get_tracer("batch-job").start_span("nightly batch", context=parent).end()
provider.force_flush()
print(os.getpid(), flush=True)
os.abort()
