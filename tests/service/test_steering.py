"""What administrators, and owners, do to jobs and queues."""

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from qcollector.jobs.v1.job_actions_pb2 import CancelJobRequest, DeleteJobRequest, PromoteJobRequest, RetryJobRequest
from qcollector.jobs.v1.job_bulk_pb2 import (
    BatchCancelJobsRequest,
    BatchDeleteJobsRequest,
    BatchPromoteJobsRequest,
    BatchRetryJobsRequest,
    JobFilter,
)
from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest
from qcollector.jobs.v1.queue_requests_pb2 import (
    CleanQueueRequest,
    GetQueueStatsRequest,
    ListQueueStatsRequest,
    PauseQueueRequest,
    ResumeQueueRequest,
    UpdateQueueRequest,
)
from structlog.testing import capture_logs
from testjobs.v1.testjobs_pb2 import NoopResult

from engine.store import Store

from .conftest import WORK, Noop, Running, Worker, refusal_in, refused


async def stats(service: Running) -> Any:
    return (await service.user.jobs.GetQueueStats(GetQueueStatsRequest(queue_name=WORK))).stats


async def held(service: Running) -> dict[str, int]:
    """Counts of the queue without the zeros."""
    return {field.name: value for field, value in (await stats(service)).counts.ListFields()}


async def test_a_waiting_job_is_cancelled_and_stays_so(service: Running, worker: Worker) -> None:
    job_id = await service.user.enqueue(Noop())
    cancel = CancelJobRequest(queue_name=WORK, job_id=job_id, reason="changed my mind")
    job = (await service.user.jobs.CancelJob(cancel)).job
    assert (job.state, job.failed_reason) == (JobState.JOB_STATE_CANCELLED, "changed my mind")
    assert (await service.user.jobs.CancelJob(cancel)).job.state == JobState.JOB_STATE_CANCELLED
    assert (await worker.of().claim(1)).jobs == ()


async def test_a_running_job_is_cancelled_whatever_its_worker_says_later(service: Running, worker: Worker) -> None:
    job_id = await service.user.enqueue(Noop())
    claimed = await worker.start()
    await service.user.jobs.CancelJob(CancelJobRequest(queue_name=WORK, job_id=job_id))
    await worker.end(claimed, NoopResult())
    job = (await service.user.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=job_id))).job
    assert job.state == JobState.JOB_STATE_CANCELLED


