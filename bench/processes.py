"""The processes of a measurement: started on the loopback interface, and ended by their own ids."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from base.settings import PROJECT
from stack.part import BARE_ENVIRONMENT
from stack.tether import end_with_parent

ENVIRONMENT: Final = {
    **BARE_ENVIRONMENT,
    "PYTHONPATH": ":".join(str(PROJECT / root) for root in (".", "gen", "tests/plugin")),
}
STOP_SECONDS: Final = 15
PROGRAM_SECONDS: Final = 120


class ProgramFailedError(Exception):
    """A program of the benchmark did not do what it is for; the message is what it said."""


class Processes:
    """What one measurement has started. Leaving it ends them, the last one first."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.environment = dict(environment or ENVIRONMENT)
        self._folder = folder
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def start(self, name: str, *command: str | Path, ready: str = "") -> asyncio.subprocess.Process:
        """Starts one that runs until the end. With `ready`, returns once it has printed that line.

        What it prints is added to `<name>.out`, as a supervisor would keep it.
        """
        return await self._stack.enter_async_context(self._running(name, command, ready))

    @contextlib.asynccontextmanager
    async def _running(
        self, name: str, command: Sequence[str | Path], ready: str
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        with (self._folder / f"{name}.out").open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *command,
                env=self.environment,
                cwd=PROJECT,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if ready else output,
                stderr=output,
                preexec_fn=end_with_parent,
            )
        try:
            if ready:
                await _until_printed(process, ready, name)
            yield process
        finally:
            await _end(process)

    async def run(self, *command: str | Path, seconds: float = PROGRAM_SECONDS) -> dict[str, Any]:
        """Runs a program to its end; answers the JSON object that is its last line.

        Raises:
          ProgramFailedError: it failed, or took longer than `seconds`.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            env=self.environment,
            cwd=PROJECT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            preexec_fn=end_with_parent,
        )
        try:
            async with asyncio.timeout(seconds):
                said, problems = await process.communicate()
        except TimeoutError:
            raise ProgramFailedError(f"{_words(command)} did not end within {seconds:g} s") from None
        finally:
            await _end(process)
        if process.returncode != 0 or not said.strip():
            raise ProgramFailedError(f"{_words(command)} failed: {problems.decode()[-2000:]}")
        answer: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        return answer

    async def load(self, module: str, *arguments: object, seconds: float = PROGRAM_SECONDS) -> dict[str, Any]:
        """Runs one of this package's load generators in a process of its own."""
        return await self.run(sys.executable, "-m", f"bench.loads.{module}", *map(str, arguments), seconds=seconds)


async def _until_printed(process: asyncio.subprocess.Process, line: str, name: str) -> None:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while said := await process.stdout.readline():
            if said.strip() == line.encode():
                return
    raise ProgramFailedError(f"{name} ended before it was ready")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _words(command: Sequence[str | Path]) -> str:
    return " ".join(str(word) for word in command[:6])
