"""A job's way through its states."""

import asyncio
import time
from typing import Any

import pytest
from msgspec.structs import replace

from contract.errors import JobNotFoundError, JobPurgedError, JobStateConflictError
from engine.claims import Claims, Note
from engine.jobs import Cause, Loss, Outcome, Settlement, State
from engine.packing import pack, unpack
from engine.schema import Record
from tests.conftest import eventually

from .conftest import QUEUE, Engine, complete, fail, job


async def test_a_job_waits_runs_and_completes_with_its_result(engine: Engine) -> None:
    await engine.add(job("a"))
    assert await engine.state("a") is State.WAITING
    worker = engine.worker()
    (claimed,) = (await worker.claim(5)).jobs
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert (record.state, record.worker, record.starts) == (State.ACTIVE, "w1", 1)
    await worker.settle([complete(claimed, b"\x08\x01")], 0)
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert (record.state, record.result, record.progress, record.attempts_made) == (
        State.COMPLETED,
        b"\x08\x01",
        100,
        1,
    )
    assert record.created <= record.started <= record.finished


async def test_higher_priority_runs_first_and_equals_in_order(engine: Engine) -> None:
    await engine.add(job("low", priority=-1), job("a"), job("b"), job("high", priority=8), job("c", priority=8))
    claim = await engine.worker().claim(10)
    assert [claimed.id for claimed in claim.jobs] == ["high", "c", "a", "b", "low"]


async def test_settling_claims_the_next_jobs_in_the_same_call(engine: Engine) -> None:
    await engine.add(job("a"), job("b"))
    worker = engine.worker()
    (first,) = (await worker.claim(1)).jobs
    (second,) = (await worker.settle([complete(first)], 1)).jobs
    assert second.id == "b"
    assert await engine.counts() == {"active": 1, "completed": 1}


async def test_a_delayed_job_is_not_claimed_before_its_time_and_tells_when_it_is_due(engine: Engine) -> None:
    await engine.add(job("a", delay=300))
    claim = await engine.worker().claim(1)
    assert claim.jobs == ()
    assert 0 < claim.due_in <= 300
    await eventually(lambda: _claims(engine), seconds=3)


async def _claims(engine: Engine) -> bool:
    return bool((await engine.worker().claim(1)).jobs)


async def test_a_failed_attempt_is_retried_with_exponential_backoff_until_attempts_run_out(engine: Engine) -> None:
    await engine.add(job("a", attempts=3, exponential=True, backoff=100))
    worker = engine.worker()
    waits = []
    for _ in range(2):
        (claimed,) = await eventually(lambda: _jobs(worker))
        await worker.settle([fail(claimed, "no luck")], 0)
        record = await engine.inspection.get(QUEUE, "a")
        assert record
        assert record.state is State.DELAYED
        waits.append(record.ready - record.failures[-1].time)
    (claimed,) = await eventually(lambda: _jobs(worker))
    assert claimed.fails == 2
    await worker.settle([fail(claimed, "no luck at all")], 0)
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert waits == [100, 200]
    assert (record.state, record.attempts_made, record.failed_reason) == (State.FAILED, 3, "no luck at all")
    assert [failure.reason for failure in record.failures] == ["no luck", "no luck", "no luck at all"]
    assert {failure.worker for failure in record.failures} == {"w1"}


async def _jobs(worker):
    return (await worker.claim(1)).jobs


async def test_the_latest_hundred_failed_attempts_are_kept(engine: Engine) -> None:
    await engine.add(job("a", attempts=200))
    worker = engine.worker()
    for number in range(103):
        (claimed,) = (await worker.claim(1)).jobs
        await worker.settle([Settlement(claimed.id, claimed.fence, Outcome.FAIL, reason=f"r{number}", delay=0)], 0)
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert [failure.reason for failure in record.failures] == [f"r{number}" for number in range(3, 103)]


