"""Of one caller's exports no more run at once than may, over all workers, and each gets its turn."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from qcollector.jobs.v1.export_pb2 import ExportFormat, ExportFormSubmissions
from qcollector.jobs.v1.job_pb2 import Caller

from base.settings import Settings
from engine.catalog import Catalog
from engine.claims import Claims
from engine.jobs import ClaimedJob, Outcome, Settlement, State
from engine.store import Store
from tests.exports.conftest import LEAD, QUEUE, SATISFACTION, Desk, desk_of, working
from tests.mail.recording import RecordingJob
from workers.exports.turns import ExportTurns
from workers.outcomes import Snooze

ALICE, BOB = Caller(id="alice", role="sales"), Caller(id="bob", role="sales")


@dataclass
class Race:
    """Jobs that workers hold, and who of them may go on."""

    desk: Desk
    claims: Claims
    turns: ExportTurns
    held: dict[str, ClaimedJob] = field(default_factory=dict)

    async def start(self, caller: Caller, count: int = 1) -> list[str]:
        """Enqueues and claims jobs, one after the other."""
        for _ in range(count):
            await self.desk.enqueue(ExportFormSubmissions(form_id=LEAD, format=ExportFormat.EXPORT_FORMAT_CSV), caller)
        jobs = (await self.claims.claim(count)).jobs
        self.held |= {job.id: job for job in jobs}
        return [job.id for job in jobs]

    async def may_run(self, job_id: str, caller: Caller) -> bool:
        job = RecordingJob(self.desk.settings, job_id=job_id, queue=QUEUE, caller=caller)
        try:
            await self.turns.take(job)
        except Snooze as snooze:
            assert "EXPORT_MAX_PER_USER is" in snooze.reason
            return False
        return True

    async def running(self, jobs: Sequence[str], caller: Caller) -> list[bool]:
        return list(await asyncio.gather(*(self.may_run(job, caller) for job in jobs)))

    async def end(self, job_id: str) -> None:
        job = self.held.pop(job_id)
        await self.claims.settle([Settlement(job.id, job.fence, Outcome.FAIL_FOR_GOOD)], 0)


@pytest.fixture
def race(store: Store, settings: Settings, catalog: Catalog) -> Race:
    desk = desk_of(settings, store, catalog)
    return Race(desk, Claims(store, catalog.queue(QUEUE), "w1", settings), ExportTurns(desk.inspection, 3))


async def test_those_that_began_first_run_and_the_others_wait(race: Race) -> None:
    jobs = await race.start(ALICE, 6)
    assert (await race.running(jobs, ALICE)).count(True) == 3
    assert await race.running(jobs, ALICE) == await race.running(jobs, ALICE), "who may is the same for all who ask"


async def test_callers_do_not_stand_in_each_others_way(race: Race) -> None:
    alices, bobs = await race.start(ALICE, 3), await race.start(BOB, 2)
    assert await race.running(alices, ALICE) == [True] * 3
    assert await race.running(bobs, BOB) == [True] * 2


async def test_the_end_of_one_is_the_turn_of_the_next(race: Race) -> None:
    jobs = await race.start(ALICE, 3)
    (late,) = await race.start(ALICE)
    assert not await race.may_run(late, ALICE)
    await race.end(jobs[1])
    assert await race.may_run(late, ALICE)


async def test_a_job_that_is_lost_is_nobodys_business_here(race: Race) -> None:
    jobs = await race.start(ALICE, 4)
    await race.end(jobs[3])
    assert await race.may_run(jobs[3], ALICE)


async def test_all_exports_complete_in_the_end_and_none_uses_an_attempt_for_waiting(
    sample_database: Settings, store: Store, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.exports.turns.AGAIN_SECONDS", 0.2)
    desk = desk_of(sample_database, store, catalog)
    payload = ExportFormSubmissions(form_id=SATISFACTION, format=ExportFormat.EXPORT_FORMAT_CSV)
    jobs = [await desk.enqueue(payload, Caller(id="alice", role="general_user")) for _ in range(4)]
    async with working(desk.settings, export_concurrency=4, export_max_per_user=1):
        records = [await desk.end(job) for job in jobs]
    assert {(record.state, record.fails) for record in records} == {(State.COMPLETED, 0)}
    assert max(record.starts for record in records) > 1
    assert len(desk.files()) == 4
