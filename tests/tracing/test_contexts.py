"""What counts as a trace context when it comes from a stranger."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from base.telemetry.trace_context import NO_TRACE, received

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    "traceparent",
    [
        "",
        PARENT.upper(),
        PARENT + "-more",
        PARENT + "\n",
        PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        PARENT.replace("b7ad6b7169203331", "0" * 16),
        "01" + PARENT[2:],
    ],
)
def test_a_malformed_context_counts_as_none(traceparent: str) -> None:
    assert received(traceparent, "vendor=opaque") == NO_TRACE


def test_a_state_is_passed_on_as_it_came_and_left_out_where_it_is_malformed() -> None:
    assert received(PARENT, "a=1,b@c=2") == (PARENT, "a=1,b@c=2")
    assert received(PARENT, "a=1\nb") == (PARENT, "")
    assert received(PARENT, "a" * 513) == (PARENT, "")


@given(st.text(max_size=80), st.text(max_size=600))
@example(PARENT, "\x7f")
def test_whatever_comes_only_printable_text_of_bounded_length_is_kept(traceparent: str, tracestate: str) -> None:
    kept = received(traceparent, tracestate)
    assert re.fullmatch(r"[0-9a-f-]{55}|", kept.traceparent)
    assert re.fullmatch(r"[ -~]{0,512}", kept.tracestate)
