"""What one script call reads and writes is bounded in bytes, since the store does nothing else meanwhile."""

from typing import Any, cast

import pytest

from engine.actions import DELETE
from engine.claims import Claims, Note
from engine.jobs import ClaimedJob, Outcome, Settlement, State
from engine.packing import unpack
from engine.schema import Record
from engine.store import Store

from .conftest import QUEUE, Engine, job

SIZE, LIMIT = 300_000, 1_000_000


async def _claims(worker: Claims) -> list[tuple[ClaimedJob, ...]]:
    """One after the other, until nothing waits: each says by the wake-up that there is more."""
    found = []
    while await worker.wait_for_work(0.2):
        found.append((await worker.claim(50)).jobs)
    return found


async def test_a_claim_answers_large_jobs_a_megabyte_at_a_time(engine: Engine) -> None:
    added = [job(payload=b"x" * SIZE) for _ in range(10)]
    await engine.add(*added)
    found = await _claims(engine.worker())
    assert [one.id for jobs in found for one in jobs] == [one.id for one in added]
    assert [len(jobs) for jobs in found] == [3, 3, 3, 1]


async def test_secrets_and_checkpoints_count_for_the_size_of_a_claim(engine: Engine) -> None:
    await engine.add(*(job(secret=b"s" * SIZE) for _ in range(5)))
    assert [len(jobs) for jobs in await _claims(engine.worker())] == [3, 2]


async def test_a_job_larger_than_the_bound_is_claimed_alone(engine: Engine) -> None:
    await engine.add(job(payload=b"x" * 3 * LIMIT), job(payload=b"x" * 3 * LIMIT), job())
    assert [len(jobs) for jobs in await _claims(engine.worker())] == [1, 1, 1]


async def test_a_claim_of_jobs_without_a_recorded_size_is_bounded_too(engine: Engine) -> None:
    """As an older release stored them."""
    added = [job(payload=b"x" * SIZE) for _ in range(5)]
    await engine.add(*added)
    key, client = engine.store.keys(added[0].queue)["states"], cast("Any", engine.store.client)
    for one in added:
        record = await client.hget(key, one.id)
        assert record[:3] == b"\xdc\x00\x1b", "an array of 27"
        size = Record.read(unpack(record)).size
        assert size == len(one.envelope)
        await client.hset(key, one.id, _shortened(record, size))
    assert [len(jobs) for jobs in await _claims(engine.worker())] == [3, 2]


def _shortened(record: bytes, size: int) -> bytes:
    tail = b"\xce" + size.to_bytes(4, "big")
    assert record.endswith(tail)
    return b"\xdc\x00\x1a" + record[3 : -len(tail)]


class Calls:
    """Each script call's name, most bytes of an argument, and answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[tuple[str, int, Any]] = []
        run = Store.run

        async def counted(store: Store, name: str, scope: str, *arguments: Any) -> Any:
            answer = await run(store, name, scope, *arguments)
            size = max((len(one) for one in arguments if isinstance(one, bytes)), default=0)
            self.made.append((name, size, answer))
            return answer

        monkeypatch.setattr(Store, "run", counted)

    def answers(self, name: str) -> list[Any]:
        return [answer for called, _, answer in self.made if called == name]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    return Calls(monkeypatch)


async def test_jobs_and_results_are_written_a_megabyte_at_a_time(engine: Engine, calls: Calls) -> None:
    await engine.add(*(job(payload=b"x" * SIZE) for _ in range(7)))
    worker = engine.worker()
    held = [one for jobs in await _claims(worker) for one in jobs]
    ended = [Settlement(one.id, one.fence, Outcome.COMPLETE, result=b"r" * SIZE) for one in held]
    assert (await worker.settle(ended, 0)).lost == {}
    assert (await engine.stats()).counts[State.COMPLETED] == 7
    assert len(calls.answers("enqueue")) == 3
    assert max(size for _, size, _ in calls.made) < LIMIT + 1000


async def test_jobs_are_read_a_megabyte_at_a_time_whoever_asks_for_many(engine: Engine, calls: Calls) -> None:
    added = [job(payload=b"x" * SIZE) for _ in range(7)]
    await engine.add(*added)
    found = await engine.inspection.get_many(QUEUE, ["none", *(one.id for one in added), "none either"])
    assert [record.id if record else "" for record in found] == ["", *(one.id for one in added), ""]
    assert [len(answer) // 5 for answer in calls.answers("get")] == [4, 3, 2]


async def test_a_job_of_any_size_can_be_read(engine: Engine) -> None:
    added = [job(payload=b"x" * 3 * LIMIT) for _ in range(2)]
    await engine.add(*added)
    assert None not in await engine.inspection.get_many(QUEUE, [one.id for one in added])


async def _ended(engine: Engine, count: int, lines: int = 0, **fields: Any) -> list[str]:
    """Completed jobs with log lines."""
    await engine.add(*(job(**fields) for _ in range(count)))
    worker = engine.worker()
    held = (await worker.claim(count)).jobs
    await worker.note([Note(one.id, one.fence, messages=(("log", "x"),) * lines) for one in held])
    await worker.settle([Settlement(one.id, one.fence, Outcome.COMPLETE) for one in held], 0)
    return [one.id for one in held]


async def test_log_lines_are_removed_a_thousand_at_a_time(engine: Engine, calls: Calls) -> None:
    await _ended(engine, 12, lines=200)
    assert (await engine.steering.clean(QUEUE, 0))[State.COMPLETED] == 12
    assert [completed for completed, *_ in calls.answers("clean")] == [5, 5, 2]
    names = await _ended(engine, 12, lines=200)
    assert (await engine.steering.change_many(DELETE, QUEUE, names)).changed == 12
    assert [len(states) for states in calls.answers("delete")] == [5, 5, 2]
    await _ended(engine, 12, lines=200)
    assert (await engine.worker(queue_min_retention=0, retention_completed_hours=0).reap()).forgotten == 12
    assert [forgotten for _, forgotten, _ in calls.answers("reap")] == [5, 5, 2]
    assert await cast("Any", engine.store.client).hlen(engine.store.keys(QUEUE)["logs"]) == 0


async def test_few_jobs_are_removed_at_a_time(engine: Engine, calls: Calls) -> None:
    for _ in range(2):
        await _ended(engine, 400)
    assert (await engine.steering.clean(QUEUE, 0))[State.COMPLETED] == 800
    assert [completed for completed, *_ in calls.answers("clean")] == [300, 300, 200]
