"""W3C trace context: which trace something belongs to, as it travels in headers and with a job."""

import re
from typing import Final, NamedTuple

_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACESTATE: Final = re.compile(r"[ -~]{1,512}")


class TraceContext(NamedTuple):
    """Empty where there is no trace."""

    traceparent: str = ""
    tracestate: str = ""
    """What vendors add to it; passed on as it came."""

    @property
    def trace_id(self) -> str:
        return self.traceparent[3:35]


NO_TRACE: Final = TraceContext()


def received(traceparent: str, tracestate: str) -> TraceContext:
    """What came in headers. Whatever is malformed counts as absent, and without a trace there is no state."""
    if not _TRACEPARENT.fullmatch(traceparent):
        return NO_TRACE
    return TraceContext(traceparent, tracestate if _TRACESTATE.fullmatch(tracestate) else "")
