"""All that enqueues: the shape of its answer, request ids that make it safe to repeat, batches of which nothing is stored."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from qcollector.jobs.v1.email_pb2 import EmailUser, EmailWelcome
from qcollector.jobs.v1.enqueue_pb2 import (
    BatchEnqueueJobsRequest,
    BatchEnqueueResult,
    EnqueueJobRequest,
    EnqueueJobResponse,
    StreamEnqueueJobsRequest,
    StreamEnqueueJobsResponse,
)
from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.processor_service_pb2 import DESCRIPTOR as PROCESSORS
from qcollector.jobs.v1.processor_service_pb2 import SendWelcomeEmailRequest
from qcollector.jobs.v1.queue_requests_pb2 import ListQueueStatsRequest
from qcollector.jobs.v1.schedule_service_pb2 import TriggerScheduleResponse

from base.settings import Settings
from tests.conftest import ValkeyServer

from .conftest import WORK, Caller, Noop, Refusal, Running, custom, refusal_in, refused, serving

Call = Callable[[Caller, str, str], Awaitable[Any]]


def _request(request_id: str, address: str, **fields: Any) -> EnqueueJobRequest:
    payload = JobPayload(email_welcome=EmailWelcome(user=EmailUser(email=address)))
    return EnqueueJobRequest(payload=payload, request_id=request_id, options={"priority": 5}, **fields)


async def _alone(caller: Caller, request_id: str, address: str) -> Any:
    return await caller.jobs.EnqueueJob(_request(request_id, address))


async def _in_a_batch(caller: Caller, request_id: str, address: str) -> Any:
    batch = BatchEnqueueJobsRequest(jobs=[_request(request_id, address)])
    return (await caller.jobs.BatchEnqueueJobs(batch)).results[0]


async def _in_a_stream(caller: Caller, request_id: str, address: str) -> Any:
    asked = StreamEnqueueJobsRequest(job=_request(request_id, address))
    return await caller.jobs.StreamEnqueueJobs(iter([asked])).read()


async def _as_a_task(caller: Caller, request_id: str, address: str) -> Any:
    """The same job as the others enqueue: the task's priority is theirs."""
    return await caller.tasks.SendWelcomeEmail(SendWelcomeEmailRequest(user={"email": address}, request_id=request_id))


WAYS = [_alone, _in_a_batch, _in_a_stream, _as_a_task]


async def _refusal(way: Call, caller: Caller, request_id: str, address: str) -> Refusal:
    if way in {_alone, _as_a_task}:
        return await refused(way(caller, request_id, address))
    return refusal_in((await way(caller, request_id, address)).error)


async def _stored(service: Running) -> int:
    queues = (await service.admin.jobs.ListQueueStats(ListQueueStatsRequest())).queues
    return sum(queue.counts.waiting + queue.counts.delayed for queue in queues)


async def test_all_that_enqueues_returns_the_fields_of_enqueue_job_response() -> None:
    tasks = PROCESSORS.services_by_name["ProcessorService"].methods
    shape = {field.name: (field.number, field.type) for field in EnqueueJobResponse.DESCRIPTOR.fields}
    for kind in (TriggerScheduleResponse.DESCRIPTOR, *(task.output_type for task in tasks)):
        assert {field.name: (field.number, field.type) for field in kind.fields} == shape, kind.name
    for result in (BatchEnqueueResult.DESCRIPTOR, StreamEnqueueJobsResponse.DESCRIPTOR):
        fields = {field.name: (field.number, field.type) for field in result.fields}
        assert {name: place for name, place in fields.items() if name != "error"} == shape
        assert "error" in fields
    assert all("request_id" in task.input_type.fields_by_name for task in tasks)


@pytest.mark.families
@pytest.mark.parametrize("way", WAYS)
async def test_each_way_to_enqueue_answers_alike(service: Running, way: Call) -> None:
    alone = await _alone(service.app, "", "u@example.com")
    answer = await way(service.app, "", "u@example.com")
    assert answer.create_time.ToMilliseconds() >= alone.create_time.ToMilliseconds()
    assert answer.options.job_id == answer.job_id
    assert _without_id(answer) == _without_id(alone)
    assert (answer.queue_name, answer.state, answer.duplicate) == ("email:send", JobState.JOB_STATE_WAITING, False)


def _without_id(answer: Message) -> list[tuple[str, Any]]:
    fields: Any = answer
    fields.options.job_id = ""
    return [(field.name, value) for field, value in answer.ListFields() if field.name not in {"job_id", "create_time"}]


@pytest.mark.families
@pytest.mark.parametrize("second", WAYS)
@pytest.mark.parametrize("first", WAYS)
async def test_a_repeated_request_is_the_first_job_by_whichever_way(
    service: Running, first: Call, second: Call
) -> None:
    made = await first(service.app, "r-1", "u@example.com")
    again = await second(service.app, "r-1", "u@example.com")
    assert (made.duplicate, again.duplicate) == (False, True)
    assert (again.job_id, again.options.job_id, again.create_time) == (made.job_id, made.job_id, made.create_time)
    assert await _stored(service) == 1


