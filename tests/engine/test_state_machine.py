"""Any sequence of what callers, workers and operators may do keeps the engine in step with a plain model of it."""

import asyncio
from collections.abc import Coroutine
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
from engine.errors import JobServiceError
from engine.jobs import ClaimedJob, JobQuery, Outcome, Settlement, State
from engine.store import Store

from .conftest import QUEUE, Engine, engine_on, job

_runs = iter(range(10**9))
EXPIRING = {
    State.COMPLETED: "expiring_completed",
    State.FAILED: "expiring_failed",
    State.CANCELLED: "expiring_cancelled",
}


class EngineMachine(RuleBasedStateMachine):
    """The model: each job's state, failed attempts, and who holds it under which fence."""

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
        self.order: list[tuple[int, int, str]] = []
        self.places: dict[str, tuple[int, int]] = {}
        self.keeps: dict[str, int] = {}
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

    def _waiting(self) -> list[str]:
        ready = [job_id for job_id, state in self.states.items() if state is State.WAITING]
        return sorted(ready, key=lambda job_id: self.places[job_id])

    @rule(
        priority=st.integers(-3, 3), later=st.booleans(), count=st.integers(1, 4), keep=st.sampled_from([0, 7_200_000])
    )
    def enqueue(self, priority: int, later: bool, count: int, keep: int) -> None:
        jobs = [
            job(f"m{self.number + n}", priority=priority, delay=600_000 * later, attempts=2, retention=keep)
            for n in range(count)
        ]
        self.run(self.engine.add(*jobs))
        for one in jobs:
            self.keeps[one.id] = keep
            self.states[one.id] = State.DELAYED if later else State.WAITING
            self.fails[one.id] = 0
            self.places[one.id] = (-priority, self.number)
            self.number += 1

    @rule(worker=st.sampled_from(["w1", "w2"]), n=st.integers(1, 3))
    def claim(self, worker: str, n: int) -> None:
        claimed = self.run(self.engine.worker(worker).claim(n)).jobs
        expected = [] if self.paused else self._waiting()[:n]
        assert [one.id for one in claimed] == expected
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
        assert self.run(self.engine.worker(worker).settle([settlement], 0)).lost == {}
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
                self.states[job_id], self.fails[job_id] = State.WAITING, 0
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
        reaped = self.run(self.engine.worker("w1").reap())
        assert (reaped.stalled, reaped.forgotten) == ((), 0)

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
        ready = {one.id: one.ready for one in page.jobs if one.state is State.WAITING}
        assert self.run(self._scores("ready")) == ready
        ended = [one for one in page.jobs if one.state.finished]
        for state, name in EXPIRING.items():
            leaving = {one.id: one.finished for one in ended if one.state is state and not self.keeps[one.id]}
            assert self.run(self._scores(name)) == leaving
        stays = {one.id: one.finished + self.keeps[one.id] for one in ended if self.keeps[one.id]}
        assert self.run(self._scores("retained")) == stays

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
