"""The model's jobs: enqueued, claimed, settled, steered, cleaned, stalled; and what must agree after each step."""

import asyncio
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from base.settings import Settings
from contract.catalog import Catalog
from contract.errors import JobServiceError, RequestIdConflictError
from contract.new_job import NewJob
from engine.claims import Claims, Reaped
from engine.jobs import ClaimedJob, Enqueued, JobQuery, Outcome, Settlement, State
from engine.store import Store
from tests.engine.conftest import QUEUE, Engine, engine_on, job
from tests.engine.indexes import assert_indexes_agree

OWNERS = ("", "a\0b", "a")
WORDS = ("hay", "needle in hay")
FINISHED = {State.COMPLETED: "completed", State.FAILED: "failed", State.CANCELLED: "cancelled"}
ATTEMPTS = 2
TWO_HOURS = 7_200_000
_runs = iter(range(10**9))


@dataclass
class ModelJob:
    """What the model knows of a job."""

    id: str
    state: State
    place: tuple[int, int]
    """Its turn among the waiting ones: higher priority first, then first in."""
    created: int
    """Milliseconds, by the store."""
    type: str = "noop"
    owner: str = ""
    text: str = WORDS[0]
    keep: int = 0
    fails: int = 0
    stalls: int = 0
    ended: int = 0
    """Which of all ends its own was."""
    stays: bool = False
    """It has ended, and has a stay of its own that goes on."""
    history: list[State] = field(default_factory=list)
    """Every state that it has been in, in order."""


