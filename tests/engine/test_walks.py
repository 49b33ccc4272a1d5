"""Walks through pages while callers, workers and operators change what is listed: nothing is missed, nothing comes twice."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from contract.errors import JobServiceError
from engine.inspection import BY_STATE, CREATED, CREATED_DESC
from engine.jobs import ClaimedJob, JobQuery, JobRecord, State

from .conftest import QUEUE, Engine, complete, fail, job

SERIAL = "test:serial"
BOTH = (QUEUE, SERIAL)
HOUR = 3_600_000
CHANGES = 60
"""So many are made while the walks go on."""

Name = tuple[str, str]


def _query(*states: State, **conditions: str) -> JobQuery:
    return JobQuery(frozenset(states), **conditions)


QUERIES = (
    _query(),
    _query(State.WAITING),
    _query(State.ACTIVE),
    _query(State.WAITING, State.COMPLETED),
    _query(State.DELAYED, State.FAILED, State.CANCELLED),
    _query(owner="bob"),
    _query(State.WAITING, State.ACTIVE, State.COMPLETED, owner="bob"),
    _query(State.FAILED, owner="ann"),
    _query(type="script"),
    _query(text="needle"),
)


@dataclass
class Walk:
    """One walk, and the jobs that have matched ever since it began."""

    queues: Sequence[str]
    query: JobQuery
    order: str
    steady: set[Name]
    shown: list[JobRecord] = field(default_factory=list)

    async def go(self, engine: Engine, sizes: random.Random) -> None:
        token = ""
        while True:
            page = await engine.inspection.page(self.queues, self.query, self.order, sizes.randint(1, 7), token)
            self.shown += page.jobs
            if not (token := page.next_token):
                return

    def check(self) -> None:
        times = Counter(map(_name, self.shown))
        assert {name: times[name] for name in self.steady if times[name] != 1} == {}
        assert all(_matches(record, self.queues, self.query) for record in self.shown)
        if self.order != BY_STATE:
            places = [(record.created, record.id, record.envelope.queue_name) for record in self.shown]
            assert places == sorted(set(places), reverse=self.order == CREATED_DESC)


class Busy:
    """Changes jobs at random, one change after the other, and knows which jobs match which walk throughout."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine = engine
        self.chance = random.Random(seed)
        self.jobs: dict[Name, JobRecord] = {}
        self.walks: list[Walk] = []
        self._running: list[tuple[str, ClaimedJob]] = []
        self._workers = {queue: engine.worker(queue=queue) for queue in BOTH}
        self._due = 0

    def begin(self, queues: Sequence[str], query: JobQuery, order: str) -> Walk:
        steady = {name for name, record in self.jobs.items() if _matches(record, queues, query)}
        walk = Walk(queues, query, order, steady)
        self.walks.append(walk)
        return walk

    async def change(self) -> None:
        changes = (self._enqueue, self._enqueue, self._claim, self._settle, self._steer, self._steer)
        with contextlib.suppress(JobServiceError):  # such as for retrying what has not failed
            await self.chance.choice(changes)()
        await self._look()

    async def _look(self) -> None:
        for queue in BOTH:
            ids = [job_id for job_id, of in self.jobs if of == queue]
            for job_id, record in zip(ids, await self.engine.inspection.get_many(queue, ids), strict=True):
                if record is None:
                    del self.jobs[job_id, queue]
                else:
                    self.jobs[job_id, queue] = record
        for walk in self.walks:
            walk.steady = {
                name for name in walk.steady if name in self.jobs and _matches(self.jobs[name], walk.queues, walk.query)
            }

    async def _enqueue(self) -> None:
        # What one call enqueues has one time, and of the delayed ones many are due at one moment.
        owners = self.chance.choices(("ann", "bob", "cy"), k=self.chance.randint(1, 12))
        made = [
            job(
                f"{self.chance.getrandbits(32):08x}-{owner}",
                queue=self.chance.choice(BOTH),
                owner=owner,
                type=self.chance.choice(("noop", "noop", "script")),
                payload=self.chance.choice((b"hay", b"a needle")) * 20,
                priority=self.chance.choice((0, 0, 1)),
                run_at=self._due if self.chance.random() < 0.3 else 0,
            )
            for owner in owners
        ]
        for new, enqueued in zip(made, await self.engine.add(*made), strict=True):
            self._due = self._due or enqueued.created + HOUR
            record = await self.engine.inspection.get(new.queue, new.id)
            assert record
            self.jobs[new.id, new.queue] = record

    async def _claim(self) -> None:
        queue = self.chance.choice(BOTH)
        claimed = (await self._workers[queue].claim(self.chance.randint(1, 6))).jobs
        self._running += [(queue, one) for one in claimed]

    async def _settle(self) -> None:
        self.chance.shuffle(self._running)
        for _ in range(min(len(self._running), 4)):
            queue, claimed = self._running.pop()
            end = complete(claimed) if self.chance.random() < 0.5 else fail(claimed, "a needle pricked")
            await self._workers[queue].settle([end], 0)

    async def _steer(self) -> None:
        steering = self.engine.steering
        actions = (steering.cancel, steering.delete, steering.retry, steering.promote)
        job_id, queue = self.chance.choice(sorted(self.jobs) or [("nobody", QUEUE)])
        await self.chance.choice(actions)(queue, job_id)


def _name(record: JobRecord) -> Name:
    return record.id, record.envelope.queue_name


def _matches(record: JobRecord, queues: Sequence[str], query: JobQuery) -> bool:
    return (
        record.envelope.queue_name in queues
        and (not query.states or record.state in query.states)
        and query.type in {"", record.envelope.job_type}
        and record.id.endswith(query.owner)
        and query.created_after <= record.created
        and (query.created_before is None or record.created < query.created_before)
        and (query.text.encode() in record.envelope.payload or any(query.text in one.reason for one in record.failures))
    )


@pytest.fixture(params=range(3))
async def busy(request: pytest.FixtureRequest, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Busy:
    """With jobs in all states, on an engine that looks at few jobs and carries few bytes at a time."""
    monkeypatch.setattr("engine.walking.LOOKED_AT", 5)
    monkeypatch.setattr("engine.pages._STEPS", 3)
    monkeypatch.setattr("engine.pages._PAGE_BYTES", 1000)
    busy = Busy(engine, request.param)
    for _ in range(100):
        await busy.change()
    return busy


async def _walk_and_change(busy: Busy) -> None:
    sizes = random.Random(1)
    async with asyncio.TaskGroup() as group:
        for walk in busy.walks:
            group.create_task(walk.go(busy.engine, sizes))
        for _ in range(CHANGES):
            await busy.change()
    for walk in busy.walks:
        walk.check()
    assert sum(len(walk.steady) for walk in busy.walks) > 50


async def test_every_job_that_matches_throughout_a_walk_by_creation_comes_once(busy: Busy) -> None:
    times = sorted(record.created for record in busy.jobs.values())
    early, late = times[len(times) // 4], times[len(times) * 3 // 4]
    within = JobQuery(created_after=early, created_before=late)
    for order in (CREATED, CREATED_DESC):
        for query in (*QUERIES, within):
            for queues in ((QUEUE,), BOTH):
                busy.begin(queues, query, order)
    await _walk_and_change(busy)


async def test_every_job_that_stays_in_its_state_throughout_a_walk_in_the_states_order_comes_once(busy: Busy) -> None:
    for state in State:
        for queue in BOTH:
            for owner in ("", "bob"):
                busy.begin((queue,), _query(state, owner=owner), BY_STATE)
    await _walk_and_change(busy)
