"""Any sequence of what callers, workers and operators may do keeps the engine in step with a plain model of it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from base.settings import Settings
from engine.catalog import Catalog
from engine.claims import Claims
from engine.errors import JobServiceError, RequestIdConflictError
from engine.jobs import ClaimedJob, JobQuery, Outcome, Settlement, State
from engine.store import Store

from .conftest import QUEUE, Engine, engine_on, job
from .indexes import assert_indexes_agree

_runs = iter(range(10**9))
OWNERS = ("", "a\0b", "a")
FINISHED = {
    State.COMPLETED: "completed",
    State.FAILED: "failed",
    State.CANCELLED: "cancelled",
}


class EngineMachine(RuleBasedStateMachine):
    """The model: each job's state, failed attempts, owner, and who holds it under which fence."""

    base: Settings
    catalog: Catalog

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        settings = self.base.model_copy(update={"redis_key_prefix": f"{self.base.redis_key_prefix}.{next(_runs)}"})
        self.store = self.run(Store.open(settings))
        self.engine: Engine = engine_on(self.store, settings, self.catalog)
        self.states: dict[str, State] = {}
        self.fails: dict[str, int] = {}
        self.stalls: dict[str, int] = defaultdict(int)
        self.owners: dict[str, str] = {}
        self.limit = 1
        """The most active jobs of one owner."""
        self.order: list[tuple[int, int, str]] = []
        self.places: dict[str, tuple[int, int]] = {}
        self.keeps: dict[str, int] = {}
        self.requests: dict[bytes, tuple[str, bytes]] = {}
        self.held: dict[str, tuple[str, ClaimedJob]] = {}
        self.stale: list[tuple[str, ClaimedJob]] = []
        self.paused = False
        self.number = 0
        self.ended = {State.COMPLETED: 0, State.FAILED: 0, State.CANCELLED: 0}

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.run(self.store.close())
            self.runner.close()

    def _end(self, job_id: str, state: State) -> None:
        self.states[job_id] = state
        self.ended[state] += 1

    def _worker(self, name: str) -> Claims:
        policy = replace(self.catalog.queue(QUEUE), family="export")
        return self.engine.worker_of(policy, name, export_max_per_user=self.limit)

    def _in(self, state: State) -> list[str]:
        return [job_id for job_id, now in self.states.items() if now is state]

    def _next(self, n: int) -> set[str]:
        """The first `n` waiting jobs whose owners have room."""
        active = Counter(self.owners[job_id] for job_id in self._in(State.ACTIVE))
        chosen: set[str] = set()
        for job_id in sorted(self._in(State.WAITING), key=lambda job_id: self.places[job_id]):
            owner = self.owners[job_id]
            if len(chosen) < n and (not self.limit or active[owner] < self.limit):
                active[owner] += 1
                chosen.add(job_id)
        return chosen

    @rule(
        priority=st.integers(-3, 3),
        later=st.booleans(),
        count=st.integers(1, 4),
        keep=st.sampled_from([0, 7_200_000]),
        owner=st.sampled_from(OWNERS),
    )
    def enqueue(self, priority: int, later: bool, count: int, keep: int, owner: str) -> None:
        about = {"priority": priority, "delay": 600_000 * later, "owner": owner, "retention": keep}
        jobs = [job(f"m{self.number + n}", attempts=2, **about) for n in range(count)]
        self.run(self.engine.add(*jobs))
        for one in jobs:
            self.keeps[one.id] = keep
            self.states[one.id] = State.DELAYED if later else State.WAITING
            self.fails[one.id] = 0
            self.owners[one.id] = owner
            self.places[one.id] = (-priority, self.number)
            self.number += 1

    @rule(request=st.sampled_from([b"r1", b"r2"]), digest=st.sampled_from([b"one", b"two"]))
    def ask(self, request: bytes, digest: bytes) -> None:
        new = job(f"m{self.number}", attempts=2, request=request, request_digest=digest)
        first, asked = self.requests.setdefault(request, (new.id, digest))
        if asked != digest:
            with pytest.raises(RequestIdConflictError):
                self.run(self.engine.intake.enqueue(new))
            return
        found = self.run(self.engine.intake.enqueue(new))
        assert (found.id, found.duplicate) == (first, first != new.id)
        assert found.state == (self.states.get(first) if found.duplicate else State.WAITING)
        if not found.duplicate:
            self.states[new.id], self.fails[new.id], self.keeps[new.id] = State.WAITING, 0, 0
            self.owners[new.id], self.places[new.id] = new.owner, (0, self.number)
            self.number += 1

    @rule(worker=st.sampled_from(["w1", "w2"]), n=st.integers(1, 3))
    def claim(self, worker: str, n: int) -> None:
        claimed = self.run(self._worker(worker).claim(n)).jobs
        assert {one.id for one in claimed} == (set() if self.paused else self._next(n))
        for one in claimed:
            self.states[one.id] = State.ACTIVE
            self.held[one.id] = (worker, one)

    @precondition(lambda self: self.held)
    @rule(data=st.data(), outcome=st.sampled_from(list(Outcome)))
    def settle(self, data: st.DataObject, outcome: Outcome) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.held)))
        worker, claimed = self.held.pop(job_id)
        self.stale.append((worker, claimed))
        delay = 600_000 if outcome in {Outcome.SNOOZE, Outcome.UNKNOWN} else -1
        settlement = Settlement(job_id, claimed.fence, outcome, reason="r", delay=delay)
        assert self.run(self._worker(worker).settle([settlement], 0)).lost == {}
        match outcome:
            case Outcome.COMPLETE:
                self._end(job_id, State.COMPLETED)
            case Outcome.FAIL_FOR_GOOD:
                self.fails[job_id] += 1
                self._end(job_id, State.FAILED)
            case Outcome.FAIL:
                self.fails[job_id] += 1
                if self.fails[job_id] >= 2:
                    self._end(job_id, State.FAILED)
                else:
                    self.states[job_id] = State.WAITING
            case Outcome.RELEASE:
                self.states[job_id] = State.WAITING
            case _:
                self.states[job_id] = State.DELAYED

    @precondition(lambda self: self.stale)
    @rule(data=st.data())
    def settle_stale(self, data: st.DataObject) -> None:
        worker, claimed = data.draw(st.sampled_from(self.stale))
        settlement = Settlement(claimed.id, claimed.fence, Outcome.COMPLETE)
        assert self.run(self.engine.worker(worker).settle([settlement], 0)).lost.keys() == {claimed.id}

    @precondition(lambda self: self.states)
    @rule(data=st.data(), action=st.sampled_from(["cancel", "retry", "promote", "delete"]))
    def steer(self, data: st.DataObject, action: str) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.states)))
        before = self.states[job_id]
        admits = {
            "cancel": {State.WAITING, State.DELAYED, State.ACTIVE, State.CANCELLED},
            "retry": {State.FAILED, State.CANCELLED},
            "promote": {State.DELAYED},
            "delete": set(State) - {State.ACTIVE},
        }[action]
        if before not in admits:
            with pytest.raises(JobServiceError):
                self.run(getattr(self.engine.steering, action)(QUEUE, job_id))
            return
        self.run(getattr(self.engine.steering, action)(QUEUE, job_id))
        match action:
            case "cancel" if before is not State.CANCELLED:
                self._end(job_id, State.CANCELLED)
                if job_id in self.held:
                    self.stale.append(self.held.pop(job_id))
            case "retry":
                self.states[job_id], self.fails[job_id], self.stalls[job_id] = State.WAITING, 0, 0
                self.places[job_id] = (self.places[job_id][0], self.number)
                self.number += 1
            case "promote":
                self.states[job_id] = State.WAITING
            case "delete":
                del self.states[job_id]

    @rule(paused=st.booleans())
    def pause(self, paused: bool) -> None:
        self.run(self.engine.steering.pause(QUEUE) if paused else self.engine.steering.resume(QUEUE))
        self.paused = paused

    @rule()
    def clean(self) -> None:
        self.run(self.engine.steering.clean(QUEUE, 0))
        self.states = {job_id: state for job_id, state in self.states.items() if not state.finished}

    @rule()
    def reap(self) -> None:
        reaped = self.run(self._worker("w1").reap())
        assert (reaped.stalled, reaped.forgotten) == ((), 0)

    @precondition(lambda self: self._in(State.DELAYED))
    @rule(data=st.data())
    def come_due(self, data: st.DataObject) -> None:
        job_id = data.draw(st.sampled_from(self._in(State.DELAYED)))
        self.run(self.store.client.zadd(self.store.keys(QUEUE)["delayed"], {job_id: 1}))
        self.reap()
        self.states[job_id] = State.WAITING

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
        assert self.run(self._worker("w1").reap()).stalled == (job_id,)
        self.stalls[job_id] += 1
        if self.stalls[job_id] < 3:
            self.states[job_id] = State.WAITING
        else:
            self._end(job_id, State.FAILED)

    @invariant()
    def counts_and_jobs_agree_with_the_model(self) -> None:
        if not hasattr(self, "store"):
            return
        stats = self.run(self.engine.stats())
        states = list(self.states.values())
        assert stats.counts == {state: states.count(state) for state in State}
        assert stats.totals == self.ended
        page = self.run(self.engine.inspection.page(QUEUE, JobQuery(), size=500))
        found = {one.id: (one.state, one.fails) for one in page.jobs}
        assert found == {job_id: (state, self.fails[job_id]) for job_id, state in self.states.items()}
        self.run(assert_indexes_agree(self.store))
        ready = {one.id: one.ready for one in page.jobs if one.state is State.WAITING}
        assert self.run(self._scores("ready")) == ready
        wait, parked, by_owner = (self.run(self._scores(name)) for name in ("wait", "parked", "parked_owners"))
        assert wait.keys() | parked.keys() == ready.keys()
        assert len(wait) + len(parked) == len(ready)
        assert stats.set_aside == len(parked) == len(by_owner)
        turns = Counter(self.owners[job_id] for job_id in (*wait, *self._in(State.ACTIVE)))
        assert all(self.limit and turns[self.owners[job_id]] >= self.limit for job_id in parked), "none is stranded"
        ended = [one for one in page.jobs if one.state.finished]
        for state, name in FINISHED.items():
            for key, stays in ((name, False), (f"staying_{name}", True)):
                ends = {job_id: score // 1024 for job_id, score in self.run(self._scores(key)).items()}
                those = [one for one in ended if one.state is state and bool(self.keeps[one.id]) is stays]
                assert ends == {one.id: one.finished for one in those}
        assert self.run(self._scores("retained")) == {
            one.id: one.finished + self.keeps[one.id] for one in ended if self.keeps[one.id]
        }
        assert self.run(self._scores("request_times")).keys() == {name.decode() for name in self.requests}

    async def _scores(self, name: str) -> dict[str, int]:
        entries: Any = await self.store.client.zrange(self.store.keys(QUEUE)[name], 0, -1, withscores=True)
        return {name.decode(): int(score) for name, score in entries}


def test_the_engine_and_the_model_agree_whatever_is_done(settings: Settings, catalog: Catalog) -> None:
    EngineMachine.base, EngineMachine.catalog = settings, catalog
    run_state_machine_as_test(
        EngineMachine,
        settings=hypothesis_settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
