"""What a span is, for whoever begins one: with OpenTelemetry behind it or not."""

from collections.abc import Mapping
from enum import Enum
from types import TracebackType
from typing import Final, Protocol, Self

from base.telemetry.trace_context import NO_TRACE, TraceContext

Value = str | int | float | bool
"""Of an attribute."""


class Kind(Enum):
    """What a span is about, in OpenTelemetry's words."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    CONSUMER = "CONSUMER"
    INTERNAL = "INTERNAL"


class Span(Protocol):
    """A piece of work, current in its task until it ends."""

    trace: TraceContext
    """For whatever goes on elsewhere on its behalf."""

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Adds attributes."""

    def failed(self, reason: str, kind: str = "") -> None:
        """Marks it as gone wrong. `reason` is redacted as in the log."""

    def end(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends it, as failed where an error leaves the block."""


class _NoSpan:
    """What there is where nothing is traced."""

    trace = NO_TRACE

    def note(self, attributes: Mapping[str, Value]) -> None: ...

    def failed(self, reason: str, kind: str = "") -> None: ...

    def end(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


NO_SPAN: Final[Span] = _NoSpan()
