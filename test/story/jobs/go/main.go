// A batch job with a real OpenTelemetry SDK: it joins the trace of TRACEPARENT, sends a span with the resource that the SDK makes of
// OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and its container, prints its pid, and panics.
//
// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"fmt"
	"os"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

func main() {
	carrier := propagation.MapCarrier{"traceparent": os.Getenv("TRACEPARENT")}
	ctx := propagation.TraceContext{}.Extract(context.Background(), carrier)
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		panic(err)
	}
	container, err := resource.New(ctx, resource.WithContainer())
	if err != nil {
		panic(err)
	}
	whole, err := resource.Merge(resource.Default(), container)
	if err != nil {
		panic(err)
	}
	provider := trace.NewTracerProvider(trace.WithSyncer(exporter), trace.WithResource(whole))
	_, span := provider.Tracer("batch-job").Start(ctx, "nightly batch")
	span.End()
	if err := provider.ForceFlush(ctx); err != nil {
		panic(err)
	}
	fmt.Println(os.Getpid())
	panic("the batch is broken")
}