async def test_a_failed_job_runs_again(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(Noop())
    await worker.run(reason="no")
    job = (await service.admin.jobs.RetryJob(RetryJobRequest(queue_name=WORK, job_id=job_id))).job
    assert job.state == JobState.JOB_STATE_WAITING
    assert await worker.run(NoopResult()) == job_id


async def test_a_delayed_job_is_promoted(service: Running) -> None:
    job_id = await service.app.enqueue(Noop(), delay=60_000)
    job = (await service.admin.jobs.PromoteJob(PromoteJobRequest(queue_name=WORK, job_id=job_id))).job
    assert job.state == JobState.JOB_STATE_WAITING


async def test_a_deleted_job_is_gone(service: Running) -> None:
    job_id = await service.app.enqueue(Noop())
    await service.admin.jobs.DeleteJob(DeleteJobRequest(queue_name=WORK, job_id=job_id))
    assert (
        await refused(service.app.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=job_id)))
    ).reason == "JOB_NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "request_type", "state"),
    [
        ("CancelJob", CancelJobRequest, "COMPLETED"),
        ("RetryJob", RetryJobRequest, "WAITING"),
        ("RetryJob", RetryJobRequest, "COMPLETED"),
        ("PromoteJob", PromoteJobRequest, "WAITING"),
        ("DeleteJob", DeleteJobRequest, "ACTIVE"),
    ],
)
async def test_a_job_in_another_state_is_a_conflict(
    service: Running, worker: Worker, method: str, request_type: Callable[..., Any], state: str
) -> None:
    job_id = await service.app.enqueue(Noop())
    if state == "COMPLETED":
        await worker.run(NoopResult())
    elif state == "ACTIVE":
        await worker.start()
    refusal = await refused(getattr(service.admin.jobs, method)(request_type(queue_name=WORK, job_id=job_id)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_STATE_CONFLICT")
    assert refusal.metadata == {"queue": WORK, "job": job_id, "state": f"JOB_STATE_{state}"}


@pytest.mark.parametrize(
    ("method", "request_type"),
    [
        ("CancelJob", CancelJobRequest),
        ("RetryJob", RetryJobRequest),
        ("PromoteJob", PromoteJobRequest),
        ("DeleteJob", DeleteJobRequest),
    ],
)
async def test_what_is_not_there_cannot_be_steered(
    service: Running, method: str, request_type: Callable[..., Any]
) -> None:
    call = getattr(service.admin.jobs, method)
    assert (await refused(call(request_type(queue_name=WORK, job_id="gone")))).reason == "JOB_NOT_FOUND"
    assert (await refused(call(request_type(queue_name="gone", job_id="gone")))).reason == "QUEUE_UNKNOWN"
    assert (await refused(call(request_type(queue_name=WORK)))).fields == ["jobId"]


# In bulk


async def test_jobs_are_cancelled_by_their_ids_and_each_refusal_is_told(service: Running, worker: Worker) -> None:
    done = await service.app.enqueue(Noop())
    await worker.run(NoopResult())
    waiting = [await service.app.enqueue(Noop()) for _ in range(3)]
    ids = [*waiting, done, "gone"]
    answer = await service.admin.jobs.BatchCancelJobs(BatchCancelJobsRequest(queue_name=WORK, job_ids=ids))
    assert (answer.matched, answer.changed, answer.scanned, answer.next_page_token) == (3, 3, 5, "")
    assert [(failure.job.job_id, refusal_in(failure.error).reason) for failure in answer.failures] == [
        (done, "JOB_STATE_CONFLICT"),
        ("gone", "JOB_NOT_FOUND"),
    ]
    assert await held(service) == {"completed": 1, "cancelled": 3}


async def test_jobs_are_chosen_by_filter(service: Running, worker: Worker) -> None:
    for caller in (service.app, service.user):
        for _ in range(2):
            await caller.enqueue(Noop())
    by_ulla = JobFilter(created_by="ulla", job_type="noop")
    request = BatchCancelJobsRequest(queue_name=WORK, filter=by_ulla, validate_only=True)
    answer = await service.admin.jobs.BatchCancelJobs(request)
    assert (answer.matched, answer.changed) == (2, 0)
    assert await held(service) == {"waiting": 4}
    request.validate_only = False
    answer = await service.admin.jobs.BatchCancelJobs(request)
    assert (answer.matched, answer.changed) == (2, 2)
    assert await held(service) == {"waiting": 2, "cancelled": 2}
    again = await service.admin.jobs.BatchRetryJobs(BatchRetryJobsRequest(queue_name=WORK, all=True))
    assert again.changed == 2
    assert await held(service) == {"waiting": 4}
    await worker.start()
    deleted = await service.admin.jobs.BatchDeleteJobs(BatchDeleteJobsRequest(queue_name=WORK, all=True))
    assert deleted.changed == 3
    assert await held(service) == {"active": 1}


async def test_delayed_jobs_are_promoted_together(service: Running) -> None:
    for _ in range(3):
        await service.app.enqueue(Noop(), delay=60_000)
    answer = await service.admin.jobs.BatchPromoteJobs(BatchPromoteJobsRequest(queue_name=WORK, all=True))
    assert answer.changed == 3
    assert await held(service) == {"waiting": 3}


# Queues


async def test_a_paused_queue_takes_jobs_and_starts_none(service: Running, worker: Worker) -> None:
    answer = await service.admin.jobs.PauseQueue(PauseQueueRequest(queue_name=WORK))
    assert (answer.queue_name, answer.paused) == (WORK, True)
    job_id = await service.app.enqueue(Noop())
    assert (await worker.of().claim(1)).jobs == ()
    assert ((await stats(service)).paused, await held(service)) == (True, {"waiting": 1})
    resumed = await service.admin.jobs.ResumeQueue(ResumeQueueRequest(queue_name=WORK))
    assert (resumed.queue_name, resumed.paused) == (WORK, False)
    assert (await worker.start()).id == job_id


async def test_cleaning_keeps_what_ended_within_the_grace_which_is_a_day(service: Running, worker: Worker) -> None:
    for reason in ("", "no"):
        await service.app.enqueue(Noop())
        await worker.run(NoopResult(), reason=reason)
    waiting = await service.app.enqueue(Noop())
    kept = await service.admin.jobs.CleanQueue(CleanQueueRequest(queue_name=WORK))
    assert (kept.removed.completed, kept.removed.failed) == (0, 0)
    cleaned = await service.admin.jobs.CleanQueue(CleanQueueRequest(queue_name=WORK, grace=0))
    assert (cleaned.removed.completed, cleaned.removed.failed, cleaned.removed.cancelled) == (1, 1, 0)
    assert await held(service) == {"waiting": 1}
    assert (await service.app.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=waiting))).job.id == waiting


