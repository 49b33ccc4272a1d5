"""Where a command prints: what was asked for on standard output; complaints, hints and how far it is on standard error."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TextIO, TypeVar

from google.protobuf.message import Message

from cli.exits import CommandError, Exit
from cli.output.formats import Formatter, Json, as_json, formatter
from cli.output.tables import Columns, Listing, PlainListing, console_on, terminal_listing
from cli.output.text import harmless

M = TypeVar("M", bound=Message)


class Screen:
    """Two streams and a format. All that it prints is made harmless here or in what it prints with."""

    def __init__(
        self, format_: str = "table", *, quiet: bool = False, out: TextIO | None = None, err: TextIO | None = None
    ) -> None:
        self.for_people = format_ == "table"
        self.quiet = quiet
        self.out = sys.stdout if out is None else out
        self.err = sys.stderr if err is None else err
        self._format = format_

    def say(self, text: str) -> None:
        """A sentence about what was done."""
        if self.for_people and not self.quiet:
            self._write(harmless(text) + "\n")

    def print(self, text: str) -> None:
        """Text that was asked for; the caller has made it harmless."""
        self._write(text + "\n")

    def hint(self, text: str) -> None:
        """What may help, beside what was asked for."""
        if not self.quiet:
            print(harmless(text), file=self.err, flush=True)

    def complain(self, text: str) -> None:
        self.flush()
        print(f"qjobs: {text}", file=self.err, flush=True)

    def one(self, message: Message, people: Callable[[], str]) -> None:
        """One message: for people as `people` words it, which must be harmless."""
        if self.for_people:
            self.print(people())
        else:
            self.record(as_json(message))

    def record(self, value: Json) -> None:
        """One thing, in a format for scripts."""
        self._write(formatter(self._format).single(value))

    @contextlib.contextmanager
    def listing(self, columns: Columns[M], empty: str) -> Iterator[Callable[[Sequence[M]], None]]:
        """Prints many messages, a page at a time; `empty` is what people read where there was none."""
        if not self.for_people:
            with self.stream() as write:

                def write_all(page: Sequence[M]) -> None:
                    for message in page:
                        write(as_json(message))

                yield write_all
            return
        table: Listing[M] = (
            terminal_listing(self.out, columns) if self.is_terminal else PlainListing(self._write, columns)
        )
        count = 0

        def show(page: Sequence[M]) -> None:
            nonlocal count
            count += len(page)
            if page:
                table.show(page)

        yield show
        if not count:
            self.hint(empty)

    @contextlib.contextmanager
    def stream(self) -> Iterator[Callable[[Json], None]]:
        """For scripts: things as they come. What has been written is well-formed also when the block ends early."""
        form: Formatter = formatter(self._format)
        first = True

        def write(value: Json) -> None:
            nonlocal first
            self._write(form.item(value, first=first))
            first = False

        try:
            yield write
        finally:
            self._write(form.end(empty=first))

    @property
    def is_terminal(self) -> bool:
        return self.out.isatty()

    @property
    def shows_progress(self) -> bool:
        return self.err.isatty() and not self.quiet

    def confirm(self, question: str, *, yes: bool) -> None:
        """Asks before what cannot be undone.

        Raises:
          CommandError: the answer was no, or nobody can be asked.
        """
        if yes:
            return
        if not (sys.stdin.isatty() and self.err.isatty()):
            raise CommandError(f"{harmless(question)} Nobody can be asked here: say --yes.", Exit.USAGE)
        if not _answer(f"{harmless(question)} [y/N] ", self.err):
            raise CommandError("Nothing was changed.", Exit.INTERRUPTED)

    def flush(self) -> None:
        self.out.flush()

    def _write(self, text: str) -> None:
        self.out.write(text)
        self.out.flush()


def _answer(question: str, err: TextIO) -> bool:
    """Whether the answer is yes; Ctrl-C and the end of input are none."""
    import signal  # noqa: PLC0415  (only where somebody is asked)

    # The event loop's own handler would wait for the answer.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        print(question, end="", file=err, flush=True)
        return sys.stdin.readline().strip().lower() in {"y", "yes"}
    finally:
        signal.signal(signal.SIGINT, before)


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
