"""A collector of the tests' own: takes spans over OTLP, by gRPC as a real one does, and lets tests look at them."""

import gzip
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.conftest import until


@dataclass(frozen=True)
class Taken:
    """A span as it came."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: Mapping[str, Any]
    failed: bool
    message: str

    @property
    def root(self) -> bool:
        return not self.parent

    @property
    def job(self) -> str:
        return str(self.attributes.get("messaging.message.id", ""))

    @property
    def request(self) -> str:
        return str(self.attributes.get("qjobs.request_id", ""))


@dataclass
class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """What came, and with which headers."""

    port: int = 0
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    """By the name of the process that sent them."""
    _spans: list[Taken] = field(default_factory=list)
    _lock: Any = field(default_factory=threading.Lock)

    def Export(  # noqa: N802  (gRPC's name)
        self, request: trace_service_pb2.ExportTraceServiceRequest, context: Any
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        self.take(request, dict(context.invocation_metadata()))
        return trace_service_pb2.ExportTraceServiceResponse()

    def take(self, request: trace_service_pb2.ExportTraceServiceRequest, headers: dict[str, str]) -> None:
        with self._lock:
            for resource in request.resource_spans:
                service = _plain(resource.resource.attributes)["service.name"]
                self.headers[service] = headers
                self._spans += [_taken(service, span) for scope in resource.scope_spans for span in scope.spans]

    def spans(self, trace: str = "") -> list[Taken]:
        with self._lock:
            return [span for span in self._spans if trace in ("", span.trace)]

    def wait_for(self, name: str, number: int = 1, **fields: str) -> list[Taken]:
        """So many spans of that name and with those fields of Taken, once they have come."""

        def found() -> list[Taken]:
            spans = [span for span in self.spans() if span.name == name]
            spans = [span for span in spans if all(getattr(span, key) == value for key, value in fields.items())]
            return spans if len(spans) >= number else []

        came: list[Taken] = until(
            found,
            what=lambda: f"{number} times {name}: {[(one.service, one.name, one.request) for one in self.spans()]}",
        )
        return came

    def way_to(self, last: Taken) -> list[Taken]:
        """The spans from the trace's first to `last`, once all of them have come."""

        def found() -> list[Taken]:
            by_id = {span.id: span for span in self.spans(last.trace)}
            way = [last]
            while way[0].parent in by_id:
                way.insert(0, by_id[way[0].parent])
            return way if way[0].root else []

        came: list[Taken] = until(found, what=lambda: f"the way to {last.name}: {self.spans(last.trace)}")
        return came


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens on a port of its own."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    collector.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield collector
    finally:
        server.stop(None).wait()


@contextmanager
def collecting_over_http() -> Iterator[Collector]:
    """The same for OTLP over HTTP."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = b"".join(self._pieces())
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                sent = {name.lower(): value for name, value in self.headers.items()}
                collector.take(trace_service_pb2.ExportTraceServiceRequest.FromString(body), sent)
            self.send_response(HTTPStatus.OK if self.path == "/v1/traces" else HTTPStatus.NOT_FOUND)
            self.send_header("content-length", "0")
            self.end_headers()

        def _pieces(self) -> Iterator[bytes]:
            if self.headers.get("transfer-encoding") != "chunked":
                yield self.rfile.read(int(self.headers["content-length"]))
                return
            while length := int(self.rfile.readline(), 16):
                yield self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _taken(service: str, span: Span) -> Taken:
    return Taken(
        service=service,
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        attributes=_plain(span.attributes),
        failed=span.status.code == Status.STATUS_CODE_ERROR,
        message=span.status.message,
    )


def _plain(attributes: Any) -> dict[str, Any]:
    def value(one: KeyValue) -> Any:
        kind = one.value.WhichOneof("value")
        return getattr(one.value, kind) if kind else None

    return {one.key: value(one) for one in attributes}
