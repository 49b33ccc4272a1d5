"""How far something is, on standard error, where somebody looks at it: bars, and lines that scroll by above them."""

import contextlib
from collections.abc import Iterator
from typing import Protocol

from cli.screen import Screen
from cli.tables import console_on
from cli.untrusted import harmless


class Bar(Protocol):
    """Shows how much is done."""

    def show(self, done: float, note: str = "") -> None: ...
    def line(self, text: str) -> None:
        """Something to read, which stays."""


class _Nothing:
    """Where nobody looks."""

    def show(self, done: float, note: str = "") -> None: ...
    def line(self, text: str) -> None: ...


@contextlib.contextmanager
def bar(screen: Screen, title: str, total: float | None, *, of_bytes: bool = False) -> Iterator[Bar]:
    """A bar as long as the block lasts. Without a total it only shows that something happens."""
    if not screen.shows_progress:
        yield _Nothing()
        return
    from rich.progress import (  # noqa: PLC0415  (for terminals alone)
        BarColumn,
        DownloadColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeElapsedColumn,
    )
    from rich.text import Text  # noqa: PLC0415

    amount = DownloadColumn() if of_bytes else TaskProgressColumn()
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        amount,
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console_on(screen.err), transient=True) as progress:
        task = progress.add_task(harmless(title), total=total, note="")

        class _Shown:
            def show(self, done: float, note: str = "") -> None:
                progress.update(task, completed=done, note=harmless(note))

            def line(self, text: str) -> None:
                progress.console.print(Text(harmless(text)))

        yield _Shown()
