"""Many jobs in one call: which ones are meant, how a bounded call is continued, and what is kept of why."""

import itertools
from collections.abc import Callable
from typing import Any, Final

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.job_actions_pb2 import CancelJobRequest, DeleteJobRequest, PromoteJobRequest, RetryJobRequest
from qcollector.jobs.v1.job_bulk_pb2 import (
    BatchCancelJobsRequest,
    BatchDeleteJobsRequest,
    BatchPromoteJobsRequest,
    BatchRetryJobsRequest,
    JobFilter,
)
from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.job_queries_pb2 import ListJobsRequest, WatchJobRequest
from structlog.testing import capture_logs

from contract.errors import StoreUnavailableError
from engine import bulk
from engine.store import Store

from .conftest import WORK, Noop, Running, refused

METHODS: Final = {
    "BatchCancelJobs": BatchCancelJobsRequest,
    "BatchRetryJobs": BatchRetryJobsRequest,
    "BatchDeleteJobs": BatchDeleteJobsRequest,
    "BatchPromoteJobs": BatchPromoteJobsRequest,
}
EPOCH: Final = Timestamp(seconds=0)


async def listed(service: Running, *states: JobState.ValueType) -> list[str]:
    answer = await service.admin.jobs.ListJobs(ListJobsRequest(queue_name=WORK, states=states))
    return [job.id for job in answer.jobs]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("chosen", "field", "remedy"),
    [
        ({}, "filter", "exactly one of filter, jobIds, and all: true"),
        ({"filter": JobFilter(text="x"), "job_ids": ["a"]}, "filter", "exactly one of"),
        ({"filter": JobFilter(text="x"), "all": True}, "filter", "exactly one of"),
        ({"job_ids": ["a"], "all": True}, "filter", "exactly one of"),
        ({"filter": JobFilter()}, "filter", "set at least one condition, or all: true"),
        ({"filter": JobFilter(created_after=EPOCH)}, "filter", "set at least one condition, or all: true"),
        ({"filter": JobFilter(states=[0])}, "filter.states[0]", "leave it out"),
        ({"job_ids": ["a"] * 1001}, "jobIds", "1000"),
        ({"job_ids": ["a", ""]}, "jobIds[1]", ""),
        ({"job_ids": ["a"], "page_token": "x"}, "pageToken", "goes with filter or all"),
        ({"all": True, "page_token": "x"}, "pageToken", ""),
        ({"all": True, "reason": "x" * 501}, "reason", "500"),
    ],
)
async def test_a_bulk_call_that_does_not_say_which_jobs_changes_none_and_names_the_remedy(
    service: Running, method: str, chosen: dict[str, Any], field: str, remedy: str
) -> None:
    await service.app.enqueue(Noop())
    refusal = await refused(getattr(service.admin.jobs, method)(METHODS[method](queue_name=WORK, **chosen)))
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", [field])
    assert remedy in refusal.violations[0].description
    assert len(await listed(service, JobState.JOB_STATE_WAITING)) == 1


@pytest.fixture
def two_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_CHUNK", 2)
    monkeypatch.setattr(bulk, "LOOK_LIMIT", 2)


async def walked(call: Callable[[Any], Any], request: Any) -> list[Any]:
    """Every answer, by the tokens."""
    answers = [await call(request)]
    while token := answers[-1].next_page_token:
        request.page_token = token
        answers.append(await call(request))
    return answers


@pytest.mark.usefixtures("two_at_a_time")
@pytest.mark.parametrize("chosen", [{"all": True}, {"filter": JobFilter(job_type="noop")}])
async def test_calls_that_stop_early_are_continued_by_token_to_the_last_job(
    service: Running, chosen: dict[str, Any]
) -> None:
    for _ in range(6):
        await service.app.enqueue(Noop())
    cancel = service.admin.jobs.BatchCancelJobs
    counted = await walked(cancel, BatchCancelJobsRequest(queue_name=WORK, validate_only=True, **chosen))
    assert [(one.matched, one.changed, one.scanned) for one in counted] == [(2, 0, 2)] * 3
    assert len(await listed(service, JobState.JOB_STATE_WAITING)) == 6
    done = await walked(cancel, BatchCancelJobsRequest(queue_name=WORK, **chosen))
    assert [(one.matched, one.changed, one.scanned) for one in done] == [(2, 2, 2)] * 3
    assert [bool(one.next_page_token) for one in done] == [True, True, False]
    assert await listed(service, JobState.JOB_STATE_WAITING) == []


