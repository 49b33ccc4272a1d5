"""Single jobs, pages of them, their logs and results, and what of them stays hidden."""

import asyncio
import json
import time
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_actions_pb2 import CancelJobRequest, RetryJobRequest
from qcollector.jobs.v1.job_bulk_pb2 import BatchDeleteJobsRequest, JobFilter
from qcollector.jobs.v1.job_pb2 import JobState, JobView
from qcollector.jobs.v1.job_queries_pb2 import (
    DownloadResultRequest,
    GetJobRequest,
    ListJobLogsRequest,
    ListJobsRequest,
    WatchJobRequest,
)
from structlog.testing import capture_logs
from testjobs.v1.testjobs_pb2 import NoopResult, ScriptResult

from engine.store import Store

from .conftest import WORK, Noop, Running, Script, Secret, Worker, custom, refused

NOOP = Script(steps=[{"sleep": 1}])


async def get(service: Running, job_id: str, **options: Any) -> Any:
    return (await service.admin.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=job_id, **options))).job


async def test_a_job_shows_its_whole_life(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(NOOP, priority=3)
    waiting = await get(service, job_id)
    assert (waiting.state, waiting.priority, waiting.max_attempts) == (JobState.JOB_STATE_WAITING, 3, 3)
    assert not any(map(waiting.HasField, ("start_time", "end_time", "run_time", "result")))
    claimed = await worker.start()
    await worker.say(claimed, 40.0)
    active = await get(service, job_id)
    assert (active.state, active.progress, active.worker) == (JobState.JOB_STATE_ACTIVE, 40, "worker-1")
    await worker.end(claimed, ScriptResult(checkpoint="c", starts=1))
    done = await get(service, job_id)
    assert (done.state, done.progress, done.attempts_made) == (JobState.JOB_STATE_COMPLETED, 100, 1)
    assert done.create_time.ToMilliseconds() <= done.start_time.ToMilliseconds() <= done.end_time.ToMilliseconds()
    result = ScriptResult()
    assert done.result.custom.Unpack(result)
    assert result == ScriptResult(checkpoint="c", starts=1)


async def test_a_failed_job_says_why_each_attempt_failed(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(NOOP)
    await worker.run(reason="the disk is full")
    job = await get(service, job_id)
    assert (job.state, job.failed_reason) == (JobState.JOB_STATE_FAILED, "the disk is full")
    assert [(failure.reason, failure.worker) for failure in job.failures] == [("the disk is full", "worker-1")]
    assert not job.HasField("result")


async def test_a_job_in_json_has_the_documented_names(service: Running) -> None:
    job_id = await service.app.enqueue(NOOP, delay=60_000)
    answer = await service.admin.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=job_id))
    job = MessageToDict(answer, always_print_fields_with_no_presence=True)["data"]
    assert {"id", "queueName", "jobType", "state", "progress", "priority", "attemptsMade", "maxAttempts"} <= job.keys()
    assert {"createTime", "runTime", "failedReason", "failures", "payload", "createdBy", "options"} <= job.keys()
    assert job["state"] == "JOB_STATE_DELAYED"
    assert isinstance(job["progress"], float)


@pytest.mark.parametrize(
    ("wanted", "code", "reason"),
    [
        (GetJobRequest(queue_name=WORK, job_id="gone"), "NOT_FOUND", "JOB_NOT_FOUND"),
        (GetJobRequest(queue_name="gone", job_id="gone"), "NOT_FOUND", "QUEUE_UNKNOWN"),
        (GetJobRequest(queue_name=WORK, job_id="a\x00b"), "NOT_FOUND", "JOB_NOT_FOUND"),
        (GetJobRequest(queue_name=WORK), "INVALID_ARGUMENT", "REQUEST_INVALID"),
        (GetJobRequest(queue_name=WORK, job_id="x", wait_seconds=-1), "INVALID_ARGUMENT", "REQUEST_INVALID"),
        (GetJobRequest(queue_name=WORK, job_id="x", wait_seconds=301), "INVALID_ARGUMENT", "REQUEST_INVALID"),
        (GetJobRequest(queue_name=WORK, job_id="x" * 129), "INVALID_ARGUMENT", "REQUEST_INVALID"),
    ],
)
async def test_a_job_that_cannot_be_got_says_why(
    service: Running, wanted: GetJobRequest, code: str, reason: str
) -> None:
    refusal = await refused(service.admin.jobs.GetJob(wanted))
    assert (refusal.code.name, refusal.reason) == (code, reason)


