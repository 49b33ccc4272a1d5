"""Request ids: for an hour the same request gives the same job, whatever has become of it; then nothing of it is left."""

from dataclasses import replace
from typing import Any

import pytest

from base.settings import Settings
from contract.catalog import Catalog
from contract.errors import BacklogFullError, JobIdConflictError, RequestIdConflictError, StoreUnavailableError
from contract.ids import new_job_id
from contract.new_job import NewJob
from engine.jobs import Enqueued, State
from engine.store import Store

from .conftest import QUEUE, Engine, complete, engine_on, job

HOUR_MS = 3_600_000


def asked(request: bytes = b"request", digest: bytes = b"one", job_id: str = "", **fields: Any) -> NewJob:
    """A job as a request with an id makes it: each time with a new id of the service's, unless it has its own."""
    own = {"digest": digest} if job_id else {}
    return job(job_id or new_job_id(), request=request, request_digest=digest, **own, **fields)


async def _kept(engine: Engine) -> tuple[int, int]:
    client, keys = engine.store.client, engine.store.keys(QUEUE)
    return await client.hlen(keys["requests"]), await client.zcard(keys["request_times"])


async def _an_hour_later(engine: Engine) -> None:
    client, times = engine.store.client, engine.store.keys(QUEUE)["request_times"]
    for name in await client.zrange(times, 0, -1):
        await client.zincrby(times, -HOUR_MS, name)
    await engine.worker().reap()


async def test_the_same_request_gives_the_first_job_whatever_has_become_of_it(engine: Engine) -> None:
    first = await engine.intake.enqueue(asked())
    assert (first.duplicate, first.state) == (False, State.WAITING)
    worker = engine.worker()

    async def again() -> tuple[str, bool, int, State | None]:
        found = await engine.intake.enqueue(asked())
        return found.id, found.duplicate, found.created, found.state

    same = (first.id, True, first.created)
    assert await again() == (*same, State.WAITING)
    (claimed,) = (await worker.claim(1)).jobs
    assert await again() == (*same, State.ACTIVE)
    await worker.settle([complete(claimed)], 0)
    assert await again() == (*same, State.COMPLETED)
    await engine.steering.clean(QUEUE, 0)
    assert await again() == (*same, None)
    assert await engine.counts() == {}


async def test_another_request_under_the_same_id_is_refused_and_names_the_field(engine: Engine) -> None:
    await engine.intake.enqueue(asked())
    with pytest.raises(RequestIdConflictError) as refused:
        await engine.intake.enqueue(asked(digest=b"two"))
    assert [problem.field for problem in refused.value.problems] == ["requestId"]
    assert await engine.counts() == {"waiting": 1}


async def test_rows_of_one_call_know_of_each_other(engine: Engine) -> None:
    first, second, other, another = await engine.intake.enqueue_many(
        [asked(), asked(), asked(digest=b"two"), asked(b"another")]
    )
    assert isinstance(first, Enqueued)
    assert second == Enqueued(first.id, State.WAITING, first.created, duplicate=True)
    assert isinstance(other, RequestIdConflictError)
    assert isinstance(another, Enqueued)
    assert another.id != first.id
    assert await engine.counts() == {"waiting": 2}


async def test_a_request_id_and_a_job_id_work_together(engine: Engine) -> None:
    assert not (await engine.intake.enqueue(asked(job_id="mine"))).duplicate
    assert (await engine.intake.enqueue(asked(job_id="mine"))).duplicate
    by_name = await engine.intake.enqueue(asked(b"another", job_id="mine"))
    assert (by_name.id, by_name.duplicate) == ("mine", True)
    with pytest.raises(RequestIdConflictError):
        await engine.intake.enqueue(asked(b"another", b"two", job_id="other"))
    with pytest.raises(JobIdConflictError):
        await engine.intake.enqueue(asked(b"a third", b"two", job_id="mine"))
    await engine.steering.delete(QUEUE, "mine")
    gone = await engine.intake.enqueue(asked(job_id="mine"))
    assert (gone.duplicate, gone.state) == (True, State.WAITING), "as it stood when it was deleted"
    assert await engine.counts() == {}


async def test_after_an_hour_the_id_is_free_even_before_it_is_forgotten(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts = dict(engine.store._scripts)
    source = scripts["enqueue"].source
    assert str(HOUR_MS) in source
    scripts["enqueue"] = replace(scripts["enqueue"], source=source.replace(str(HOUR_MS), "0"), sha="0" * 40)
    monkeypatch.setattr(engine.store, "_scripts", scripts)
    first = await engine.intake.enqueue(asked())
    second = await engine.intake.enqueue(asked(digest=b"two"))
    assert (second.duplicate, second.id == first.id) == (False, False)
    assert await _kept(engine) == (1, 1)


async def test_nothing_is_left_of_a_request_after_an_hour_nor_of_a_job_of_a_made_id(engine: Engine) -> None:
    await engine.add(*(asked(str(n).encode()) for n in range(1500)))
    assert await _kept(engine) == (1500, 1500)
    worker = engine.worker()
    ended: list[Any] = []
    while claimed := (await worker.settle([complete(one) for one in ended], 200)).jobs:
        ended = list(claimed)
    await engine.steering.clean(QUEUE, 0)
    await worker.reap()
    assert await _kept(engine) == (1500, 1500), "an hour is an hour"
    await _an_hour_later(engine)
    keys: Any = await engine.store.client.keys(engine.store.keys(QUEUE)["*"])
    left = {name.decode().rpartition(":")[2] for name in keys}
    assert left <= {"events", "meta", "rates", "marker"}


async def test_an_id_of_the_applications_own_is_free_a_day_after_its_job_is_gone(engine: Engine) -> None:
    await engine.intake.enqueue(asked(b"first", job_id="mine"))
    await engine.steering.cancel(QUEUE, "mine")
    await engine.steering.delete(QUEUE, "mine")
    client: Any = engine.store.client
    gone = engine.store.keys(QUEUE)["gone"]
    await client.zincrby(gone, -23 * HOUR_MS, "mine")
    await engine.worker().reap()
    known = await engine.intake.enqueue(asked(b"second", job_id="mine"))
    assert (known.duplicate, known.state) == (True, State.CANCELLED)
    await client.zincrby(gone, -HOUR_MS, "mine")
    await engine.worker().reap()
    assert not (await engine.intake.enqueue(asked(b"third", job_id="mine"))).duplicate


async def test_a_refused_request_leaves_nothing(store: Store, settings: Settings, catalog: Catalog) -> None:
    engine = engine_on(store, settings.model_copy(update={"queue_max_backlog": 1}), catalog)
    _, refused = await engine.intake.enqueue_many([job(), asked()])
    assert isinstance(refused, BacklogFullError)
    assert await _kept(engine) == (0, 0)
    await engine.worker().claim(1)
    assert not (await engine.intake.enqueue(asked(digest=b"two"))).duplicate


async def test_what_was_stored_is_found_in_a_full_backlog(store: Store, settings: Settings, catalog: Catalog) -> None:
    engine = engine_on(store, settings.model_copy(update={"queue_max_backlog": 1}), catalog)
    await engine.add(asked())
    assert (await engine.intake.enqueue(asked())).duplicate


async def test_a_job_whose_answer_was_lost_is_no_duplicate_of_itself(
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
    assert not (await engine.intake.enqueue(asked())).duplicate
    assert lost
    assert (await engine.intake.enqueue(asked())).duplicate
    assert await engine.counts() == {"waiting": 1}
