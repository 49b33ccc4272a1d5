"""Tables: ruled and coloured on a terminal, aligned plain text elsewhere."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TextIO, TypeVar

from cli.columns import Columns
from cli.untrusted import harmless

if TYPE_CHECKING:
    from rich.console import Console

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


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