# Waiting for the end


async def test_waiting_answers_at_the_end_of_the_job(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(NOOP)
    waiting = asyncio.create_task(get(service, job_id, wait_seconds=25))
    await worker.run(ScriptResult(starts=1))
    began = time.monotonic()
    assert (await waiting).state == JobState.JOB_STATE_COMPLETED
    assert time.monotonic() - began < 5
    assert (await get(service, job_id, wait_seconds=25)).state == JobState.JOB_STATE_COMPLETED
    assert time.monotonic() - began < 5


async def test_waiting_for_too_long_answers_the_job_as_it_stands(service: Running) -> None:
    job_id = await service.app.enqueue(NOOP)
    began = time.monotonic()
    assert (await get(service, job_id, wait_seconds=1)).state == JobState.JOB_STATE_WAITING
    assert 0.9 < time.monotonic() - began < 5


# What stays hidden

SECRET = Secret(token="hunter2", name="visible", parts=[{"pin": "4711", "label": "first"}])
MASKED = Secret(token="•••", name="visible", parts=[{"pin": "•••", "label": "first"}])


def payload(job: Any) -> Secret:
    shown = Secret()
    assert job.payload.custom.Unpack(shown)
    return shown


async def test_sensitive_values_are_masked_wherever_a_job_is_shown(service: Running, worker: Worker) -> None:
    with capture_logs() as lines:
        job_id = await service.app.enqueue(SECRET)
        place = {"queue_name": WORK, "job_id": job_id}
        jobs = service.as_("super_admin").jobs
        stream = jobs.WatchJob(WatchJobRequest(**place))
        shown = [
            (await stream.read()).snapshot.job,
            (await jobs.GetJob(GetJobRequest(**place))).job,
            (await jobs.GetJob(GetJobRequest(**place, view=JobView.JOB_VIEW_MASKED))).job,
            (await jobs.ListJobs(ListJobsRequest(queue_name=WORK))).jobs[0],
        ]
        await worker.run(NoopResult())
        shown += [event.end.job for event in await rest_of(stream) if event.HasField("end")]
        shown += [(await jobs.GetJob(GetJobRequest(**place))).job, (await cancelled(service)).job]
    assert len(shown) == 7
    for job in shown:
        assert payload(job) == MASKED
        assert "hunter2" not in str(job)
        assert "4711" not in str(job)
    assert "hunter2" not in str(lines)


async def rest_of(stream: Any) -> list[Any]:
    events = []
    while (event := await stream.read()) is not grpc.aio.EOF:
        events.append(event)
    return events


async def cancelled(service: Running) -> Any:
    job_id = await service.app.enqueue(SECRET)
    return await service.app.jobs.CancelJob(CancelJobRequest(queue_name=WORK, job_id=job_id))


async def test_text_searches_do_not_find_sensitive_values(service: Running) -> None:
    job_id = await service.app.enqueue(SECRET)
    for text, found in (("visible", [job_id]), ("hunter2", []), ("4711", [])):
        listed = await service.admin.jobs.ListJobs(ListJobsRequest(queue_name=WORK, text=text))
        assert [job.id for job in listed.jobs] == found, text


async def test_the_full_view_is_for_super_admins_and_leaves_a_trace(service: Running) -> None:
    job_id = await service.app.enqueue(SECRET)
    full = GetJobRequest(queue_name=WORK, job_id=job_id, view=JobView.JOB_VIEW_FULL)
    for caller in (service.admin, service.app, service.user):
        refusal = await refused(caller.jobs.GetJob(full))
        assert (refusal.code.name, refusal.reason) == ("PERMISSION_DENIED", "ROLE_INSUFFICIENT")
        assert refusal.metadata["required"] == "super_admin"
    with capture_logs() as lines:
        answer = await service.as_("super_admin", "root").jobs.GetJob(full)
    assert payload(answer.job) == SECRET
    (trace,) = [line for line in lines if line["event"] == "full_view"]
    assert trace["log_level"] == "info"
    assert (trace["caller"], trace["job_id"], trace["queue"]) == ("root", job_id, WORK)
    assert "hunter2" not in str(lines)


async def test_the_full_view_of_an_ended_job_has_no_secrets_left(
    service: Running, worker: Worker, store: Store
) -> None:
    job_id = await service.app.enqueue(SECRET)
    await worker.run(NoopResult())
    full = GetJobRequest(queue_name=WORK, job_id=job_id, view=JobView.JOB_VIEW_FULL)
    answer = await service.as_("super_admin").jobs.GetJob(full)
    assert payload(answer.job) == MASKED
    held = [await store.client.dump(key) for key in await store.client.keys(f"{store.prefix}*")]
    assert not any(b"hunter2" in (content or b"") for content in held)


async def test_a_job_whose_secrets_are_gone_cannot_run_again(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(SECRET)
    await worker.run(reason="no")
    refusal = await refused(service.admin.jobs.RetryJob(RetryJobRequest(queue_name=WORK, job_id=job_id)))
    assert (refusal.code.name, refusal.reason) == ("FAILED_PRECONDITION", "JOB_PURGED")


# Lists


async def listed(service: Running, **wanted: Any) -> list[str]:
    answer = await service.admin.jobs.ListJobs(ListJobsRequest(queue_name=WORK, **wanted))
    return [job.id for job in answer.jobs]


async def test_lists_filter_by_state_type_creator_time_and_text(service: Running, worker: Worker) -> None:
    done = await service.app.enqueue(Noop(pad="needle"))
    await worker.run(NoopResult())
    before = await get(service, done)
    waiting = await service.user.enqueue(Noop())
    delayed = await service.app.enqueue(NOOP, delay=60_000)
    edge = (await get(service, waiting)).create_time
    assert await listed(service) == [delayed, waiting, done]
    for order in ("createTime", "create_time"):
        assert await listed(service, order_by=order) == [done, waiting, delayed]
    assert await listed(service, states=[JobState.JOB_STATE_COMPLETED]) == [done]
    assert await listed(service, states=[JobState.JOB_STATE_WAITING, JobState.JOB_STATE_DELAYED]) == [delayed, waiting]
    assert await listed(service, job_type="script") == [delayed]
    assert await listed(service, created_by="ulla") == [waiting]
    assert await listed(service, text="needle") == [done]
    assert done not in await listed(service, created_after=edge) or before.create_time == edge
    assert waiting not in await listed(service, created_before=edge)


async def test_pages_go_on_where_the_last_one_ended(service: Running) -> None:
    jobs = [await service.app.enqueue(Noop()) for _ in range(7)]
    found: list[str] = []
    token = ""
    while True:
        page = await service.admin.jobs.ListJobs(ListJobsRequest(queue_name=WORK, page_size=3, page_token=token))
        found += [job.id for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert found == jobs[::-1]


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"page_size": -1}, ["pageSize"]),
        ({"page_token": "nonsense"}, ["pageToken"]),
        ({"order_by": "name"}, ["orderBy"]),
        ({"order_by": "state"}, ["orderBy"]),
        ({"states": [0]}, ["states[0]"]),
        ({"states": [1, 99]}, ["states[1]"]),
        ({"text": "x" * 201}, ["text"]),
        ({"created_after": Timestamp(seconds=2**60)}, ["createdAfter"]),
        ({"created_before": Timestamp(seconds=-(2**62))}, ["createdBefore"]),
        ({"created_before": Timestamp(nanos=-1)}, ["createdBefore"]),
    ],
)
async def test_a_wrong_list_names_its_field(service: Running, wrong: dict[str, Any], fields: list[str]) -> None:
    refusal = await refused(service.admin.jobs.ListJobs(ListJobsRequest(queue_name=WORK, **wrong)))
    assert (refusal.code, refusal.reason, refusal.fields) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "REQUEST_INVALID",
        fields,
    )


