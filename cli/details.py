"""One thing in full, for people: names and values under one another, and what is nested below them, as YAML is read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from cli.mapping import moment
from cli.moments import ago, shown
from cli.untrusted import harmless, harmless_lines

INDENT: Final = "  "


def fields(pairs: Iterable[tuple[str, str]]) -> str:
    """A line for each pair whose value is not empty, the values in one column."""
    shown = [(name, value) for name, value in pairs if value]
    width = max((len(name) for name, _ in shown), default=0) + 1
    return "\n".join(f"{name + ':':<{width}}  {harmless(value)}" for name, value in shown)


def section(title: str, body: str) -> str:
    """The body, indented, below its title; nothing where there is none."""
    return f"\n\n{title}\n" + "\n".join(INDENT + line for line in body.split("\n")) if body else ""


def when(stamp: Timestamp) -> str:
    """A moment, and how long ago that is; nothing where the field is not set."""
    at = moment(stamp)
    return f"{shown(at)} ({ago(at)})" if at else ""


def tree(value: Any) -> str:
    """JSON's values without its brackets. Empty ones are left out."""
    return "\n".join(_lines(value))


def _lines(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [
            line for name, below in value.items() if not _is_empty(below) for line in _named(harmless(str(name)), below)
        ]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [line for one in value for line in _element(one)]
    return harmless_lines(_scalar(value)).split("\n")


def _named(name: str, value: Any) -> list[str]:
    lines = _lines(value)
    if isinstance(value, (Mapping, list)) or len(lines) > 1:
        return [f"{name}:", *(INDENT + line for line in lines)]
    return [f"{name}: {lines[0]}"]


def _element(value: Any) -> list[str]:
    first, *rest = _lines(value) or ["-"]
    return [f"- {first}", *(INDENT + line for line in rest)]


def _scalar(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value)


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})
