"""Keeps the parts of a stack running: starts them as they need one another, restarts what dies, stops them in order."""

import asyncio
import contextlib
import signal
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from base.cancelling import cancel
from stack.errors import StackError
from stack.part import Part, Stage, ending, spawn, until_ready

FIRST_PAUSE: Final = 0.25
"""Seconds before a part that died is started again; doubles each time."""
LONGEST_PAUSE: Final = 10.0
SETTLED_SECONDS: Final = 30.0
"""A part that ran so long begins with the first pause again when it dies."""
CANCEL_SECONDS: Final = 1.0
"""How long a task may take to end before it is cancelled once more."""
STOP_SECONDS: Final = {Stage.WORK: 4.0, Stage.FRONT: 2.0, Stage.STORE: 3.0}
"""How long a stage may take to stop before it is killed; the first has its jobs' time besides."""


class Supervisor:
    """Runs a stack. `say` gets one line of state at a time, with the name of its part."""

    def __init__(
        self, parts: Sequence[Part], *, members_lock: int, grace: float, say: Callable[[str, str], None]
    ) -> None:
        self._parts = parts
        self._members_lock = members_lock
        self._grace = grace
        """Seconds that running jobs have to end once the stack stops."""
        self._say = say
        self._stop = asyncio.Event()
        self._ready = {part.name: asyncio.Event() for part in parts}
        self._processes: dict[str, Process] = {}

    async def run(self, body: Callable[[], Awaitable[None]]) -> None:
        """Starts all parts, then runs `body`; stops all parts in order once it ends, or SIGTERM or SIGINT comes.

        Raises:
          StackError: a part could not be started.
        """
        self._catch_signals()
        main = asyncio.ensure_future(self._once_ready(body))
        stop = asyncio.ensure_future(self._stop.wait())
        tasks = [main, stop, *(asyncio.ensure_future(self._keep(part)) for part in self._parts)]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            await cancel(*tasks, again_seconds=CANCEL_SECONDS)
            await self._drain()

    def _catch_signals(self) -> None:
        """Any number of these signals means the same: one Ctrl-C may come by more than one way."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
            loop.add_signal_handler(signal.SIGHUP, self._stop.set)

    async def _once_ready(self, body: Callable[[], Awaitable[None]]) -> None:
        for event in self._ready.values():
            await event.wait()
        await body()

    async def _keep(self, part: Part) -> None:
        """Starts one part, and again whenever it ends, until it is cancelled. Its first start must succeed."""
        pause, started = 0.0, False
        while True:
            for name in part.needs_again if started else part.needs:
                if name in self._ready:
                    await self._ready[name].wait()
            began = time.monotonic()
            try:
                process = await self._start(part)
            except (StackError, OSError) as error:
                if not started:
                    raise
                problem = str(error)
            else:
                self._say(
                    part.name, f"ready again (process {process.pid})" if started else f"ready (process {process.pid})"
                )
                started = True
                self._ready[part.name].set()
                problem = ending(await process.wait())
                self._ready[part.name].clear()
            last, lived = pause, time.monotonic() - began
            pause = FIRST_PAUSE if lived > SETTLED_SECONDS else min(2 * pause or FIRST_PAUSE, LONGEST_PAUSE)
            if pause != last:  # once it takes the longest pause each time, that was said
                self._say(part.name, f"{problem}; starts again in {pause:g} s")
            await asyncio.sleep(pause)

    async def _start(self, part: Part) -> Process:
        command = await part.prepare()
        process = self._processes[part.name] = await spawn(command, keep_open=self._members_lock)
        try:
            await until_ready(part, process, command.output)
            await part.furnish()
        except StackError:
            await _kill(process)
            raise
        return process

    async def _drain(self) -> None:
        """Stops all parts, the ones that others need last."""
        for part in self._parts:
            if _lives(self._processes.get(part.name)):
                with contextlib.suppress(Exception):  # whatever it could have done first: it will be stopped
                    async with asyncio.timeout(1):
                        await part.leave()
        for stage in Stage:
            parts = [part for part in self._parts if part.stage is stage]
            seconds = STOP_SECONDS[stage] + (self._grace if stage is Stage.WORK else 0)
            await asyncio.gather(*(self._end(part, seconds) for part in parts))

    async def _end(self, part: Part, seconds: float) -> None:
        process = self._processes.get(part.name)
        if process is None or not _lives(process):
            return
        began = time.monotonic()
        process.send_signal(part.stop_signal)
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
            self._say(part.name, f"stopped after {time.monotonic() - began:.1f} s")
        except TimeoutError:
            await _kill(process)
            self._say(part.name, f"killed: it did not end within {seconds:g} s")


def _lives(process: Process | None) -> bool:
    return process is not None and process.returncode is None


async def _kill(process: Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
