"""What people read: tables of many things, ruled at a terminal and aligned elsewhere, and one thing in full."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TextIO, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from cli.output.formats import moment
from cli.output.text import harmless, harmless_lines
from cli.output.times import ago, shown

if TYPE_CHECKING:
    from rich.console import Console

INDENT: Final = "  "

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True)
class Column(Generic[T]):
    heading: str
    value: Callable[[T], str]
    right: bool = False
    """For numbers."""
    style: Callable[[T], str] | None = None
    """The colour on a terminal, in rich's words."""


Columns = Sequence[Column[T]]


class Listing(Protocol[T_contra]):
    """Takes a page of rows at a time."""

    def show(self, page: Sequence[T_contra]) -> None: ...


class PlainListing(Generic[T]):
    """Columns two spaces apart. Nothing is cut off; a later page keeps the widths of those before, or widens them."""

    def __init__(self, write: Callable[[str], None], columns: Columns[T]) -> None:
        self._write = write
        self._columns = columns
        self._widths = [0] * len(columns)
        self._begun = False

    def show(self, page: Sequence[T]) -> None:
        rows = [[harmless(column.value(one)) or "-" for column in self._columns] for one in page]
        if not self._begun:
            rows.insert(0, [column.heading.upper() for column in self._columns])
            self._begun = True
        self._widths = [
            max(width, *map(len, cells)) for width, cells in zip(self._widths, zip(*rows, strict=True), strict=True)
        ]
        self._write("".join(self._line(row) + "\n" for row in rows))

    def _line(self, row: Sequence[str]) -> str:
        cells = [
            cell.rjust(width) if column.right else cell.ljust(width)
            for cell, width, column in zip(row, self._widths, self._columns, strict=True)
        ]
        return "  ".join(cells).rstrip()


class _TerminalListing(Generic[T]):
    """One of rich's tables for each page."""

    def __init__(self, console: "Console", columns: Columns[T]) -> None:
        self._console = console
        self._columns = columns

    def show(self, page: Sequence[T]) -> None:
        self._console.print(terminal_table(self._columns, page))


def terminal_listing(out: TextIO, columns: Columns[T]) -> Listing[T]:
    return _TerminalListing(console_on(out), columns)


def console_on(out: TextIO) -> "Console":
    from rich.console import Console  # noqa: PLC0415  (for terminals alone)

    return Console(file=out, highlight=False, markup=False, emoji=False)


def terminal_table(columns: Columns[T], rows: Sequence[T], title: str = "") -> object:
    """A table that rich can print. Its cells are texts, in which markup means nothing."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  (as above)
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    head = Text(harmless(title)) if title else None
    table = Table(title=head, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column.heading, justify="right" if column.right else "left", overflow="fold")
    for row in rows:
        cells = [
            Text(harmless(column.value(row)), style=column.style(row) if column.style else "") for column in columns
        ]
        table.add_row(*cells)
    return table


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