async def test_limits_hold_over_all_workers_until_taken_away(service: Running, worker: Worker) -> None:
    update = service.admin.jobs.UpdateQueue
    answer = await update(UpdateQueueRequest(queue_name=WORK, max_active=2, rate={"max": 100, "period_ms": 60_000}))
    assert (answer.stats.limits.max_active, answer.stats.limits.rate.max) == (2, 100)
    for _ in range(4):
        await service.app.enqueue(Noop())
    assert len((await worker.of().claim(4)).jobs) == 2
    unchanged = await update(UpdateQueueRequest(queue_name=WORK))
    assert unchanged.stats.limits == answer.stats.limits
    free = await update(UpdateQueueRequest(queue_name=WORK, max_active=0, rate={"max": 0}))
    assert (free.stats.limits.max_active, free.stats.limits.HasField("rate")) == (0, False)
    assert len((await worker.of().claim(4)).jobs) == 2


async def test_limits_that_somebody_else_has_changed_are_not_overwritten(service: Running) -> None:
    update = service.admin.jobs.UpdateQueue
    seen = (await update(UpdateQueueRequest(queue_name=WORK, max_active=2))).stats.limits
    first = await update(UpdateQueueRequest(queue_name=WORK, max_active=3, etag=seen.etag))
    assert (first.stats.limits.max_active, first.stats.limits.etag != seen.etag) == (3, True)
    refusal = await refused(update(UpdateQueueRequest(queue_name=WORK, max_active=4, etag=seen.etag)))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    rate = {"max": 5, "period_ms": 1000}
    await asyncio.gather(
        update(UpdateQueueRequest(queue_name=WORK, max_active=7)),
        update(UpdateQueueRequest(queue_name=WORK, rate=rate)),
    )
    now = (await service.admin.jobs.GetQueueStats(GetQueueStatsRequest(queue_name=WORK))).stats.limits
    assert (now.max_active, now.rate.max, now.rate.period_ms) == (7, 5, 1000)


async def test_of_many_who_change_the_limits_that_they_have_seen_one_wins(service: Running) -> None:
    seen = (await service.admin.jobs.GetQueueStats(GetQueueStatsRequest(queue_name=WORK))).stats.limits

    async def change(most: int) -> bool:
        try:
            wanted = UpdateQueueRequest(queue_name=WORK, max_active=most, etag=seen.etag)
            await service.admin.jobs.UpdateQueue(wanted)
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.ABORTED
            return False
        return True

    assert sum(await asyncio.gather(*(change(most) for most in range(100, 120)))) == 1


