"""Enqueueing: idempotent ids, shared round trips, backlog, and a store that is full or away."""

import asyncio
from typing import Any

import pytest

from base.settings import Settings
from contract.catalog import Catalog
from contract.errors import BacklogFullError, JobIdConflictError, StoreFullError, StoreUnavailableError
from contract.ids import new_job_id
from engine.intake import Intake
from engine.jobs import Enqueued, State
from engine.store import Store
from tests.conftest import ValkeyServer, eventually

from .conftest import QUEUE, Engine, complete, engine_on, job


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scripts that were run."""
    calls: list[str] = []
    run = Store.run

    async def counted(self: Store, name: str, scope: str, *arguments: Any) -> Any:
        calls.append(name)
        return await run(self, name, scope, *arguments)

    monkeypatch.setattr(Store, "run", counted)
    return calls


async def test_concurrent_calls_for_a_queue_share_round_trips(engine: Engine, round_trips: list[str]) -> None:
    answers = await asyncio.gather(*(engine.intake.enqueue(job()) for _ in range(500)))
    assert all(not answer.duplicate for answer in answers)
    assert len(round_trips) <= 4
    assert (await engine.counts())["waiting"] == 500


async def test_callers_that_come_one_after_the_other_share_them_too(engine: Engine, round_trips: list[str]) -> None:
    """As calls do that a server takes one by one while many are under way."""

    async def caller(number: int) -> None:
        await asyncio.sleep(number / 1000)
        for _ in range(10):
            await engine.intake.enqueue(job())
            await asyncio.sleep(0.001)

    await asyncio.gather(*map(caller, range(16)))
    assert len(round_trips) <= 160 / 3
    assert (await engine.counts())["waiting"] == 160


async def test_a_caller_that_is_alone_does_not_wait_for_others(engine: Engine) -> None:
    await asyncio.gather(*(engine.intake.enqueue(job()) for _ in range(100)))
    await engine.intake.enqueue(job())  # the last one that waits for others, in vain
    for _ in range(5):
        await engine.intake.enqueue(job())
        assert engine.intake._queues[QUEUE]._expected == 1


async def test_jobs_enqueued_together_keep_their_order(engine: Engine) -> None:
    jobs = [job() for _ in range(450)]
    await engine.add(*jobs)
    claimed = [one.id for _ in range(3) for one in (await engine.worker().claim(200)).jobs]
    assert claimed == [one.id for one in jobs]


async def test_the_same_id_and_content_is_a_duplicate_and_other_content_a_conflict(engine: Engine) -> None:
    first, second, other = await engine.intake.enqueue_many(
        [job("mine", digest=b"one"), job("mine", digest=b"one"), job("mine", digest=b"two")]
    )
    assert isinstance(first, Enqueued)
    assert isinstance(second, Enqueued)
    assert (first.duplicate, second.duplicate, second.created) == (False, True, first.created)
    assert isinstance(other, JobIdConflictError)
    with pytest.raises(JobIdConflictError):
        await engine.intake.enqueue(job("mine", digest=b"two"))
    assert (await engine.intake.enqueue(job("mine", digest=b"one"))).duplicate
    assert await engine.counts() == {"waiting": 1}


async def test_an_id_stays_taken_for_a_day_after_its_job_is_gone(engine: Engine) -> None:
    await engine.add(job("mine", digest=b"one"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await worker.settle([complete(claimed)], 0)
    await engine.steering.delete(QUEUE, "mine")
    again = await engine.intake.enqueue(job("mine", digest=b"one"))
    assert (again.duplicate, again.state) == (True, State.COMPLETED)
    with pytest.raises(JobIdConflictError):
        await engine.intake.enqueue(job("mine", digest=b"two"))
    gone = engine.store.keys(QUEUE)["gone"]
    await engine.store.client.zincrby(gone, -86_400_000, "mine")
    await worker.reap()
    assert not (await engine.intake.enqueue(job("mine", digest=b"two"))).duplicate


async def test_an_own_id_cannot_take_over_a_job_of_a_made_id(engine: Engine) -> None:
    await engine.add(job("made"))
    with pytest.raises(JobIdConflictError):
        await engine.intake.enqueue(job("made", digest=b"guess"))


async def test_a_full_backlog_refuses_and_takes_again_once_workers_caught_up(
    store: Store, settings: Settings, catalog: Catalog
) -> None:
    engine = engine_on(store, settings.model_copy(update={"queue_max_backlog": 3}), catalog)
    outcomes = await engine.intake.enqueue_many([job(), job(), job(delay=60_000), job(), job()])
    assert [type(outcome) for outcome in outcomes] == [Enqueued, Enqueued, Enqueued, BacklogFullError, BacklogFullError]
    await engine.worker().claim(1)
    assert not (await engine.intake.enqueue(job())).duplicate


async def test_without_a_server_it_says_unavailable_and_recovers_by_itself(
    own_valkey: ValkeyServer, settings: Settings, catalog: Catalog
) -> None:
    own_valkey.kill()
    settings = settings.model_copy(update={"redis_url": None, "redis_port": own_valkey.port})
    store = await Store.open(settings)
    intake = Intake(store, settings)
    with pytest.raises(StoreUnavailableError) as refused:
        await intake.enqueue(job("a"))
    assert refused.value.retry_after
    own_valkey.start()
    assert not (await intake.enqueue(job("a"))).duplicate
    await store.close()


async def test_a_row_whose_answer_was_lost_is_sent_again_under_its_id_and_is_no_duplicate(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Store.run
    lost: list[Any] = []

    async def lossy(self: Store, name: str, scope: str, *arguments: Any) -> Any:
        answer = await run(self, name, scope, *arguments)
        if name == "enqueue" and not lost:
            lost.append(answer)
            raise StoreUnavailableError("cut")
        return answer

    monkeypatch.setattr(Store, "run", lossy)
    assert not (await engine.intake.enqueue(job("a"))).duplicate
    assert lost
    assert await engine.counts() == {"waiting": 1}


async def test_a_full_store_refuses_enqueues_lets_running_jobs_end_and_heals(own_engine: Engine) -> None:
    engine, store = own_engine, own_engine.store
    await engine.add(*(job(payload=b"x" * 2000) for _ in range(400)))
    worker = engine.worker()
    running = (await worker.claim(200)).jobs
    used = int((await store.client.info("memory"))["used_memory"])
    await store.client.config_set("maxmemory", str(used + 10_000))
    with pytest.raises(StoreFullError) as refused:
        for _ in range(50):
            await engine.intake.enqueue(job(payload=b"y" * 10_000))
    assert refused.value.retry_after
    with pytest.raises(StoreFullError):
        await store.check()
    await worker.settle([complete(one) for one in running], 200)
    assert (await engine.counts())["completed"] == 200
    assert sum((await engine.steering.clean(QUEUE, 0)).values()) == 200
    assert await eventually(lambda: _takes(engine))


async def _takes(engine: Engine) -> bool:
    try:
        await engine.intake.enqueue(job())
    except StoreFullError:
        return False
    return True


def test_made_ids_are_ordered_unique_and_end_in_the_shard() -> None:
    made = [new_job_id() for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(one.endswith("-0") and ":" not in one and len(one) == 28 for one in made)
