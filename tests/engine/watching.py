"""Watchers of jobs that collect what they are told in the background."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from engine.events import Told, Watched
from tests.conftest import eventually

from .conftest import QUEUE, Engine


class Watcher:
    """Collects what a watcher of a job gets, in the background."""

    def __init__(self, engine: Engine, job_id: str, after: str = "", heartbeat: float = 15) -> None:
        self.got: list[Watched] = []
        self.task = asyncio.create_task(self._run(engine, job_id, after, heartbeat))

    async def _run(self, engine: Engine, job_id: str, after: str, heartbeat: float) -> None:
        async with contextlib.aclosing(engine.hub.watch(QUEUE, job_id, after, heartbeat)) as changes:
            async for change in changes:
                self.got.append(change)

    @property
    def events(self) -> list[Watched]:
        return [one for one in self.got if one.kind is not Told.HEARTBEAT]

    async def until(self, count: int) -> None:
        await eventually(lambda: len(self.got) >= count, what=f"{count} events")

    async def end(self) -> None:
        async with asyncio.timeout(10):
            await self.task


@contextlib.asynccontextmanager
async def watching(engine: Engine, job_id: str, after: str = "", heartbeat: float = 15) -> AsyncIterator[Watcher]:
    watcher = Watcher(engine, job_id, after, heartbeat)
    try:
        yield watcher
    finally:
        watcher.task.cancel()
        await asyncio.gather(watcher.task, return_exceptions=True)