async def test_a_filter_for_a_type_that_there_is_not_says_so(service: Running) -> None:
    by_list = await refused(service.admin.jobs.ListJobs(ListJobsRequest(queue_name=WORK, job_type="nope")))
    by_bulk = await refused(
        service.admin.jobs.BatchDeleteJobs(BatchDeleteJobsRequest(queue_name=WORK, filter=JobFilter(job_type="nope")))
    )
    assert by_list.reason == by_bulk.reason == "JOB_TYPE_UNKNOWN"


# Logs and results


async def test_logs_come_oldest_first_with_their_total(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(NOOP)
    claimed = await worker.start()
    await worker.say(claimed, 10.0, ("log", "one"), ("log", "two"))
    answer = await service.app.jobs.ListJobLogs(ListJobLogsRequest(queue_name=WORK, job_id=job_id))
    assert ([line.message for line in answer.lines], answer.total) == (["one", "two"], 2)
    assert answer.lines[0].time.seconds > 0


async def test_a_result_is_downloaded_as_json_with_a_name(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(NOOP)
    await worker.run(ScriptResult(checkpoint="ü", pad="x" * 200_000, starts=1))
    call = service.app.jobs.DownloadResult(DownloadResultRequest(queue_name=WORK, job_id=job_id))
    parts = await rest_of(call)
    assert len(parts) > 1
    assert {part.content_type for part in parts} == {"application/json"}
    content = json.loads(b"".join(part.data for part in parts))
    assert content == {"checkpoint": "ü", "pad": "x" * 200_000, "starts": 1}
    assert dict(await call.initial_metadata())["content-disposition"] == f'attachment; filename="{job_id}.json"'


async def test_a_download_without_a_result_says_why(service: Running, worker: Worker) -> None:
    empty = await service.app.enqueue(Noop())
    await worker.run(NoopResult())
    waiting = await service.app.enqueue(NOOP)
    for job_id, code, reason in (
        (empty, "NOT_FOUND", "RESULT_NOT_FOUND"),
        (waiting, "FAILED_PRECONDITION", "JOB_STATE_CONFLICT"),
        ("gone", "NOT_FOUND", "JOB_NOT_FOUND"),
    ):
        call = service.app.jobs.DownloadResult(DownloadResultRequest(queue_name=WORK, job_id=job_id))
        refusal = await refused(call)
        assert (refusal.code.name, refusal.reason) == (code, reason)
        assert refusal.metadata["job"] == job_id


async def test_a_full_page_of_large_jobs_still_fits_a_callers_limit(service: Running) -> None:
    """gRPC clients take 4 MB unless told otherwise."""
    for _ in range(8):
        await service.app.jobs.EnqueueJob(EnqueueJobRequest(payload=custom(Noop(pad="x" * 900_000))))
    for states in ([], [JobState.JOB_STATE_WAITING]):
        found: list[str] = []
        token = ""
        while True:
            wanted = ListJobsRequest(queue_name=WORK, states=states, page_token=token)
            page = await service.admin.jobs.ListJobs(wanted)
            found += [job.id for job in page.jobs]
            token = page.next_page_token
            if not token:
                break
        assert len(found) == len(set(found)) == 8


async def test_log_lines_come_in_pages_that_later_lines_do_not_shift(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(NOOP)
    job = await worker.start()
    await worker.say(job, -1.0, *(("log", f"line {number}") for number in range(5)))

    async def page(token: str) -> Any:
        wanted = ListJobLogsRequest(queue_name=WORK, job_id=job_id, page_size=2, page_token=token)
        return await service.admin.jobs.ListJobLogs(wanted)

    first = await page("")
    await worker.say(job, -1.0, ("log", "line 5"))
    second = await page(first.next_page_token)
    third = await page(second.next_page_token)
    assert [line.message for answer in (first, second, third) for line in answer.lines] == [
        f"line {number}" for number in range(6)
    ]
    assert third.next_page_token == ""


async def test_too_large_a_page_is_made_smaller(service: Running) -> None:
    for _ in range(501):
        await service.app.enqueue(NOOP)
    answer = await service.admin.jobs.ListJobs(ListJobsRequest(queue_name=WORK, page_size=2_000_000_000))
    assert len(answer.jobs) == 500
    assert answer.next_page_token