async def test_jitter_only_shortens_the_wait_and_is_drawn_anew_in_each_call(engine: Engine) -> None:
    await engine.add(*(job(attempts=2, backoff=10_000, jitter=0.5) for _ in range(50)))
    worker = engine.worker()
    claimed = (await worker.claim(50)).jobs
    for one in claimed:
        await worker.settle([fail(one)], 0)
    records = [record for record in await engine.inspection.get_many(QUEUE, [one.id for one in claimed]) if record]
    waits = [record.ready - record.failures[0].time for record in records]
    assert min(waits) >= 5000
    assert max(waits) <= 10_000
    assert len(set(waits)) > 10


async def test_fail_for_good_uses_no_further_attempt(engine: Engine) -> None:
    await engine.add(job("a", attempts=5))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await worker.settle([Settlement("a", claimed.fence, Outcome.FAIL_FOR_GOOD, reason="hopeless")], 0)
    assert await engine.state("a") is State.FAILED


async def test_snoozing_uses_no_attempt(engine: Engine) -> None:
    await engine.add(job("a", attempts=1))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await worker.settle([Settlement("a", claimed.fence, Outcome.SNOOZE, delay=20)], 0)
    assert await engine.state("a") is State.DELAYED
    (claimed,) = await eventually(lambda: _jobs(worker))
    assert (claimed.fails, claimed.fence) == (0, 2)


