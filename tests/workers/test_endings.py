"""A worker that is asked to end."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr
from testjobs.v1.testjobs_pb2 import Step

from base.settings import Settings
from engine.jobs import State
from tests.conftest import eventually, free_port

from .conftest import Desk, WorkerProcess, environment

NewWorker = Callable[..., WorkerProcess]


async def _ends(worker: WorkerProcess, seconds: float) -> None:
    await eventually(lambda: not worker.alive, seconds=seconds, what="the worker ends")
    assert worker.process.returncode == 0
    assert worker.lines("worker_stopped") or worker.lines("worker_started")


async def test_an_idle_worker_ends_at_once(new_worker: NewWorker) -> None:
    worker = await new_worker().started()
    worker.signal(signal.SIGTERM)
    await _ends(worker, 1.5)


async def test_running_jobs_end_within_the_grace_and_nothing_new_starts(desk: Desk, new_worker: NewWorker) -> None:
    worker = new_worker(SHUTDOWN_GRACE_SECONDS=10, TEST_CONCURRENCY=5)
    running = [await desk.script(Step(sleep=700)) for _ in range(5)]
    waiting = [await desk.script(Step(sleep=700)) for _ in range(5)]
    for job_id in running:
        await desk.reached(job_id, State.ACTIVE)
    worker.signal(signal.SIGTERM)
    await _ends(worker, 3)
    assert {(await desk.get(job_id)).state for job_id in running} == {State.COMPLETED}
    assert {(await desk.get(job_id)).state for job_id in waiting} == {State.WAITING}


async def test_what_does_not_end_within_the_grace_is_handed_back_untouched(desk: Desk, new_worker: NewWorker) -> None:
    worker = new_worker(SHUTDOWN_GRACE_SECONDS=0.2)
    job_id = await desk.script(Step(checkpoint="kept"), Step(progress=30), Step(sleep=60_000))
    await desk.reached(job_id, State.ACTIVE)
    worker.signal(signal.SIGTERM)
    worker.signal(signal.SIGINT)
    await _ends(worker, 3)
    record = await desk.get(job_id)
    assert (record.state, record.fails, record.stalls, record.progress) == (State.WAITING, 0, 0, 30)

    began = time.monotonic()
    new_worker()
    assert (await desk.reached(job_id, State.ACTIVE)).starts == 2
    assert time.monotonic() - began < 15


async def test_a_thread_that_does_not_end_holds_up_neither_the_worker_nor_the_job(
    desk: Desk, new_worker: NewWorker
) -> None:
    worker = new_worker(SHUTDOWN_GRACE_SECONDS=0.1)
    job_id = await desk.script(Step(block=60_000))
    await desk.reached(job_id, State.ACTIVE)
    worker.signal(signal.SIGTERM)
    await _ends(worker, 4)
    record = await desk.get(job_id)
    assert (record.state, record.fails, record.stalls) == (State.WAITING, 0, 0)


async def test_a_worker_without_valkey_ends_as_well(settings: Settings, tmp_path: Path) -> None:
    nowhere = settings.model_copy(update={"redis_url": SecretStr(f"redis://127.0.0.1:{free_port()}/0")})
    worker = WorkerProcess(environment(nowhere), tmp_path).start()
    await eventually(lambda: worker.lines("store_away"))
    worker.signal(signal.SIGTERM)
    await _ends(worker, 4)
