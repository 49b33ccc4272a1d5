"""What running jobs say: how it is gathered, and that none of it is lost."""

from typing import Any

import pytest
from testjobs.v1.testjobs_pb2 import Step

from engine.jobs import LogLine, State
from engine.packing import unpack
from engine.schema import EventEntry, rows_of
from tests.conftest import eventually

from .conftest import WORK, Desk


async def _events(desk: Desk, job_id: str) -> list[tuple[str, float, str]]:
    """State, progress and message of all that the queue's stream tells of the job."""
    store = desk.engine.store
    entries: Any = await store.client.xrange(store.keys(WORK)["events"])
    told = []
    for _, fields in entries:
        events = rows_of(EventEntry, unpack(fields[b"e"]))
        told += [(event.state, event.progress, event.text) for event in events if event.id == job_id]
    return told


async def test_progress_is_written_ten_times_a_second_however_often_it_is_told(shared_desk: Desk) -> None:
    steps = [step for percent in range(100) for step in (Step(progress=percent / 2), Step(sleep=10))]
    record = await shared_desk.end(await shared_desk.script(*steps))
    seconds = (record.finished - record.started) / 1000
    written = [progress for state, progress, _ in await _events(shared_desk, record.id) if state == "a"]
    assert 5 <= len(written) <= 10 * seconds + 3, "the start, then ten a second, then the last"
    assert written == sorted(written)


async def test_the_last_progress_is_stored_before_the_end(shared_desk: Desk) -> None:
    record = await shared_desk.end(
        await shared_desk.script(Step(progress=10), Step(progress=42.5), Step(fail_for_good="enough"))
    )
    assert (record.state, record.progress) == (State.FAILED, 42.5)


async def test_all_log_lines_are_stored_in_order_before_the_end(shared_desk: Desk) -> None:
    lines = [f"line {number}" for number in range(50)]
    record = await shared_desk.end(await shared_desk.script(*(Step(log=line) for line in lines)))
    stored = await shared_desk.engine.inspection.logs(WORK, record.id)
    assert stored is not None
    assert [line.message for line in stored[0]] == lines
    assert [message for *_, message in await _events(shared_desk, record.id) if message] == lines


async def test_what_one_job_says_is_written_at_once(shared_desk: Desk) -> None:
    job_id = await shared_desk.script(Step(log="hello"), Step(sleep=30_000))

    async def first_word() -> LogLine | None:
        stored = await shared_desk.engine.inspection.logs(WORK, job_id)
        return stored[0][0] if stored and stored[0] else None

    line = await eventually(first_word, what="the line is stored while its job runs")
    record = await shared_desk.get(job_id)
    assert record.state is State.ACTIVE
    assert line.time - record.started < 90
    await shared_desk.engine.steering.cancel(WORK, job_id)


@pytest.mark.parametrize("jobs", [20])
async def test_jobs_that_end_together_are_written_together(shared_desk: Desk, jobs: int) -> None:
    ids = [await shared_desk.script(Step(progress=30), Step(log="one"), Step(fail_for_good="x")) for _ in range(jobs)]
    for job_id in ids:
        record = await shared_desk.end(job_id)
        assert record.progress == 30
        logs = await shared_desk.engine.inspection.logs(WORK, job_id)
        assert logs is not None
        assert [line.message for line in logs[0]] == ["one"]
