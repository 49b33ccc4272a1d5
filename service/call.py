"""The call that is being served, for whatever runs on its behalf."""

import asyncio
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from base.telemetry.trace_context import TraceContext
from contract.errors import ShuttingDownError
from engine.links import Link
from service.auth import Principal

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