async def test_a_released_job_takes_its_old_place(engine: Engine) -> None:
    await engine.add(job("a"), job("b"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await engine.add(job("c"))
    await worker.settle([Settlement("a", claimed.fence, Outcome.RELEASE)], 0)
    claim = await worker.claim(5)
    assert [(claimed.id, claimed.fails) for claimed in claim.jobs] == [("a", 0), ("b", 0), ("c", 0)]


async def test_an_unknown_type_is_put_back_and_fails_after_ten_minutes(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    cause = Cause.UNKNOWN_TYPE
    unknown = Settlement("a", claimed.fence, Outcome.UNKNOWN, reason="no worker knows it", delay=10, cause=cause)
    await worker.settle([unknown], 0)
    assert await engine.state("a") is State.DELAYED
    await _rewrite(engine, "a", unknown_since=lambda since: since - 600_000)
    (claimed,) = await eventually(lambda: _jobs(worker))
    await worker.settle([replace(unknown, fence=claimed.fence)], 0)
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert (record.state, record.cause, record.failed_reason) == (State.FAILED, cause, "no worker knows it")


@pytest.mark.parametrize(
    "between", [Outcome.FAIL, Outcome.SNOOZE, Outcome.RELEASE, None], ids=lambda one: one or "stall"
)
async def test_the_ten_minutes_of_an_unknown_type_begin_anew_after_any_other_end_of_an_attempt(
    engine: Engine, between: Outcome | None
) -> None:
    """During a rolling upgrade workers that know the type and workers that do not take turns."""
    await engine.add(job("a", attempts=9))
    worker = engine.worker(queue_lease_seconds=0.1)

    async def end(outcome: Outcome | None) -> None:
        (claimed,) = await eventually(lambda: _jobs(worker))
        if outcome is None:
            await eventually(lambda: _stalled(worker))
        else:
            await worker.settle([Settlement("a", claimed.fence, outcome, reason="r", delay=1)], 0)

    await end(Outcome.UNKNOWN)
    await _rewrite(engine, "a", unknown_since=lambda since: since - 600_000)
    await end(between)
    await end(Outcome.UNKNOWN)
    assert await engine.state("a") is State.DELAYED


async def _stalled(worker: Claims) -> tuple[str, ...]:
    return (await worker.reap()).stalled


async def _rewrite(engine: Engine, job_id: str, unknown_since) -> None:
    """Turns the clock of one job back, which no interface offers."""
    key = engine.store.keys(QUEUE)["states"]
    record = Record.read(unpack(await engine.store.client.hget(key, job_id)))
    await engine.store.client.hset(
        key, job_id, pack(record._replace(unknown_since=unknown_since(record.unknown_since)))
    )


async def test_a_job_that_expired_before_it_started_fails_with_that_reason(engine: Engine) -> None:
    (stored,) = await engine.add(job("a"))
    await engine.add(job("late", expire_at=stored.created - 1), job("b"))
    claim = await engine.worker().claim(5)
    assert [claimed.id for claimed in claim.jobs] == ["a", "b"]
    record = await engine.inspection.get(QUEUE, "late")
    assert record
    assert record.state is State.FAILED
    assert (record.cause, record.failed_reason) == (Cause.EXPIRED, "expired: it had not started by its expireAt")


async def test_a_job_that_has_started_in_time_is_tried_again_however_late(engine: Engine) -> None:
    now = int(time.time() * 1000)
    await engine.add(job("a", expire_at=now + 1000, attempts=2))
    worker = engine.worker()
    (first,) = (await worker.claim(1)).jobs
    await worker.settle([Settlement("a", first.fence, Outcome.FAIL, reason="r", delay=0)], 0)
    await asyncio.sleep(max(now + 1050 - time.time() * 1000, 0) / 1000)
    assert [claimed.id for claimed in (await worker.claim(1)).jobs] == ["a"]


async def test_an_attempt_that_failed_counts_among_the_run_times(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await asyncio.sleep(0.1)
    await worker.settle([fail(claimed, "r")], 0)
    assert (await engine.stats()).run.p50 >= 50


async def test_a_stale_worker_is_fenced_off_in_every_call(engine: Engine) -> None:
    await engine.add(job("a"))
    stale = engine.worker("stale", queue_lease_seconds=0.05)
    (held,) = (await stale.claim(1)).jobs
    fresh = engine.worker("fresh")
    await eventually(lambda: _reaps(fresh))
    (claimed,) = (await fresh.claim(1)).jobs
    assert claimed.fence == held.fence + 1
    assert (await stale.settle([complete(held)], 0)).lost == {"a": Loss.LOST}
    assert await stale.extend([("a", held.fence)]) == {"a": Loss.LOST}
    assert await stale.note([Note("a", held.fence, 50, (("log", "hello"),))]) == [Loss.LOST]
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert (record.state, record.worker, record.progress) == (State.ACTIVE, "fresh", 0)


async def _reaps(worker) -> bool:
    return bool((await worker.reap()).stalled)


async def test_a_finished_job_never_runs_again(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker(queue_lease_seconds=0.01)
    (claimed,) = (await worker.claim(1)).jobs
    await worker.settle([complete(claimed)], 0)
    assert (await worker.settle([fail(claimed)], 5)).lost == {"a": Loss.LOST}
    await worker.reap()
    assert (await worker.claim(5)).jobs == ()
    assert await engine.counts() == {"completed": 1}


async def test_a_job_whose_lease_runs_out_starts_again_and_fails_at_the_third_stall(engine: Engine) -> None:
    await engine.add(job("a", attempts=1))
    worker = engine.worker(queue_lease_seconds=0.01)
    for stalls in (1, 2):
        assert await eventually(lambda: _jobs(worker))
        await eventually(lambda: _reaps(worker))
        record = await engine.inspection.get(QUEUE, "a")
        assert record
        assert (record.state, record.stalls, record.fails) == (State.WAITING, stalls, 0)
    assert await _jobs(worker)
    await eventually(lambda: _reaps(worker))
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert record.state is State.FAILED
    assert record.cause is Cause.STALLED


async def test_renewing_keeps_a_lease_beyond_its_time(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker(queue_lease_seconds=0.3)
    (claimed,) = (await worker.claim(1)).jobs
    for _ in range(8):
        assert await worker.extend([("a", claimed.fence)]) == {}
        await asyncio.sleep(0.1)
        assert (await worker.reap()).stalled == ()


async def test_a_checkpoint_reaches_the_next_start_and_goes_with_the_end(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    assert claimed.checkpoint == b""
    assert await worker.note([Note("a", claimed.fence, checkpoint=b"half\xff")]) == [None]
    await worker.settle([Settlement("a", claimed.fence, Outcome.RELEASE)], 0)
    (claimed,) = (await worker.claim(1)).jobs
    assert claimed.checkpoint == b"half\xff"
    await worker.settle([complete(claimed)], 0)
    assert await engine.store.client.hlen(engine.store.keys(QUEUE)["checkpoints"]) == 0


@pytest.mark.parametrize("delay", [0, 60_000])
async def test_cancelling_a_job_that_has_not_started_keeps_it_from_running(engine: Engine, delay: int) -> None:
    await engine.add(job("a", delay=delay))
    record = await engine.steering.cancel(QUEUE, "a", "not needed")
    assert (record.state, record.failed_reason) == (State.CANCELLED, "not needed")
    assert (await engine.worker().claim(5)).jobs == ()


async def test_a_job_cancelled_while_it_runs_stays_cancelled_whatever_its_worker_reports(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await engine.steering.cancel(QUEUE, "a")
    assert await worker.extend([("a", claimed.fence)]) == {"a": Loss.CANCELLED}
    assert await worker.note([Note("a", claimed.fence, 50)]) == [Loss.CANCELLED]
    assert (await worker.settle([complete(claimed)], 0)).lost == {"a": Loss.CANCELLED}
    assert await engine.counts() == {"cancelled": 1}


async def test_cancelling_twice_is_no_error_and_cancelling_what_ended_is(engine: Engine) -> None:
    await engine.add(job("a"), job("b"))
    await engine.steering.cancel(QUEUE, "a", "first")
    assert (await engine.steering.cancel(QUEUE, "a", "second")).failed_reason == "first"
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await worker.settle([complete(claimed)], 0)
    with pytest.raises(JobStateConflictError, match="completed"):
        await engine.steering.cancel(QUEUE, "b")
    with pytest.raises(JobNotFoundError):
        await engine.steering.cancel(QUEUE, "nobody")


async def test_a_retried_job_has_all_its_attempts_again(engine: Engine) -> None:
    await engine.add(job("a", attempts=2, backoff=0))
    worker = engine.worker()
    for _ in range(2):
        (claimed,) = (await worker.claim(1)).jobs
        await worker.settle([fail(claimed)], 0)
    assert await engine.state("a") is State.FAILED
    record = await engine.steering.retry(QUEUE, "a")
    assert (record.state, record.fails) == (State.WAITING, 0)
    (claimed,) = (await worker.claim(1)).jobs
    await worker.settle([fail(claimed)], 0)
    assert await engine.state("a") is State.WAITING
    with pytest.raises(JobStateConflictError):
        await engine.steering.retry(QUEUE, "a")


async def test_a_retried_job_that_had_expired_runs(engine: Engine) -> None:
    (stored,) = await engine.add(job("first"))
    await engine.add(job("a", expire_at=stored.created - 1))
    assert [claimed.id for claimed in (await engine.worker().claim(5)).jobs] == ["first"]
    await engine.steering.retry(QUEUE, "a")
    assert [claimed.id for claimed in (await engine.worker().claim(5)).jobs] == ["a"]


async def test_why_a_retried_job_had_failed_is_not_its_result(engine: Engine) -> None:
    await engine.add(job("a", attempts=1))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await worker.settle([fail(claimed, "broken")], 0)
    await engine.steering.retry(QUEUE, "a")
    (claimed,) = (await worker.claim(1)).jobs
    await worker.settle([complete(claimed)], 0)
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert (record.state, record.result, record.failed_reason) == (State.COMPLETED, b"", "")


async def test_a_retried_job_that_stalled_too_often_may_stall_as_often_again(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker(queue_lease_seconds=0.01)
    for _ in range(3):
        assert await _jobs(worker)
        await eventually(lambda: _reaps(worker))
    assert await engine.state("a") is State.FAILED
    await engine.steering.retry(QUEUE, "a")
    assert await _jobs(worker)
    await eventually(lambda: _reaps(worker))
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert (record.state, record.stalls) == (State.WAITING, 1)


async def test_a_retried_job_of_an_unknown_type_has_its_ten_minutes_again(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    (claimed,) = await _jobs(worker)
    await worker.settle([Settlement("a", claimed.fence, Outcome.UNKNOWN, delay=1)], 0)
    (claimed,) = await eventually(lambda: _jobs(worker))
    await _rewrite(engine, "a", unknown_since=lambda since: since - 600_000)
    await worker.settle([Settlement("a", claimed.fence, Outcome.UNKNOWN, delay=1)], 0)
    assert await engine.state("a") is State.FAILED
    await engine.steering.retry(QUEUE, "a")
    (claimed,) = await eventually(lambda: _jobs(worker))
    await worker.settle([Settlement("a", claimed.fence, Outcome.UNKNOWN, delay=1)], 0)
    assert await engine.state("a") is State.DELAYED


async def test_a_promoted_job_is_ready_at_once(engine: Engine) -> None:
    await engine.add(job("a", delay=60_000))
    await engine.steering.promote(QUEUE, "a")
    assert [claimed.id for claimed in (await engine.worker().claim(1)).jobs] == ["a"]
    with pytest.raises(JobStateConflictError, match="active"):
        await engine.steering.promote(QUEUE, "a")


async def test_deleting_removes_all_that_is_kept_of_a_job(engine: Engine) -> None:
    await engine.add(job("a", secret=b"s"), job("b"))
    worker = engine.worker()
    (claimed, other) = (await worker.claim(2)).jobs
    await worker.note([Note("a", claimed.fence, 5, (("log", "one"), ("log", "two")), b"c")])
    with pytest.raises(JobStateConflictError, match="active"):
        await engine.steering.delete(QUEUE, "a")
    await worker.settle([fail(claimed)], 0)
    await engine.steering.delete(QUEUE, "a")
    await worker.settle([complete(other)], 0)
    await engine.steering.delete(QUEUE, "b")
    assert await engine.counts() == {}
    keys = {key.decode() async for key in engine.store.client.scan_iter(f"{engine.store.prefix}:*")}
    assert {key.rsplit(":", 1)[1] for key in keys} <= {"meta", "events", "rates", "marker"}


@pytest.mark.parametrize("end", ["complete", "fail", "cancel", "delete"])
async def test_sensitive_values_are_purged_when_the_job_settles(engine: Engine, end: str) -> None:
    await engine.add(job("a", secret=b"hush"))
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    assert claimed.secret == b"hush"
    match end:
        case "complete":
            await worker.settle([complete(claimed)], 0)
        case "fail":
            await worker.settle([fail(claimed)], 0)
            with pytest.raises(JobPurgedError):
                await engine.steering.retry(QUEUE, "a")
        case "cancel":
            await engine.steering.cancel(QUEUE, "a")
        case _:
            await engine.steering.cancel(QUEUE, "a")
            await engine.steering.delete(QUEUE, "a")
    assert await engine.store.client.hlen(engine.store.keys(QUEUE)["secrets"]) == 0


@pytest.mark.parametrize("left_in", ["active", "delayed"])
@pytest.mark.parametrize("ended", [True, False])
async def test_an_entry_that_was_left_behind_runs_no_job(engine: Engine, left_in: str, ended: bool) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    if ended:
        (claimed,) = (await worker.claim(1)).jobs
        await worker.settle([complete(claimed)], 0)
    before = await engine.inspection.get(QUEUE, "a")
    client: Any = engine.store.client
    await client.zadd(engine.store.keys(QUEUE)[left_in], {"a": 1, "gone": 1})
    assert (await worker.reap()).stalled == ()
    assert await engine.inspection.get(QUEUE, "a") == before
    assert await engine.counts() == {"completed" if ended else "waiting": 1}
