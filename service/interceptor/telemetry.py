"""What is written down of calls: a line in the log, counts and durations."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from base import logs
from base.telemetry.instruments import Instruments
from base.telemetry.tallies import Counts, Distribution, Durations, Reading, Readings

EVENT: Final = "call"

_encode: Final = msgspec.json.Encoder().encode
_log = structlog.get_logger()


class Entry(msgspec.Struct, omit_defaults=True, gc=False):
    """What is known of a call when it ends."""

    method: str
    code: str
    ms: float
    """How long it took, in milliseconds."""
    caller: str
    """The caller's id; empty where it is not known who called."""
    request_id: str
    queue: str = ""
    job: str = ""
    trace_id: str = ""
    problem: str = ""
    """Why it was refused."""
    peer: str = ""

    # What the log adds to lines of its own making.
    timestamp: datetime | None = None
    process: str = ""
    level: str = ""
    event: str = ""

    def fields(self) -> dict[str, Any]:
        return {key: value for key, value in msgspec.structs.asdict(self).items() if value not in {"", None}}


class AccessLog:
    """The lines of one process, whose log has been configured."""

    def __init__(self, process: str = "service") -> None:
        self._process = process
        self._write = logs.line_writer()

    def looked(self, entry: Entry) -> None:
        """A call that changed nothing."""
        _log.debug(EVENT, **entry.fields())

    def refused(self, entry: Entry) -> None:
        """A call that did not go well."""
        _log.info(EVENT, **entry.fields())

    def changed(self, entry: Entry) -> None:
        """A call that changed something."""
        if self._write is None:
            _log.info(EVENT, **entry.fields())
            return
        entry.timestamp = datetime.fromtimestamp(time.time(), UTC)
        entry.process, entry.level, entry.event = self._process, "info", EVENT
        self._write(_encode(entry) + b"\n")


class MethodMetrics:
    """One method's share, which the intercepted method keeps at hand."""

    __slots__ = ("_calls", "_durations", "_method", "open")

    def __init__(self, calls: Counts, durations: Distribution, method: str) -> None:
        self._calls = calls
        self._durations = durations
        self._method = method
        self.open = 0
        """Calls that have come and were not answered yet: for a stream, its watchers."""

    def ended(self, code: str, seconds: float) -> None:
        self._calls.add((self._method, code))
        self._durations.observe(seconds)


class CallMetrics:
    """All methods together."""

    def __init__(self) -> None:
        self._calls = Counts("qjobs_grpc_calls", "Calls that were answered, by gRPC code.", ("method", "code"))
        self._durations = Durations(
            "qjobs_grpc_call_duration_seconds",
            "From a call's arrival to its answer; of streams, to their end.",
            ("method",),
        )
        self._refusals = Counts(
            "qjobs_grpc_refusals", "Calls that were refused, by the contract's reason.", ("reason",)
        )
        self._methods: dict[str, MethodMetrics] = {}

    def of(self, method: str) -> MethodMetrics:
        found = self._methods.get(method)
        if found is None:
            found = self._methods[method] = MethodMetrics(self._calls, self._durations.of(method), method)
        return found

    def refused(self, reason: str) -> None:
        self._refusals.add((reason,))

    def expose(self, instruments: Instruments) -> None:
        instruments.add(
            self._calls,
            self._durations,
            self._refusals,
            Readings(
                "qjobs_grpc_calls_open",
                "Calls that wait for their answer; watchers are the open calls of WatchJob and WatchQueues.",
                ("method",),
                self._open,
            ),
        )

    def _open(self) -> Iterator[Reading]:
        for name, method in list(self._methods.items()):
            yield (name,), method.open
