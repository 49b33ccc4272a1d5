"""Why a job failed for good is stored as a number that programs can decide by, and told by the contract under the same one."""

from typing import Any

import pytest
from qcollector.jobs.v1.job_pb2 import JobFailureCause

from engine.jobs import Cause, Outcome, Settlement, State
from engine.packing import pack, unpack
from engine.schema import Record

from .conftest import QUEUE, Engine, complete, job


async def _record(engine: Engine, job_id: str) -> list[Any]:
    stored: list[Any] = unpack(await engine.store.client.hget(engine.store.keys(QUEUE)["states"], job_id))
    return stored


async def _end(engine: Engine, cause: Cause, outcome: Outcome = Outcome.FAIL_FOR_GOOD) -> None:
    worker = engine.worker()
    (claimed,) = (await worker.claim(1)).jobs
    await worker.settle([Settlement(claimed.id, claimed.fence, outcome, reason="broken", cause=cause)], 0)


def test_the_contract_tells_the_numbers_that_the_store_keeps() -> None:
    assert {f"JOB_FAILURE_CAUSE_{cause.name}": cause.value for cause in Cause} == dict(JobFailureCause.items())


@pytest.mark.parametrize("outcome", [Outcome.FAIL, Outcome.FAIL_FOR_GOOD])
async def test_the_cause_of_the_last_attempt_is_that_of_the_job(engine: Engine, outcome: Outcome) -> None:
    await engine.add(job("a", attempts=1))
    await _end(engine, Cause.TIMED_OUT, outcome)
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert (record.state, record.cause) == (State.FAILED, Cause.TIMED_OUT)


async def test_a_job_that_failed_an_attempt_and_is_tried_again_has_no_cause(engine: Engine) -> None:
    await engine.add(job("a", attempts=2, backoff=0))
    await _end(engine, Cause.TIMED_OUT, Outcome.FAIL)
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert (record.state, record.cause) == (State.WAITING, Cause.UNSPECIFIED)


async def test_a_job_that_did_not_fail_is_stored_without_a_place_for_a_cause(engine: Engine) -> None:
    await engine.add(job("a"))
    worker = engine.worker()
    await worker.settle([complete((await worker.claim(1)).jobs[0])], 0)
    assert len(await _record(engine, "a")) == Record._fields.index("cause")


async def test_a_retry_takes_the_cause_away(engine: Engine) -> None:
    await engine.add(job("a"))
    await _end(engine, Cause.HANDLER_GAVE_UP)
    await engine.steering.retry(QUEUE, "a")
    assert Record(*await _record(engine, "a")).cause == Cause.UNSPECIFIED


@pytest.mark.parametrize("lacking", [1, 2])
async def test_a_record_of_an_older_release_reads_and_takes_a_cause(engine: Engine, lacking: int) -> None:
    """Some lack the cause alone, older ones the size before it, too."""
    await engine.add(job("a"))
    key = engine.store.keys(QUEUE)["states"]
    older = Record(*await _record(engine, "a"))[: len(Record._fields) - lacking]
    await engine.store.client.hset(key, "a", pack(older))
    await _end(engine, Cause.HANDLER_GAVE_UP)
    record = await engine.inspection.get(QUEUE, "a")
    assert record
    assert (record.state, record.cause) == (State.FAILED, Cause.HANDLER_GAVE_UP)
    assert len(await _record(engine, "a")) == len(Record._fields)


async def test_a_failure_of_an_older_release_and_a_cause_of_a_newer_one_are_unspecified(engine: Engine) -> None:
    await engine.add(job("a"))
    await _end(engine, Cause.STALLED)
    key, stored = engine.store.keys(QUEUE)["states"], await _record(engine, "a")
    for kept in (stored[:-1], [*stored[:-1], 1000], [*stored[:-1], 1000, "more"]):
        await engine.store.client.hset(key, "a", pack(kept))
        record = await engine.inspection.get(QUEUE, "a")
        assert record
        assert (record.state, record.cause) == (State.FAILED, Cause.UNSPECIFIED)
