"""Workers, connections and Valkey die: no job is lost, none is left behind, and no stale worker gets a word in."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr
from testjobs.v1.testjobs_pb2 import Noop, Script, Step

from base.settings import Settings
from contract.catalog import Catalog
from contract.errors import StoreUnavailableError
from engine.jobs import Cause, State
from engine.store import Store
from tests.conftest import ValkeyServer, eventually, free_port
from tests.engine.conftest import engine_on

from .conftest import LEASE, WORK, Desk, WorkerProcess, environment, new_job

NewWorker = Callable[..., WorkerProcess]


async def _all_complete(desk: Desk, count: int) -> bool:
    """Whether all are; on the way the counts must add up in every sample."""
    counts = await desk.engine.counts()
    assert sum(counts.values()) == count, counts
    return counts.get("completed") == count


async def test_nothing_is_lost_when_workers_are_killed(desk: Desk, new_worker: NewWorker) -> None:
    payload = Script(steps=[Step(sleep=30)]).SerializeToString()
    jobs = [new_job(WORK, "script", payload) for _ in range(1500)]
    await desk.engine.add(*jobs)
    victims = [new_worker(), new_worker()]
    for victim in victims:
        await eventually(partial(victim.lines, "job_ended"), what="it is at work", every=0.005)
        victim.kill()
        assert not await _all_complete(desk, len(jobs))
        new_worker()
    await eventually(lambda: _all_complete(desk, len(jobs)), seconds=30)
    records = [await desk.get(job.id) for job in jobs]
    assert sum(record.starts - 1 for record in records) <= 2 * 50, "at most what the killed ones were at runs again"
    assert sum(record.fails for record in records) == 0


async def test_a_job_whose_worker_died_starts_again_within_a_lease_and_a_third_without_traffic(
    desk: Desk, new_worker: NewWorker
) -> None:
    dying = new_worker()
    job_id = await desk.script(Step(sleep=60_000))  # outlasts the second worker's start, also on a busy machine
    await desk.reached(job_id, State.ACTIVE)
    await new_worker().started()
    killed = time.time() * 1000
    dying.kill()

    async def started_again() -> bool:
        return (await desk.get(job_id)).starts == 2

    await eventually(started_again)
    record = await desk.get(job_id)
    assert record.started - killed <= LEASE * 1000 * 4 / 3 + 150, "and what a busy machine adds"
    assert (record.stalls, record.attempts_made) == (1, 0)


async def test_a_worker_that_was_frozen_beyond_its_lease_gets_no_word_in(
    desk: Desk, new_worker: NewWorker, tmp_path: Path
) -> None:
    stale = new_worker()
    file = tmp_path / "starts"
    job_id = await desk.script(Step(touch=str(file)), Step(sleep=300), Step(checkpoint="mine"))
    await eventually(lambda: file.exists() and file.read_text())
    stale.signal(signal.SIGSTOP)
    new_worker()
    ended = await desk.end(job_id)
    assert (ended.state, ended.starts) == (State.COMPLETED, 2)
    stale.signal(signal.SIGCONT)
    await eventually(lambda: stale.lines("job_ended", job_id=job_id, outcome="lost"))
    assert await desk.get(job_id) == ended
    assert [line.split()[2] for line in file.read_text().splitlines()] == ["1", "2"]


async def test_a_job_that_takes_its_worker_along_fails_at_the_third_time(desk: Desk, new_worker: NewWorker) -> None:
    """Kills each worker as soon as it has the job."""
    job_id = await desk.script(Step(sleep=60_000))
    for start in (1, 2, 3):
        worker = new_worker()

        async def started(start: int = start) -> bool:
            record = await desk.get(job_id)
            return record.state is State.ACTIVE and record.starts == start

        await eventually(started)
        worker.kill()
    new_worker()
    record = await desk.end(job_id)
    assert (record.state, record.stalls, record.starts) == (State.FAILED, 3, 3)
    assert record.cause is Cause.STALLED


async def test_a_crash_in_the_middle_goes_on_from_the_checkpoint(desk: Desk, new_worker: NewWorker) -> None:
    new_worker()
    job_id = await desk.script(Step(checkpoint="page 7"), Step(crash=True))

    async def crashed() -> bool:
        return (await desk.get(job_id)).state is State.ACTIVE

    await eventually(crashed)
    new_worker()
    record = await desk.end(job_id)
    assert record.state is State.COMPLETED
    assert b"page 7" in record.result


async def test_a_marker_that_a_leaving_worker_took_is_not_missed(desk: Desk, new_worker: NewWorker) -> None:
    leaving, staying = [await new_worker(QUEUE_LEASE_SECONDS=60).started() for _ in range(2)]
    leaving.signal(signal.SIGTERM)
    record = await desk.end(await desk.enqueue(Noop()))
    assert record.started - record.created < 2000, "it waited until the worker looked by itself"
    assert staying.alive


async def test_cut_connections_end_no_job(desk: Desk, new_worker: NewWorker) -> None:
    worker = new_worker()
    job_id = await desk.script(Step(sleep=800), Step(checkpoint="kept"))
    await desk.reached(job_id, State.ACTIVE)
    for _ in range(5):
        await desk.engine.store.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    record = await desk.end(job_id)
    assert (record.state, record.starts) == (State.COMPLETED, 1)
    assert worker.alive
    assert (await desk.end(await desk.enqueue(Noop()))).state is State.COMPLETED


async def test_a_worker_outlives_valkey_and_its_jobs_end(
    settings: Settings, catalog: Catalog, tmp_path: Path, persistent_valkey: ValkeyServer
) -> None:
    server = persistent_valkey
    own = settings.model_copy(update={"redis_url": SecretStr(server.url)})
    worker = WorkerProcess(environment(own), tmp_path).start()
    try:
        await eventually(lambda: worker.lines("store_away"), what="it starts although there is no Valkey")
        server.start()
        store = await Store.open(own)
        desk = Desk(engine_on(store, own, catalog))
        # All at once, so that the server is killed before they have ended, however slow the machine.
        running = await asyncio.gather(*(desk.script(Step(sleep=1500)) for _ in range(20)))
        waiting = await asyncio.gather(*(desk.script(Step(sleep=20)) for _ in range(200)))
        await desk.reached(running[0], State.ACTIVE)
        server.kill()
        await eventually(lambda: len(worker.lines("store_away")) > 1)
        server.start()

        async def all_complete() -> bool:
            try:
                return await _all_complete(desk, len(running) + len(waiting))
            except StoreUnavailableError:  # the test's own connection, cut as well
                return False

        await eventually(all_complete)
        assert worker.alive
        await store.close()
    finally:
        worker.kill()


async def test_a_worker_outlives_a_valkey_that_cannot_write(
    settings: Settings, catalog: Catalog, tmp_path: Path, persistent_valkey: ValkeyServer
) -> None:
    own = settings.model_copy(update={"redis_url": SecretStr(persistent_valkey.start().url)})
    store = await Store.open(own)
    desk = Desk(engine_on(store, own, catalog))
    worker = WorkerProcess(environment(own), tmp_path).start()
    try:
        job_id = await desk.script(Step(sleep=1000))
        await desk.reached(job_id, State.ACTIVE)
        await store.client.config_set("min-replicas-to-write", 1)
        (told,) = await eventually(lambda: worker.lines("store_away", queue=WORK), what="its result is not taken")
        assert "NOREPLICAS" in told["reason"]
        await store.client.config_set("min-replicas-to-write", 0)
        assert (await desk.end(job_id)).state is State.COMPLETED
        assert (await desk.end(await desk.enqueue(Noop()))).state is State.COMPLETED
        assert worker.alive
    finally:
        worker.kill()
        await store.close()


@pytest.fixture
def persistent_valkey(tmp_path: Path) -> Iterator[ValkeyServer]:
    """A server that has not started, and acknowledges nothing before it is on disk."""
    server = ValkeyServer(tmp_path / "persistent", free_port(), ("--appendfsync", "always"))
    yield server
    server.kill()


async def test_the_housekeeper_starts_stalled_jobs_and_due_ones_again_while_no_worker_runs(
    desk: Desk, new_worker: NewWorker, settings: Settings, tmp_path: Path
) -> None:
    dying = new_worker()
    job_id = await desk.script(Step(sleep=60_000))
    await desk.reached(job_id, State.ACTIVE)
    dying.kill()
    delayed = await desk.script(Step(answer=1), delay=300)
    scheduler = WorkerProcess(environment(settings), tmp_path, "stack.cli", ("scheduler",)).start()
    try:
        assert (await desk.reached(job_id, State.WAITING)).stalls == 1
        await desk.reached(delayed, State.WAITING)
        scheduler.signal(signal.SIGTERM)
        assert scheduler.process.wait(5) == 0
    finally:
        scheduler.kill()
