"""The call that is being served, for whatever runs on its behalf, and its span where calls are traced."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

import grpc

from base.telemetry import tracing
from base.telemetry.spans import Kind, Span, Value
from base.telemetry.trace_context import TraceContext
from contract.errors import ShuttingDownError
from engine.links import Link
from service.auth import Principal
from service.interceptor.telemetry import Entry

RETRY_ELSEWHERE: Final = 1.0
"""Seconds after which another process, or this one's successor, is likely to serve."""


@dataclass(frozen=True, slots=True)
class Call:
    """What the boundary knows of a call."""

    method: str
    request_id: str
    trace: TraceContext
    """What it is part of: its own span where calls are traced, else what came with it."""
    principal: Principal
    stopping: asyncio.Event
    """Set once the service stops."""
    link: Link | None = None
    """The signed link that took the place of a token."""


_current: Final[ContextVar[Call]] = ContextVar("call")


def enter(call: Call) -> None:
    """Makes it the current call of this task. Each call has a task of its own, so that nothing needs to be undone."""
    _current.set(call)


def current_call() -> Call:
    return _current.get()


def caller() -> Principal:
    """Who makes the current call."""
    return _current.get().principal


def shutting_down() -> ShuttingDownError:
    return ShuttingDownError("the service is stopping; call again", retry_after=RETRY_ELSEWHERE)


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
