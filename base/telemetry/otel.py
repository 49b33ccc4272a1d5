"""Spans by OpenTelemetry's SDK, which reads its standard variables itself. Imported only where they ask for traces."""

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from opentelemetry import context, trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor, SpanExporter
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from base.logs import redacted
from base.release import release
from base.settings import SettingsError
from base.telemetry.spans import Kind, Value
from base.telemetry.trace_context import TraceContext

_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_KINDS: Final = {kind: trace.SpanKind[kind.name] for kind in Kind}
_w3c: Final = TraceContextTextMapPropagator()


class Tracer:
    """Begins the spans of a process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("qjobs", release())

    def begin(self, name: str, kind: Kind, attributes: Mapping[str, Value], parent: TraceContext | None) -> "OpenSpan":
        around = None if parent is None else _context_of(parent)
        return OpenSpan(self._tracer.start_span(name, around, _KINDS[kind], attributes))

    def close(self, seconds: float) -> None:
        """Hands over what is left, in a thread: nobody waits longer for a collector that is away."""
        thread = threading.Thread(target=self._provider.shutdown, name="tracing", daemon=True)
        thread.start()
        thread.join(seconds)


class OpenSpan:
    """A span that has begun, and is current."""

    __slots__ = ("_span", "_token", "trace")

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        current = trace.set_span_in_context(span)
        self._token = context.attach(current)
        carrier: dict[str, str] = {}
        _w3c.inject(carrier, current)
        self.trace = TraceContext(carrier.get("traceparent", ""), carrier.get("tracestate", ""))

    def note(self, attributes: Mapping[str, Value]) -> None:
        self._span.set_attributes(attributes)

    def failed(self, reason: str, kind: str = "") -> None:
        if kind:
            self._span.set_attribute("error.type", kind)
        self._span.set_status(trace.StatusCode.ERROR, redacted(reason))

    def end(self) -> None:
        context.detach(self._token)
        self._span.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is not None:
            self.failed(str(error), kind.__name__)
        self.end()


def exporting(name: str, exporters: Sequence[str]) -> Tracer:
    """A tracer whose spans go where `exporters` say.

    Raises:
      SettingsError: OTEL_EXPORTER_OTLP_PROTOCOL is none of those that there are.
    """
    resource = Resource.create({"service.namespace": "qcollector", "service.version": release()})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: name}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    if "otlp" in exporters:
        provider.add_span_processor(BatchSpanProcessor(_otlp()))
    if "console" in exporters:
        provider.add_span_processor(SimpleSpanProcessor(ConsoleSpanExporter(out=sys.stderr)))
    return Tracer(provider)


def _otlp() -> SpanExporter:
    protocol = next((os.environ[variable] for variable in _PROTOCOLS if os.environ.get(variable)), "grpc")
    match protocol:
        case "grpc":
            from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as over_grpc  # noqa: PLC0415  (one of two)

            return over_grpc.OTLPSpanExporter()
        case "http/protobuf":
            from opentelemetry.exporter.otlp.proto.http import trace_exporter as over_http  # noqa: PLC0415

            return over_http.OTLPSpanExporter()
    raise SettingsError(f"OTEL_EXPORTER_OTLP_PROTOCOL={protocol}: set grpc or http/protobuf.")


def _context_of(parent: TraceContext) -> context.Context:
    return _w3c.extract({"traceparent": parent.traceparent, "tracestate": parent.tracestate}, context.Context())
