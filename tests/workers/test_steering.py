"""What operators do reaches the jobs that run."""

import time
from collections.abc import Callable
from pathlib import Path

from testjobs.v1.testjobs_pb2 import Script, Serial, Step

from engine.jobs import State
from tests.conftest import eventually

from .conftest import SERIAL, WORK, Desk, WorkerProcess, new_job


async def test_pause_takes_hold_at_once_on_every_worker(desk: Desk, new_worker: Callable[..., WorkerProcess]) -> None:
    workers = [await new_worker().started(), await new_worker().started()]
    payload = Script(steps=[Step(sleep=20)]).SerializeToString()
    jobs = [new_job(WORK, "script", payload) for _ in range(3000)]
    await desk.engine.add(*jobs)
    await eventually(lambda: all(worker.lines("job_ended") for worker in workers), what="both are at it", every=0.005)
    await desk.engine.steering.pause(WORK)
    waiting = (await desk.engine.counts())["waiting"]
    assert waiting > 0, "the queue was drained before it was paused"
    paused = time.time() * 1000

    async def idle() -> bool:
        return "active" not in await desk.engine.counts()

    await eventually(idle)
    assert (await desk.engine.counts())["waiting"] == waiting
    records = await desk.engine.inspection.get_many(WORK, [job.id for job in jobs])
    assert max(record.started for record in records if record is not None) <= paused

    await desk.engine.steering.resume(WORK)

    async def done() -> bool:
        return (await desk.engine.counts()).get("completed") == len(jobs)

    await eventually(done)


async def test_cancel_ends_a_running_job_and_it_stays_cancelled(
    desk: Desk, new_worker: Callable[..., WorkerProcess]
) -> None:
    worker = new_worker(TEST_CONCURRENCY=1)
    job_id = await desk.script(Step(sleep=60_000))
    await desk.reached(job_id, State.ACTIVE)
    await desk.engine.steering.cancel(WORK, job_id, "not wanted")
    cancelled = time.time() * 1000

    # The only slot is free for this one when the first has really ended.
    following = await desk.end(await desk.script(Step(answer=1)))
    assert following.started - cancelled < 1500
    await eventually(lambda: worker.lines("job_ended", job_id=job_id, outcome="cancelled"))
    assert (await desk.get(job_id)).state is State.CANCELLED


async def test_a_thread_that_cannot_be_ended_keeps_its_slot_until_it_has_ended(
    desk: Desk, new_worker: Callable[..., WorkerProcess]
) -> None:
    new_worker(TEST_CONCURRENCY=1)
    blocking = await desk.script(Step(block=1200), Step(sleep=30_000), timeout=100, attempts=1)
    await desk.reached(blocking, State.ACTIVE)
    following = await desk.end(await desk.script(Step(answer=1)))
    blocked = await desk.get(blocking)
    assert (blocked.state, blocked.failed_reason) == (State.FAILED, "timed out after 0.1 s")
    assert following.started - blocked.started > 1100


async def test_a_queue_with_a_limit_runs_one_job_at_a_time_over_all_workers(
    desk: Desk, new_worker: Callable[..., WorkerProcess], tmp_path: Path
) -> None:
    new_worker()
    new_worker()
    file = tmp_path / "serial"
    ids = [await desk.enqueue(Serial(sleep=20, touch=str(file))) for _ in range(20)]
    for job_id in ids:
        assert (await desk.end(job_id, SERIAL)).state is State.COMPLETED
    lines = [line.split() for line in file.read_text().splitlines()]
    assert len(lines) == 40
    for (job_id, start), (same_job, end) in zip(lines[::2], lines[1::2], strict=True):
        assert (start, end, job_id) == ("start", "end", same_job)


async def test_a_delayed_job_starts_when_it_is_due(desk: Desk, new_worker: Callable[..., WorkerProcess]) -> None:
    await new_worker(QUEUE_LEASE_SECONDS=60).started()  # what else looks, looks once in a third of that
    record = await desk.end(await desk.script(Step(answer=1), delay=400))
    assert 0 <= record.started - record.ready < 2000, "it waited until the worker looked by itself"
    assert record.ready - record.created == 400
