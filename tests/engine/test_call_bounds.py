"""What one script call reads and writes is bounded in bytes, since the store does nothing else meanwhile."""

from typing import Any, cast

import pytest

from engine.claims import Claims
from engine.jobs import ClaimedJob, Outcome, Settlement, State
from engine.packing import unpack
from engine.store import Store

from .conftest import Engine, job

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
        fields = unpack(record)
        assert fields[26] == len(one.envelope)
        await client.hset(key, one.id, _shortened(record, fields[26]))
    assert [len(jobs) for jobs in await _claims(engine.worker())] == [3, 2]


def _shortened(record: bytes, size: int) -> bytes:
    tail = b"\xce" + size.to_bytes(4, "big")
    assert record.endswith(tail)
    return b"\xdc\x00\x1a" + record[3 : -len(tail)]


async def test_jobs_and_results_are_written_a_megabyte_at_a_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[tuple[str, int]] = []
    run = Store.run

    async def counted(self: Store, name: str, scope: str, *arguments: Any) -> Any:
        sizes.append((name, max((len(one) for one in arguments if isinstance(one, bytes)), default=0)))
        return await run(self, name, scope, *arguments)

    monkeypatch.setattr(Store, "run", counted)
    await engine.add(*(job(payload=b"x" * SIZE) for _ in range(7)))
    worker = engine.worker()
    held = [one for jobs in await _claims(worker) for one in jobs]
    ended = [Settlement(one.id, one.fence, Outcome.COMPLETE, result=b"r" * SIZE) for one in held]
    assert (await worker.settle(ended, 0)).lost == {}
    assert (await engine.stats()).counts[State.COMPLETED] == 7
    assert len([size for name, size in sizes if name == "enqueue"]) == 3
    assert max(size for _, size in sizes) < LIMIT + 1000
