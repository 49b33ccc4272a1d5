"""The span of a call, where calls are traced."""

from typing import Final

import grpc

from base.telemetry import tracing
from base.telemetry.spans import Kind, Span, Value
from base.telemetry.trace_context import TraceContext
from service.access_log import Entry

_FAULTS: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"},
)
"""The codes that are the service's fault; with the others it did what it should."""


def begin(path: str, parent: TraceContext) -> Span:
    """`path` is `package.Service/Method`, `parent` what came with the call."""
    service, _, method = path.partition("/")
    attributes: dict[str, Value] = {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    return tracing.begin(path, Kind.SERVER, attributes, parent)


def end(span: Span, entry: Entry) -> None:
    """Ends it with what the access log says of the call."""
    attributes: dict[str, Value] = {
        "rpc.grpc.status_code": grpc.StatusCode[entry.code].value[0],
        "qjobs.request_id": entry.request_id,
    }
    if entry.queue:
        attributes["messaging.destination.name"] = entry.queue
    if entry.job:
        attributes["messaging.message.id"] = entry.job
    span.note(attributes)
    if entry.code in _FAULTS:
        span.failed(entry.problem, entry.code)
    span.end()
