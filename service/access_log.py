"""One line in the log for each call that changes something or is refused; at debug also for those that only look.

A service that takes thousands of jobs a second writes as many lines. So where the log is JSON, those of calls that went well
are encoded here, in one step, instead of passing through structlog's processors. What was refused still does: its reason may
quote what has to be redacted.
"""

import time
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
import structlog

from base import logs

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
