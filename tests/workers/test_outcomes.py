"""What becomes of a job, by how its handler ends."""

import time
from collections.abc import Callable
from typing import Any

from testjobs.v1.testjobs_pb2 import Noop, ScriptResult, Secret, SecretPart, Step

from engine.jobs import Cause, State
from engine.packing import unpack
from engine.schema import Record
from tests.conftest import eventually

from .conftest import WORK, Desk, WorkerProcess, new_job


async def test_an_answer_completes_the_job_and_is_stored(shared_desk: Desk) -> None:
    record = await shared_desk.end(await shared_desk.script(Step(answer=10)))
    assert record.state is State.COMPLETED
    assert ScriptResult.FromString(record.result) == ScriptResult(pad="x" * 10, starts=1)
    assert (record.fails, record.progress) == (0, 100)


async def test_an_error_is_retried_after_the_backoff_until_an_attempt_succeeds(shared_desk: Desk) -> None:
    record = await shared_desk.end(await shared_desk.script(Step(fail_times=2), backoff=100, exponential=True))
    assert record.state is State.COMPLETED
    first, second = record.failures
    assert first.reason == "attempt 1 was told to fail"
    assert second.time - first.time >= 100
    assert record.finished - second.time >= 200
    assert record.attempts_made == 3


async def test_a_job_fails_with_the_last_reason_once_its_attempts_are_used_up(shared_desk: Desk) -> None:
    record = await shared_desk.end(await shared_desk.script(Step(fail_times=9), attempts=2))
    assert (record.state, record.fails) == (State.FAILED, 2)
    assert record.failed_reason == "attempt 2 was told to fail"
    assert record.cause is Cause.HANDLER_ERROR


async def test_retry_after_sets_the_wait_and_uses_an_attempt(shared_desk: Desk) -> None:
    record = await shared_desk.end(await shared_desk.script(Step(retry_after=150), backoff=60_000))
    assert (record.state, record.fails) == (State.COMPLETED, 1)
    assert record.failures[0].reason == "told to retry"
    assert record.started - record.failures[0].time >= 150


async def test_snooze_waits_without_using_an_attempt(shared_desk: Desk) -> None:
    began = time.time() * 1000
    record = await shared_desk.end(await shared_desk.script(Step(snooze=150), attempts=1))
    assert (record.state, record.starts, record.fails) == (State.COMPLETED, 2, 0)
    assert record.started - began >= 150


async def test_fail_for_good_spares_the_attempts_that_are_left(shared_desk: Desk) -> None:
    record = await shared_desk.end(await shared_desk.script(Step(fail_for_good="hopeless")))
    assert (record.state, record.fails, record.failed_reason) == (State.FAILED, 1, "hopeless")
    assert record.cause is Cause.HANDLER_GAVE_UP


async def test_a_job_that_takes_too_long_is_ended_and_says_so(shared_desk: Desk) -> None:
    record = await shared_desk.end(await shared_desk.script(Step(sleep=60_000), timeout=200, attempts=1))
    assert (record.state, record.cause) == (State.FAILED, Cause.TIMED_OUT)
    assert record.failed_reason == "timed out after 0.2 s"
    assert 200 <= record.finished - record.started < 10_000


async def test_a_result_that_is_too_large_fails_for_good(shared_desk: Desk) -> None:
    record = await shared_desk.end(await shared_desk.script(Step(answer=1_000_001)))
    assert (record.state, record.fails, record.cause) == (State.FAILED, 1, Cause.UNUSABLE_RESULT)
    assert record.failed_reason.startswith("the result is too large")


async def test_a_job_that_cannot_be_read_fails_for_good(shared_desk: Desk) -> None:
    for name, broken in {
        "payload": new_job(WORK, "script", b"\xff\xff"),
        "envelope": new_job(WORK, "script", b"", envelope=b"\xff\xff"),
    }.items():
        await shared_desk.engine.add(broken)

        async def ended(job_id: str = broken.id) -> Any:
            counts = (
                await shared_desk.engine.store.client.hget(shared_desk.engine.store.keys(WORK)["results"], job_id)
            ) or b""
            return counts.startswith(b"the stored job cannot be read")

        await eventually(ended, what=f"a broken {name} fails")
        store = shared_desk.engine.store
        stored = await store.call("HGET", store.keys(WORK)["states"], broken.id)
        assert stored
        assert Record.read(unpack(stored)).cause == Cause.UNREADABLE


