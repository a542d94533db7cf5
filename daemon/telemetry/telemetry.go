// Package telemetry sends a span for each call of the control API to an
// OpenTelemetry collector.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc/filters"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/stats"
)

// A batch is tried for so long, again after so long, and then given up.
const (
	exportTimeout = 10 * time.Second
	firstRetry    = time.Second
	lastRetry     = 5 * time.Second
)

// Tracer makes spans and sends them, in batches, from a goroutine of its own.
// Calls never wait for it: spans that a collector does not take in time are lost.
type Tracer struct{ provider *sdktrace.TracerProvider }

// Start makes a tracer for the collector at endpoint, which takes OTLP over gRPC:
// unix:PATH or http://HOST:PORT without TLS, https://HOST:PORT with it. It does
// not wait for a connection. Headers and certificates are taken from OpenTelemetry's
// variables in the environment (OTEL_EXPORTER_OTLP_HEADERS, ...).
func Start(ctx context.Context, endpoint, version string, log *slog.Logger) (*Tracer, error) {
	opts := []otlptracegrpc.Option{
		otlptracegrpc.WithTimeout(exportTimeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: firstRetry, MaxInterval: lastRetry, MaxElapsedTime: exportTimeout,
		}),
	}
	if strings.HasPrefix(endpoint, "unix:") {
		opts = append(opts, otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure())
	} else {
		opts = append(opts, otlptracegrpc.WithEndpointURL(endpoint))
	}
	// The library keeps one for the process; else it writes to stderr by itself.
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("OpenTelemetry", "err", err) }))
	exporter, err := otlptracegrpc.New(ctx, opts...)
	if err != nil {
		return nil, fmt.Errorf("send spans to %s: %w", endpoint, err)
	}
	who, err := resource.New(ctx, resource.WithHost(),
		resource.WithAttributes(attribute.String("service.name", "netmapd"), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil { // what there is of it is good
		log.Warn("say in spans who we are", "err", err)
	}
	return &Tracer{sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(&quiet{SpanExporter: exporter, endpoint: endpoint, log: log}),
		sdktrace.WithResource(who),
	)}, nil
}

// Handler makes the spans of a gRPC server; checks of its health have none. A
// caller's trace goes on in them, and is the caller's to leave out.
func (t *Tracer) Handler() stats.Handler {
	return otelgrpc.NewServerHandler(
		otelgrpc.WithTracerProvider(t.provider),
		otelgrpc.WithPropagators(propagation.TraceContext{}),
		otelgrpc.WithFilter(filters.Not(filters.HealthCheck())),
	)
}

// Stop sends what is left, until the context ends.
func (t *Tracer) Stop(ctx context.Context) error { return t.provider.Shutdown(ctx) }

// quiet says once that spans are lost, and once that they are no longer: a
// collector may be away for days.
type quiet struct {
	sdktrace.SpanExporter
	endpoint string
	log      *slog.Logger
	away     atomic.Bool
}

// ExportSpans sends a batch.
func (q *quiet) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := q.SpanExporter.ExportSpans(ctx, spans)
	switch away := err != nil; {
	case q.away.Swap(away) == away:
	case away:
		q.log.Warn("the OpenTelemetry collector does not take spans; those are lost until it does", "endpoint", q.endpoint, "err", err)
	default:
		q.log.Info("the OpenTelemetry collector takes spans again", "endpoint", q.endpoint)
	}
	return nil // it is said
}
