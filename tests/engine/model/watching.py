"""Watches of jobs against the model's history of them."""

import asyncio
import contextlib

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from engine.events import Told, Watched
from engine.jobs import State
from tests.engine.conftest import QUEUE
from tests.engine.model.jobs import JobsMachine, ModelJob

SECONDS = 30.0
"""Within which a watcher hears of what has been done."""


class Watcher:
    """One watch, and what it was told so far."""

    def __init__(self, one: ModelJob) -> None:
        self.job = one
        self.begun = len(one.history) - 1
        """Where in the job's history."""
        self.told: list[Watched] = []
        self.more = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def states(self) -> list[State | None]:
        return [each.state for each in self.told]

    @property
    def ended(self) -> bool:
        return bool(self.told) and self.told[-1].kind is Told.END


class WatchingMachine(JobsMachine):
    def begin_watching(self) -> None:
        if not hasattr(self, "watchers"):
            self.watchers: list[Watcher] = []
            self.gone: set[str] = set()

    def forget(self, *names: str) -> None:
        super().forget(*names)
        self.begin_watching()
        self.gone.update(names)

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def watch(self, data: st.DataObject) -> None:
        self.begin_watching()
        watcher = Watcher(self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))])
        self.watchers.append(watcher)

        async def follow() -> None:
            async with contextlib.aclosing(self.engine.hub.watch(QUEUE, watcher.job.id, heartbeat=5)) as watched:
                async for each in watched:
                    if each.kind is not Told.HEARTBEAT:
                        watcher.told.append(each)
                        watcher.more.set()

        async def begin() -> None:
            watcher.task = asyncio.create_task(follow())
            await asyncio.wait_for(watcher.more.wait(), SECONDS)

        self.run(begin())
        first = watcher.told[0]
        assert first.state == watcher.job.state
        assert first.kind is (Told.END if watcher.job.state.finished else Told.SNAPSHOT)

    @precondition(lambda self: bool(getattr(self, "watchers", None)))
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        """A watcher is told every state since it began, once and in order, up to the end."""
        watcher = self.watchers.pop(data.draw(st.integers(0, len(self.watchers) - 1)))
        self.run(self._told_all(watcher))

    async def _told_all(self, watcher: Watcher) -> None:
        expected = self._expected(watcher)
        ends = expected[-1] is None or expected[-1].finished
        assert watcher.task is not None
        async with asyncio.timeout(SECONDS):
            while not (watcher.ended if ends else len(watcher.told) >= len(expected)):
                watcher.more.clear()
                await watcher.more.wait()
        if not watcher.ended:
            watcher.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watcher.task
        assert watcher.states == expected
        sequences = [each.sequence for each in watcher.told]
        assert len(set(sequences)) == len(sequences), "nothing is told twice"
        assert watcher.ended is ends

    def _expected(self, watcher: Watcher) -> list[State | None]:
        states: list[State | None] = []
        for state in watcher.job.history[watcher.begun :]:
            states.append(state)
            if state.finished:
                return states
        return [*states, None] if watcher.job.id in self.gone else states

    def teardown(self) -> None:
        for watcher in getattr(self, "watchers", ()):
            if watcher.task is not None:
                watcher.task.cancel()
        super().teardown()
