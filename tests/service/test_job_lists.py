"""ListJobs over all queues, its bounds in time, and how it tells how far a search has come."""

from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.email_pb2 import EmailUser, EmailWelcome
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_bulk_pb2 import BatchDeleteJobsRequest, JobFilter
from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.job_queries_pb2 import ListJobsRequest
from qcollector.jobs.v1.payload_pb2 import JobPayload
from testjobs.v1.testjobs_pb2 import Noop, NoopResult, Serial

from .conftest import WORK, Caller, Running, Worker, refused

SERIAL = "test:serial"
ALL = "-"
BEFORE_ALL = Timestamp(seconds=-1)
EPOCH = Timestamp()


async def _pages(caller: Caller, **wanted: Any) -> tuple[list[str], list[int]]:
    """The ids of a whole walk in pages of two, and what each page looked at."""
    ids: list[str] = []
    scanned: list[int] = []
    request = ListJobsRequest(page_size=2, **wanted)
    while True:
        page = await caller.jobs.ListJobs(request)
        ids += [job.id for job in page.jobs]
        scanned.append(page.scanned)
        if not page.next_page_token:
            return ids, scanned
        request.page_token = page.next_page_token


async def test_all_queues_are_listed_in_one_order_under_one_token(service: Running) -> None:
    made = [
        await service.admin.enqueue(payload, job_id=f"j{number}")
        for number, payload in enumerate((Noop(), Serial(), Serial(), Noop(), Noop(), Serial(), Noop()))
    ]
    assert (await _pages(service.admin, queue_name=ALL, order_by="create_time"))[0] == made
    assert (await _pages(service.admin, queue_name=ALL))[0] == made[::-1]


@pytest.mark.families
async def test_callers_find_their_own_jobs_in_all_queues_and_administrators_everybodys(service: Running) -> None:
    welcome = JobPayload(email_welcome=EmailWelcome(user=EmailUser(id="1", email="u@example.com")))
    mail = (await service.app.jobs.EnqueueJob(EnqueueJobRequest(payload=welcome))).job_id
    mine = {await service.app.enqueue(Noop()), mail}
    others = {await service.user.enqueue(Noop()), await service.admin.enqueue(Serial())}
    assert set((await _pages(service.app, queue_name=ALL))[0]) == mine
    assert (await _pages(service.app, queue_name=ALL, created_by="ulla"))[0] == []
    assert set((await _pages(service.admin, queue_name=ALL))[0]) == mine | others
    assert set((await _pages(service.admin, queue_name=ALL, created_by="a-service"))[0]) == mine


async def test_a_type_is_looked_for_in_the_queues_that_have_it(service: Running) -> None:
    serial = await service.admin.enqueue(Serial())
    await service.admin.enqueue(Noop())
    assert (await _pages(service.admin, queue_name=ALL, job_type="serial"))[0] == [serial]
    refusal = await refused(service.admin.jobs.ListJobs(ListJobsRequest(queue_name=ALL, job_type="nope")))
    assert refusal.reason == "JOB_TYPE_UNKNOWN"


@pytest.mark.parametrize("job_type", ["", "serial"])
async def test_all_queues_have_no_order_of_a_states_own(service: Running, job_type: str) -> None:
    wanted = ListJobsRequest(queue_name=ALL, job_type=job_type, order_by="state", states=[JobState.JOB_STATE_WAITING])
    refusal = await refused(service.admin.jobs.ListJobs(wanted))
    assert (refusal.code, refusal.fields) == (grpc.StatusCode.INVALID_ARGUMENT, ["orderBy"])


async def test_only_lists_take_all_queues(service: Running) -> None:
    refusal = await refused(
        service.admin.jobs.BatchDeleteJobs(BatchDeleteJobsRequest(queue_name=ALL, filter=JobFilter(text="x")))
    )
    assert refusal.reason == "QUEUE_UNKNOWN"


async def test_a_search_tells_how_many_jobs_it_has_looked_at(service: Running) -> None:
    for number in range(9):
        await service.admin.enqueue((Noop, Serial)[number % 2](), job_id=f"j{number}")
    found, scanned = await _pages(service.admin, queue_name=ALL, text="j7")
    assert (found, sum(scanned)) == (["j7"], 9)
    assert (await _pages(service.admin, queue_name=WORK, text="nowhere")) == ([], [5])


@pytest.mark.parametrize("bound", [EPOCH, BEFORE_ALL])
async def test_no_job_was_created_before_1970(service: Running, worker: Worker, bound: Timestamp) -> None:
    await service.admin.enqueue(Noop())
    await worker.run(NoopResult())
    for order in ("create_time", "state"):
        wanted = ListJobsRequest(
            queue_name=WORK, created_before=bound, order_by=order, states=[JobState.JOB_STATE_COMPLETED]
        )
        assert not (await service.admin.jobs.ListJobs(wanted)).jobs
    everything = BatchDeleteJobsRequest(queue_name=WORK, filter=JobFilter(created_before=bound))
    assert (await service.admin.jobs.BatchDeleteJobs(everything)).matched == 0
    assert len((await _pages(service.admin, queue_name=WORK, created_after=bound))[0]) == 1


async def test_bounds_within_a_jobs_millisecond_are_exact(service: Running) -> None:
    job_id = await service.admin.enqueue(Noop())
    at = (await service.admin.jobs.ListJobs(ListJobsRequest(queue_name=WORK))).jobs[0].create_time
    just_after = Timestamp(seconds=at.seconds, nanos=at.nanos + 1)
    for bounds, expected in (
        ({"created_after": at}, [job_id]),
        ({"created_after": just_after}, []),
        ({"created_before": at}, []),
        ({"created_before": just_after}, [job_id]),
        ({"created_after": at, "created_before": at}, []),
    ):
        assert (await _pages(service.admin, queue_name=WORK, **bounds))[0] == expected, bounds


async def test_bounds_that_are_exchanged_are_refused(service: Running) -> None:
    bounds = {"created_after": Timestamp(seconds=20), "created_before": Timestamp(seconds=10)}
    by_list = await refused(service.admin.jobs.ListJobs(ListJobsRequest(queue_name=WORK, **bounds)))
    by_bulk = await refused(
        service.admin.jobs.BatchDeleteJobs(BatchDeleteJobsRequest(queue_name=WORK, filter=JobFilter(**bounds)))
    )
    assert (by_list.fields, by_bulk.fields) == (["createdBefore"], ["filter.createdBefore"])