async def test_a_pause_tells_who_made_it_since_when_and_why_until_it_ends(service: Running) -> None:
    jobs = service.admin.jobs
    stats = GetQueueStatsRequest(queue_name=WORK)
    with capture_logs() as lines:
        await jobs.PauseQueue(PauseQueueRequest(queue_name=WORK, reason="the disk is full"))
    first = (await jobs.GetQueueStats(stats)).stats
    assert (first.paused, first.pause.by.id, first.pause.reason) == (True, "a-admin", "the disk is full")
    assert first.pause.time.seconds
    await service.as_("admin", "second").jobs.PauseQueue(PauseQueueRequest(queue_name=WORK, reason="still"))
    again = (await jobs.GetQueueStats(stats)).stats.pause
    assert (again.time, again.by.id, again.reason) == (first.pause.time, "second", "still")
    await jobs.ResumeQueue(ResumeQueueRequest(queue_name=WORK, reason="there is room"))
    resumed = (await jobs.GetQueueStats(stats)).stats
    assert (resumed.paused, resumed.HasField("pause")) == (False, False)
    (line,) = [line for line in lines if line["event"] == "queue_paused"]
    assert (line["audit"], line["caller"], line["queue"], line["reason"]) == (True, "a-admin", WORK, "the disk is full")


async def test_a_pause_of_the_release_before_is_one_of_nobody(service: Running, store: Store) -> None:
    await store.client.hset(store.keys(WORK)["meta"], "paused", 1)
    stats = (await service.admin.jobs.GetQueueStats(GetQueueStatsRequest(queue_name=WORK))).stats
    assert (stats.paused, stats.pause.HasField("by"), stats.pause.HasField("time")) == (True, False, False)


@pytest.mark.parametrize(
    ("method", "wrong", "fields"),
    [
        ("CleanQueue", CleanQueueRequest(queue_name=WORK, grace=-1), ["grace"]),
        ("CleanQueue", CleanQueueRequest(queue_name=WORK, grace=float("inf")), ["grace"]),
        ("CleanQueue", CleanQueueRequest(), ["queueName"]),
        ("PauseQueue", PauseQueueRequest(), ["queueName"]),
        ("PauseQueue", PauseQueueRequest(queue_name="q" * 129), ["queueName"]),
        ("UpdateQueue", UpdateQueueRequest(queue_name=WORK, max_active=-1), ["maxActive"]),
        ("UpdateQueue", UpdateQueueRequest(queue_name=WORK, rate={"max": -1}), ["rate.max"]),
        ("UpdateQueue", UpdateQueueRequest(queue_name=WORK, rate={"max": 5}), ["rate.periodMs"]),
    ],
)
async def test_a_wrong_call_on_a_queue_names_its_field(
    service: Running, method: str, wrong: Any, fields: list[str]
) -> None:
    refusal = await refused(getattr(service.admin.jobs, method)(wrong))
    assert refusal.reason == "REQUEST_INVALID"
    assert list(dict.fromkeys(refusal.fields)) == fields


async def test_every_call_on_a_queue_knows_an_unknown_one(service: Running) -> None:
    calls = {
        "PauseQueue": PauseQueueRequest,
        "ResumeQueue": ResumeQueueRequest,
        "CleanQueue": CleanQueueRequest,
        "UpdateQueue": UpdateQueueRequest,
        "GetQueueStats": GetQueueStatsRequest,
    }
    for method, request_type in calls.items():
        refusal = await refused(getattr(service.admin.jobs, method)(request_type(queue_name="nope")))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "QUEUE_UNKNOWN")
        assert refusal.metadata == {"queue": "nope"}


async def test_stats_tell_counts_totals_and_times(service: Running, worker: Worker) -> None:
    for reason in ("", "", "no"):
        await service.app.enqueue(Noop())
        await worker.run(NoopResult(), reason=reason)
    await service.app.enqueue(Noop())
    queues = (await service.user.jobs.ListQueueStats(ListQueueStatsRequest())).queues
    (work,) = [queue for queue in queues if queue.queue_name == WORK]
    assert (work.counts.waiting, work.counts.completed, work.counts.failed) == (1, 2, 1)
    assert (work.totals.completed, work.totals.failed, work.totals.cancelled) == (2, 1, 0)
    assert work.run_ms.p50 >= 0
    assert work.per_minute.completed > 0
    serial = next(queue for queue in queues if queue.queue_name == "test:serial")
    assert serial.limits.max_active == 1