class JobsMachine(RuleBasedStateMachine):
    """The model: the jobs, and who holds which under which fence."""

    base: Settings
    catalog: Catalog

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.settings = self.base.model_copy(update={"redis_key_prefix": f"{self.base.redis_key_prefix}.{next(_runs)}"})
        self.store = self.run(Store.open(self.settings))
        self.engine: Engine = engine_on(self.store, self.settings, self.catalog)
        self.jobs: dict[str, ModelJob] = {}
        self.limit = 1
        """The most active jobs of one owner."""
        self.requests: dict[bytes, tuple[str, bytes]] = {}
        self.held: dict[str, tuple[str, ClaimedJob]] = {}
        self.stale: list[tuple[str, ClaimedJob]] = []
        self.paused = False
        self.number = 0
        self.ended = dict.fromkeys(FINISHED, 0)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.engine.hub.close())
            self.run(self.store.close())
            self.runner.close()

    def add(self, new: NewJob, enqueued: Enqueued, state: State, **about: Any) -> None:
        """A job that the engine has taken just now."""
        self.jobs[new.id] = ModelJob(
            new.id, state, (-new.priority, self.number), enqueued.created, new.type, new.owner, history=[state], **about
        )
        self.number += 1

    def move(self, job_id: str, state: State) -> None:
        one = self.jobs[job_id]
        one.state = state
        one.history.append(state)
        if state.finished:
            self.ended[state] += 1
            one.ended = sum(self.ended.values())
            one.stays = bool(one.keep)

    def worker(self, name: str, **settings: Any) -> Claims:
        policy = replace(self.catalog.queue(QUEUE), family="export")
        return self.engine.worker_of(policy, name, export_max_per_user=self.limit, **settings)

    def in_state(self, *states: State) -> list[str]:
        return [one.id for one in self.jobs.values() if one.state in states]

    def reaped(self, **settings: Any) -> Reaped:
        """Housekeeping, once every stay of a millisecond has ended."""

        async def reap() -> Reaped:
            began = await self._clock()
            while await self._clock() < began + 3:
                await asyncio.sleep(0)
            return await self.worker("w1", **settings).reap()

        found: Reaped = self.run(reap())
        for one in self.jobs.values():
            one.stays &= one.keep == TWO_HOURS
        return found

    async def _clock(self) -> int:
        """The store's, in milliseconds."""
        client: Any = self.store.client
        answer = await client.eval("return redis.call('TIME')", 1, self.store.keys(QUEUE)["meta"])
        return int(answer[0]) * 1000 + int(answer[1]) // 1000

    def _next(self, n: int) -> set[str]:
        """The first `n` waiting jobs whose owners have room."""
        active = Counter(self.jobs[job_id].owner for job_id in self.in_state(State.ACTIVE))
        chosen: set[str] = set()
        for one in sorted((self.jobs[job_id] for job_id in self.in_state(State.WAITING)), key=lambda one: one.place):
            if len(chosen) < n and (not self.limit or active[one.owner] < self.limit):
                active[one.owner] += 1
                chosen.add(one.id)
        return chosen

    @rule(
        priority=st.integers(-3, 3),
        later=st.booleans(),
        count=st.integers(1, 4),
        keep=st.sampled_from([0, 1, TWO_HOURS]),
        owner=st.sampled_from(OWNERS),
        word=st.sampled_from(["noop", "script"]),
        text=st.sampled_from(WORDS),
    )
    def enqueue(self, priority: int, later: bool, count: int, keep: int, owner: str, word: str, text: str) -> None:
        about = {"priority": priority, "delay": 600_000 * later, "owner": owner, "retention": keep, "type": word}
        new = [job(f"m{self.number + n}", attempts=ATTEMPTS, payload=text.encode(), **about) for n in range(count)]
        for one, enqueued in zip(new, self.run(self.engine.add(*new)), strict=True):
            self.add(one, enqueued, State.DELAYED if later else State.WAITING, keep=keep, text=text)

    @rule(request=st.sampled_from([b"r1", b"r2"]), digest=st.sampled_from([b"one", b"two"]))
    def ask(self, request: bytes, digest: bytes) -> None:
        new = job(f"m{self.number}", attempts=ATTEMPTS, request=request, request_digest=digest)
        first, asked = self.requests.setdefault(request, (new.id, digest))
        if asked != digest:
            with pytest.raises(RequestIdConflictError):
                self.run(self.engine.intake.enqueue(new))
            return
        found = self.run(self.engine.intake.enqueue(new))
        assert (found.id, found.duplicate) == (first, first != new.id)
        if not found.duplicate:
            self.add(new, found, State.WAITING)
        before = self.jobs.get(first)
        assert found.state == (before.state if before else None)

    @rule(worker=st.sampled_from(["w1", "w2"]), n=st.integers(1, 3))
    def claim(self, worker: str, n: int) -> None:
        claimed = self.run(self.worker(worker).claim(n)).jobs
        assert {one.id for one in claimed} == (set() if self.paused else self._next(n))
        for one in claimed:
            self.move(one.id, State.ACTIVE)
            self.held[one.id] = (worker, one)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from(list(Outcome)), next_ones=st.integers(0, 2))
    def settle(self, data: st.DataObject, outcome: Outcome, next_ones: int) -> None:
        """And claims in the same call, as workers do."""
        job_id = data.draw(st.sampled_from(sorted(self.held)))
        worker, claimed = self.held.pop(job_id)
        self.stale.append((worker, claimed))
        one = self.jobs[job_id]
        delay = 600_000 if outcome in {Outcome.SNOOZE, Outcome.UNKNOWN} else 0
        settlement = Settlement(job_id, claimed.fence, outcome, reason="r", delay=delay)
        answer = self.run(self.worker(worker).settle([settlement], next_ones))
        assert answer.lost == {}
        if outcome in {Outcome.FAIL, Outcome.FAIL_FOR_GOOD}:
            one.fails += 1
        match outcome:
            case Outcome.COMPLETE:
                self.move(job_id, State.COMPLETED)
            case Outcome.FAIL_FOR_GOOD:
                self.move(job_id, State.FAILED)
            case Outcome.FAIL:
                self.move(job_id, State.FAILED if one.fails >= ATTEMPTS else State.WAITING)
            case Outcome.RELEASE:
                self.move(job_id, State.WAITING)
            case _:
                self.move(job_id, State.DELAYED)
        assert {one.id for one in answer.jobs} == (set() if self.paused or not next_ones else self._next(next_ones))
        for one in answer.jobs:
            self.move(one.id, State.ACTIVE)
            self.held[one.id] = (worker, one)

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def settle_stale(self, data: st.DataObject) -> None:
        worker, claimed = data.draw(st.sampled_from(self.stale))
        settlement = Settlement(claimed.id, claimed.fence, Outcome.COMPLETE)
        assert self.run(self.engine.worker(worker).settle([settlement], 0)).lost.keys() == {claimed.id}

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), action=st.sampled_from(["cancel", "retry", "promote", "delete"]))
    def steer(self, data: st.DataObject, action: str) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.jobs)))
        admits = ADMITS[action] | ({State.CANCELLED} if action == "cancel" else set())
        steered = getattr(self.engine.steering, action)(QUEUE, job_id)
        if self.jobs[job_id].state not in admits:
            with pytest.raises(JobServiceError):
                self.run(steered)
            return
        self.run(steered)
        if self.jobs[job_id].state in ADMITS[action]:
            self.changed(action, job_id)

    def changed(self, action: str, job_id: str) -> None:
        """What an action makes of a job whose state admits it."""
        match action:
            case "cancel":
                self.move(job_id, State.CANCELLED)
                if job_id in self.held:
                    self.stale.append(self.held.pop(job_id))
            case "retry":
                one = self.jobs[job_id]
                self.move(job_id, State.WAITING)
                one.fails, one.stalls, one.stays = 0, 0, False
                one.place = (one.place[0], self.number)
                self.number += 1
            case "promote":
                self.move(job_id, State.WAITING)
            case "delete":
                self.forget(job_id)

    def forget(self, *names: str) -> None:
        """The jobs are removed."""
        for job_id in names:
            del self.jobs[job_id]

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.run(self.engine.steering.pause(QUEUE) if paused else self.engine.steering.resume(QUEUE))
        self.paused = paused

    @rule()
    def clean(self) -> None:
        self.run(self.engine.steering.clean(QUEUE, 0))
        self.forget(*self.in_state(*FINISHED))

    @rule()
    def reap(self) -> None:
        reaped = self.reaped()
        assert (reaped.stalled, reaped.forgotten) == ((), 0)

    @precondition(lambda self: self.in_state(State.DELAYED))
    @rule(data=st.data())
    def come_due(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(self.in_state(State.DELAYED)))
        self.run(self.store.client.zadd(self.store.keys(QUEUE)["delayed"], {job_id: 1}))
        self.reap()
        self.move(job_id, State.WAITING)

    @rule(limit=st.integers(0, 2))
    def restart_with_another_limit(self, limit: int) -> None:
        self.limit = limit
        self.reap()

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def stall(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.held)))
        self.stale.append(self.held.pop(job_id))
        self.run(self.store.client.zadd(self.store.keys(QUEUE)["active"], {job_id: 1}))
        assert self.reaped().stalled == (job_id,)
        self.jobs[job_id].stalls += 1
        self.move(job_id, State.WAITING if self.jobs[job_id].stalls < 3 else State.FAILED)

    @invariant()
    def counts_and_jobs_agree_with_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        stats = self.run(self.engine.stats())
        states = [one.state for one in self.jobs.values()]
        assert stats.counts == {state: states.count(state) for state in State}
        assert stats.totals == self.ended
        page = self.run(self.engine.inspection.page(QUEUE, JobQuery(), size=500))
        found = {one.id: (one.state, one.fails) for one in page.jobs}
        assert found == {one.id: (one.state, one.fails) for one in self.jobs.values()}
        self.run(assert_indexes_agree(self.store))
        ready = {one.id: one.ready for one in page.jobs if one.state is State.WAITING}
        assert self.run(self._scores("ready")) == ready
        wait, parked, by_owner = (self.run(self._scores(name)) for name in ("wait", "parked", "parked_owners"))
        assert wait.keys() | parked.keys() == ready.keys()
        assert len(wait) + len(parked) == len(ready)
        assert stats.set_aside == len(parked) == len(by_owner)
        turns = Counter(self.jobs[job_id].owner for job_id in (*wait, *self.in_state(State.ACTIVE)))
        assert all(self.limit and turns[self.jobs[job_id].owner] >= self.limit for job_id in parked), "none is stranded"
        ended = [one for one in page.jobs if one.state.finished]
        for state, name in FINISHED.items():
            for key, stays in ((name, False), (f"staying_{name}", True)):
                ends = {job_id: score // 1024 for job_id, score in self.run(self._scores(key)).items()}
                those = [one for one in ended if one.state is state and self.jobs[one.id].stays is stays]
                assert ends == {one.id: one.finished for one in those}
        assert self.run(self._scores("retained")) == {
            one.id: one.finished + self.jobs[one.id].keep for one in ended if self.jobs[one.id].stays
        }
        assert self.run(self._scores("request_times")).keys() == {name.decode() for name in self.requests}

    async def _scores(self, name: str) -> dict[str, int]:
        entries: Any = await self.store.client.zrange(self.store.keys(QUEUE)[name], 0, -1, withscores=True)
        return {name.decode(): int(score) for name, score in entries}


ADMITS = {
    "cancel": {State.WAITING, State.DELAYED, State.ACTIVE},
    "retry": {State.FAILED, State.CANCELLED},
    "promote": {State.DELAYED},
    "delete": set(State) - {State.ACTIVE},
}