async def test_a_type_unknown_here_is_left_to_others_and_counts_no_attempt(
    shared_desk: Desk, shared_worker: WorkerProcess
) -> None:
    job = new_job(WORK, "from-the-next-release", b"")
    await shared_desk.engine.add(job)
    record = await shared_desk.reached(job.id, State.DELAYED)
    assert (record.fails, record.starts) == (0, 1)
    assert 900 <= record.ready - record.started <= 3100
    await eventually(lambda: shared_worker.lines("job_ended", job_id=job.id, outcome="unknown"))


async def test_a_checkpoint_reaches_the_next_start(shared_desk: Desk) -> None:
    record = await shared_desk.end(await shared_desk.script(Step(checkpoint="half-way"), Step(fail_times=1)))
    assert ScriptResult.FromString(record.result).checkpoint == "half-way"


async def test_secrets_reach_the_handler_on_every_attempt_though_the_envelope_has_none(shared_desk: Desk) -> None:
    whole = Secret(name="n", token="t", parts=[SecretPart(pin="1", label="l")], fail_times=1)
    redacted = Secret(name="n", parts=[SecretPart(label="l")], fail_times=1)
    record = await shared_desk.end(await shared_desk.enqueue(redacted, secret=whole.SerializeToString()))
    assert (record.state, record.fails) == (State.COMPLETED, 1)


async def test_every_start_is_logged_with_its_times_and_outcome(
    shared_desk: Desk, shared_worker: WorkerProcess
) -> None:
    job_id = await shared_desk.script(Step(sleep=50), Step(fail_times=1))
    await shared_desk.end(job_id)
    failed, completed = await eventually(
        lambda: (lines := shared_worker.lines("job_ended", job_id=job_id)) and len(lines) == 2 and lines
    )
    assert (failed["outcome"], failed["attempt"], failed["level"]) == ("fail", 1, "warning")
    assert failed["reason"] == "attempt 1 was told to fail"
    assert (completed["outcome"], completed["attempt"], completed["level"]) == ("complete", 2, "info")
    assert {"queue": WORK, "job_type": "script", "process": "worker"}.items() <= completed.items()
    for line in (failed, completed):
        assert 45 <= line["run_ms"] < 30_000  # neither seconds nor microseconds
        assert line["wait_ms"] >= 0
        assert line["start_time"] < line["timestamp"]
    (trace,) = shared_worker.lines("attempt_failed", job_id=job_id)
    assert "Traceback" in trace["exception"]


async def test_starts_are_logged_when_debugging_and_only_then(
    desk: Desk, new_worker: Callable[..., WorkerProcess]
) -> None:
    quiet = await new_worker().started()
    quiet_job = await desk.end(await desk.script(Step(log="x")))
    await eventually(lambda: quiet.lines("job_ended", job_id=quiet_job.id))
    assert quiet.lines("job_started") == []
    quiet.kill()
    telling = await new_worker(LOG_LEVEL="debug").started()
    job = await desk.end(await desk.script(Step(log="x")))
    (line,) = await eventually(lambda: telling.lines("job_started", job_id=job.id))
    assert {"queue": WORK, "job_type": "script", "attempt": 1, "starts": 1, "level": "debug"}.items() <= line.items()


async def test_a_thousand_quick_jobs_all_complete_once(shared_desk: Desk, shared_worker: WorkerProcess) -> None:
    jobs = [new_job(WORK, "noop", Noop(pad="x").SerializeToString()) for _ in range(1000)]
    await shared_desk.engine.add(*jobs)
    ids = {job.id for job in jobs}

    async def all_done() -> bool:
        records = await shared_desk.engine.inspection.get_many(WORK, sorted(ids))
        return all(record is not None and record.state is State.COMPLETED and record.starts == 1 for record in records)

    await eventually(all_done)
    await eventually(lambda: ids <= {line["job_id"] for line in shared_worker.lines("job_ended", outcome="complete")})