@pytest.mark.families
@pytest.mark.parametrize("way", WAYS)
async def test_another_request_under_the_same_id_is_refused(service: Running, way: Call) -> None:
    await _alone(service.app, "r-1", "u@example.com")
    refusal = await _refusal(way, service.app, "r-1", "other@example.com")
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_CONFLICT")
    assert (refusal.fields, refusal.metadata) == (["requestId"], {"queue": "email:send"})
    assert await _stored(service) == 1


@pytest.mark.families
async def test_other_options_are_another_request_and_other_callers_have_ids_of_their_own(service: Running) -> None:
    await _alone(service.app, "r-1", "u@example.com")
    urgent = _request("r-1", "u@example.com")
    urgent.options.priority = 9
    assert (await refused(service.app.jobs.EnqueueJob(urgent))).reason == "REQUEST_ID_CONFLICT"
    other = await _alone(service.as_("service", "another"), "r-1", "u@example.com")
    assert not other.duplicate
    assert await _stored(service) == 2


@pytest.mark.families
@pytest.mark.parametrize("way", WAYS)
async def test_a_request_id_may_be_any_string_of_128_characters(service: Running, way: Call) -> None:
    odd = "ü\0\n:" * 32
    assert not (await way(service.app, odd, "u@example.com")).duplicate
    assert (await way(service.app, odd, "u@example.com")).duplicate
    refusal = await _refusal(way, service.app, "x" * 129, "u@example.com")
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ["requestId"])


@pytest.mark.families
async def test_a_validated_request_takes_no_id(service: Running) -> None:
    only = _request("r-1", "u@example.com", validate_only=True)
    answer = await service.app.jobs.EnqueueJob(only)
    assert (answer.job_id, answer.options.job_id, answer.options.priority) == ("", "", 5)
    await service.app.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=[only]))
    assert await _stored(service) == 0
    assert not (await _alone(service.app, "r-1", "other@example.com")).duplicate


@pytest.mark.families
async def test_each_job_of_a_batch_says_for_itself_whether_it_is_only_validated(service: Running) -> None:
    jobs = [_request("", "a@example.com"), _request("", "b@example.com", validate_only=True)]
    kept, validated = (await service.app.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=jobs))).results
    assert kept.job_id
    assert (validated.job_id, validated.queue_name, validated.job_type) == ("", "email:send", "welcome")
    assert not validated.HasField("error")
    assert await _stored(service) == 1


@pytest.mark.families
async def test_rows_of_one_batch_with_one_request_id_are_one_job(service: Running) -> None:
    jobs = [_request("r-1", "u@example.com"), _request("r-1", "u@example.com"), _request("r-1", "other@example.com")]
    first, second, third = (await service.app.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=jobs))).results
    assert (first.duplicate, second.duplicate, second.job_id) == (False, True, first.job_id)
    assert refusal_in(third.error).reason == "REQUEST_ID_CONFLICT"
    assert await _stored(service) == 1


def _noop(**fields: Any) -> EnqueueJobRequest:
    return EnqueueJobRequest(payload=custom(Noop()), **fields)


NONSENSE = EnqueueJobRequest(queue_name="no:such", job_type="nope")


async def test_a_batch_of_which_nothing_is_stored_for_want_of_a_store_fails_and_a_stream_goes_on(
    own_valkey: ValkeyServer, settings: Settings
) -> None:
    own_valkey.kill()
    away = settings.model_copy(update={"redis_url": None, "redis_port": own_valkey.port})
    async with serving(away) as service:
        for jobs in ([_noop(), _noop()], [NONSENSE, _noop()], [_noop(validate_only=True), _noop()]):
            refusal = await refused(service.admin.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=jobs)))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE")
            assert refusal.retry_after
        batch = await service.admin.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=[NONSENSE]))
        assert refusal_in(batch.results[0].error).reason == "QUEUE_UNKNOWN"
        checked = BatchEnqueueJobsRequest(jobs=[_noop(), NONSENSE], validate_only=True)
        assert not (await service.admin.jobs.BatchEnqueueJobs(checked)).results[0].HasField("error")
        asked = [StreamEnqueueJobsRequest(job=job) for job in (_noop(), NONSENSE, _noop())]
        call = service.admin.jobs.StreamEnqueueJobs(iter(asked))
        reasons = [refusal_in((await call.read()).error).reason for _ in asked]
        assert reasons == ["STORE_UNAVAILABLE", "QUEUE_UNKNOWN", "STORE_UNAVAILABLE"]
        assert await call.code() is grpc.StatusCode.OK


async def test_a_batch_that_finds_no_room_fails_and_one_that_finds_some_does_not(settings: Settings) -> None:
    async with serving(settings, queue_max_backlog=1) as service:
        batch = BatchEnqueueJobsRequest(jobs=[_noop(request_id="a"), _noop(request_id="b"), NONSENSE])
        kept, full, unknown = (await service.admin.jobs.BatchEnqueueJobs(batch)).results
        assert kept.job_id
        assert [refusal_in(one.error).reason for one in (full, unknown)] == ["BACKLOG_FULL", "QUEUE_UNKNOWN"]
        refusal = await refused(service.admin.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=[_noop(), NONSENSE])))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "BACKLOG_FULL")
        assert (refusal.metadata["queue"], bool(refusal.retry_after)) == (WORK, True)
        again = (await service.admin.jobs.BatchEnqueueJobs(batch)).results
        assert (again[0].duplicate, again[0].job_id) == (True, kept.job_id)