@pytest.mark.usefixtures("two_at_a_time")
async def test_a_token_goes_on_only_with_the_same_choice_and_the_same_action(service: Running) -> None:
    for _ in range(4):
        await service.app.enqueue(Noop())
    first = BatchCancelJobsRequest(queue_name=WORK, all=True, validate_only=True)
    token = (await service.admin.jobs.BatchCancelJobs(first)).next_page_token
    assert token
    narrower = BatchCancelJobsRequest(queue_name=WORK, filter=JobFilter(job_type="noop"), page_token=token)
    other = BatchDeleteJobsRequest(queue_name=WORK, all=True, page_token=token)
    assert (await refused(service.admin.jobs.BatchCancelJobs(narrower))).fields == ["pageToken"]
    assert (await refused(service.admin.jobs.BatchDeleteJobs(other))).fields == ["pageToken"]
    assert len(await listed(service, JobState.JOB_STATE_WAITING)) == 4


# Reasons

STEPS: Final = [
    ("Promote", PromoteJobRequest, "promoted", "promoted: why not"),
    ("Cancel", CancelJobRequest, "cancelled", "why not"),
    ("Delete", DeleteJobRequest, "deleted", "deleted: why not"),
    ("Retry", RetryJobRequest, "retried", ""),  # of a job that has ended the watch is over
]


@pytest.mark.parametrize("in_bulk", [False, True])
@pytest.mark.parametrize(("step", "single", "deed", "seen"), STEPS)
async def test_the_reason_is_told_to_watchers_and_stands_in_the_audit_log_with_the_caller(
    service: Running, step: str, single: Callable[..., Any], deed: str, seen: str, in_bulk: bool
) -> None:
    jobs = service.as_("admin", "ada").jobs
    job_id = await service.app.enqueue(Noop(), delay=60_000)
    if not seen:
        await jobs.CancelJob(CancelJobRequest(queue_name=WORK, job_id=job_id))
    stream = jobs.WatchJob(WatchJobRequest(queue_name=WORK, job_id=job_id))
    await stream.read()
    with capture_logs() as lines:
        if in_bulk:
            many = METHODS[f"Batch{step}Jobs"](queue_name=WORK, job_ids=[job_id], reason="why not")
            await getattr(jobs, f"Batch{step}Jobs")(many)
        else:
            await getattr(jobs, f"{step}Job")(single(queue_name=WORK, job_id=job_id, reason="why not"))
    (line,) = [line for line in lines if line.get("audit")]
    assert (line["action"], line["caller"], line["reason"]) == (deed, "ada", "why not")
    assert job_id in (line["job_ids"] if in_bulk else [line["job_id"]])
    if seen:
        told = await stream.read()
        assert (told.state.reason or told.end.reason) == seen


@pytest.mark.parametrize(("step", "single"), [(step, single) for step, single, _, _ in STEPS])
async def test_a_reason_that_is_too_long_is_refused_by_name(
    service: Running, step: str, single: Callable[..., Any]
) -> None:
    call = getattr(service.admin.jobs, f"{step}Job")
    assert (await refused(call(single(queue_name=WORK, job_id="a", reason="x" * 501)))).fields == ["reason"]


@pytest.mark.usefixtures("two_at_a_time")
async def test_a_call_that_breaks_off_after_it_changed_some_leaves_a_line_for_the_audit(
    service: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_ids = [await service.app.enqueue(Noop()) for _ in range(4)]
    run = Store.run
    cancelled = itertools.count()

    async def once(store: Store, name: str, scope: str, *arguments: Any) -> Any:
        if name == "cancel" and next(cancelled):
            raise StoreUnavailableError("away", retry_after=1)
        return await run(store, name, scope, *arguments)

    monkeypatch.setattr(Store, "run", once)
    with capture_logs() as lines:
        many = BatchCancelJobsRequest(queue_name=WORK, job_ids=job_ids, reason="why not")
        assert (await refused(service.admin.jobs.BatchCancelJobs(many))).code is grpc.StatusCode.UNAVAILABLE
    assert len(await listed(service, JobState.JOB_STATE_CANCELLED)) == 2
    (line,) = [line for line in lines if line.get("audit")]
    assert (line["job_ids"], line["changed"], line["finished"]) == (job_ids, None, False)


async def test_counting_leaves_no_line_for_the_audit(service: Running) -> None:
    await service.app.enqueue(Noop())
    with capture_logs() as lines:
        await service.admin.jobs.BatchDeleteJobs(BatchDeleteJobsRequest(queue_name=WORK, all=True, validate_only=True))
        assert not [line for line in lines if line.get("audit")]
        await service.admin.jobs.BatchDeleteJobs(BatchDeleteJobsRequest(queue_name=WORK, all=True))
    (line,) = [line for line in lines if line.get("audit")]
    assert (line["action"], line["all"], line["changed"], line["finished"]) == ("deleted", True, 1, True)
