"""One process of a stack: how it starts, how one knows that it is ready, and when it stops."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import ClassVar, Final

from stack.errors import StackError

TETHER: Final = Path(__file__).with_name("tether.py")
TAIL_BYTES: Final = 2000
POLL_SECONDS: Final = 0.02
BARE_ENVIRONMENT: Final = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
"""All that servers which are no part of this project are told."""


class Stage(IntEnum):
    """The order in which the parts of a stack are stopped; those of one stage together."""

    WORK = 0
    FRONT = 1
    STORE = 2


@dataclass(frozen=True)
class Command:
    """A program to run."""

    arguments: Sequence[str | Path]
    output: Path
    """The file to which what it prints is added."""
    environment: Mapping[str, str] = field(default_factory=lambda: BARE_ENVIRONMENT)
    death_signal: signal.Signals = signal.SIGKILL
    """What it gets when the supervisor is gone."""
    user: str = ""
    """Who root hands it to. Empty keeps the user."""
    any_file: bool = False
    """Whether that user must go through folders that are closed to it."""


class Part(ABC):
    """A process that the supervisor keeps running."""

    name: str
    needs: tuple[str, ...] = ()
    """Parts that must be ready before it starts; those that the stack does not have count as ready."""
    stage: ClassVar[Stage] = Stage.WORK
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    ready_seconds: ClassVar[float] = 60
    """How long it may take to become ready."""

    @property
    def needs_again(self) -> tuple[str, ...]:
        """Those that must be ready before it is started again."""
        return self.needs

    @abstractmethod
    async def prepare(self) -> Command:
        """Puts in place what the process needs, before every start."""

    @abstractmethod
    async def check(self, process: asyncio.subprocess.Process) -> None:
        """Returns when it is ready; any exception means: not yet."""

    async def furnish(self) -> None:  # noqa: B027  (most have nothing to add)
        """Puts in it what others expect there, every time it has become ready and before they are told so.

        Raises:
          StackError: it could not.
        """

    async def leave(self) -> None:  # noqa: B027  (most have nothing to do)
        """Called when the stack begins to stop, before any signal."""


def module(name: str) -> tuple[str, ...]:
    """The command line of one of our modules. Whatever lies in the working directory, a name like ours there hides none."""
    return (sys.executable, "-P", "-m", name)


async def spawn(command: Command, *, keep_open: int = -1) -> asyncio.subprocess.Process:
    """Starts it in a session of its own, so that a Ctrl-C reaches the supervisor alone, which knows the order."""
    with command.output.open("ab") as output:
        return await asyncio.create_subprocess_exec(
            *tethered(command),
            env=dict(command.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(keep_open,) if keep_open >= 0 else (),
        )


def tethered(command: Command) -> list[str | Path]:
    """The command's arguments, to be started so that it ends with this process."""
    tether = (sys.executable, "-I", "-S", TETHER, str(int(command.death_signal)), str(os.getpid()))
    return [*tether, command.user, "any" if command.any_file else "own", "--", *command.arguments]


async def run(command: Command) -> None:
    """Runs a program to its end.

    Raises:
      StackError: it failed; with the end of what it printed.
    """
    process = await spawn(command)
    try:
        code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code:
        raise StackError(f"{Path(command.arguments[0]).name} failed: {tail(command.output)}")


async def until_ready(part: Part, process: asyncio.subprocess.Process, output: Path) -> None:
    """Returns once the part is ready.

    Raises:
      StackError: the process ended first, or its time ran out.
    """
    deadline = time.monotonic() + part.ready_seconds
    while True:
        try:
            async with asyncio.timeout(5):
                await part.check(process)
        except Exception as error:  # noqa: BLE001  (whatever a check of something not ready raises)
            problem = str(error) or type(error).__name__
        else:
            return
        if process.returncode is not None:
            raise StackError(f"{part.name} {ending(process.returncode)} before it was ready.\n{tail(output)}")
        if time.monotonic() > deadline:
            raise StackError(f"{part.name} was not ready after {part.ready_seconds:.0f} s: {problem}\n{tail(output)}")
        with contextlib.suppress(TimeoutError):  # sees at once when it ends
            async with asyncio.timeout(POLL_SECONDS):
                await process.wait()


def ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def tail(output: Path) -> str:
    """The end of what a program printed, from the beginning of a line."""
    with output.open("rb") as file:
        file.seek(max(0, output.stat().st_size - TAIL_BYTES))
        text = file.read().decode("utf-8", "replace")
    return (text.partition("\n")[2] if len(text) >= TAIL_BYTES else text).strip() + f"\n(from {output})"


async def ask(host: str, port: int, request: bytes, answer: bytes) -> None:
    """Raises unless a server answers `request`, which must end the conversation, with `answer` somewhere in it."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(request)
        got = await reader.read()
    finally:
        writer.close()
    if answer not in got:
        raise ConnectionError(f"port {port} answered {got[:80]!r}")
