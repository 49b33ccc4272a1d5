"""Who may do what, over every RPC of the contract."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from qcollector.jobs.v1 import analytics_service_pb2, job_service_pb2, processor_service_pb2, schedule_service_pb2
from qcollector.jobs.v1.enqueue_pb2 import BatchEnqueueJobsRequest, EnqueueJobRequest, StreamEnqueueJobsRequest
from qcollector.jobs.v1.job_actions_pb2 import CancelJobRequest
from qcollector.jobs.v1.job_queries_pb2 import (
    DownloadResultRequest,
    GetJobRequest,
    ListJobLogsRequest,
    ListJobsRequest,
    WatchJobRequest,
)

from service.bootstrap import PLATFORM
from service.permissions import Access
from service.serving import of_plugins, rules_by_path

from .conftest import WORK, Noop, Running, Script, Serial, Worker, bearer, custom, refusal_in, refused

METHODS: list[MethodDescriptor] = [
    method
    for file in (job_service_pb2, processor_service_pb2, schedule_service_pb2, analytics_service_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
RULES = rules_by_path([*PLATFORM, *of_plugins(())])
ADMIN_METHODS = {
    "RetryJob",
    "PromoteJob",
    "DeleteJob",
    "BatchCancelJobs",
    "BatchRetryJobs",
    "BatchDeleteJobs",
    "BatchPromoteJobs",
    "PauseQueue",
    "ResumeQueue",
    "CleanQueue",
    "UpdateQueue",
    "CreateSchedule",
    "UpdateSchedule",
    "DeleteSchedule",
    "PauseSchedule",
    "ResumeSchedule",
    "TriggerSchedule",
}
NEED_A_NAME = {
    "GetQueueStats": "queueName",
    "GetSchedule": "name",
    "ListScheduleRuns": "name",
    "PreviewSchedule": "cron",
}
"""Looks that an empty request does not answer."""


def path(method: MethodDescriptor) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def invoke(channel: grpc.aio.Channel, method: MethodDescriptor, metadata: Any) -> Any:
    """Calls any method with an empty request."""
    request = GetMessageClass(method.input_type)()
    encode, decode = Message.SerializeToString, GetMessageClass(method.output_type).FromString
    if method.client_streaming:

        def requests() -> Iterator[Message]:
            yield request

        return channel.stream_stream(path(method), encode, decode)(requests(), metadata=metadata, timeout=20)
    if method.server_streaming:
        return channel.unary_stream(path(method), encode, decode)(request, metadata=metadata, timeout=20)
    return channel.unary_unary(path(method), encode, decode)(request, metadata=metadata, timeout=20)


@pytest.mark.families
def test_every_method_of_the_contract_has_a_rule_and_no_rule_is_left_over() -> None:
    assert set(RULES) == {path(method) for method in METHODS}


def test_the_rules_for_administrators_are_those_of_the_design() -> None:
    admin = {name.rpartition("/")[2] for name, rule in RULES.items() if rule.access is Access.ADMIN}
    assert admin == ADMIN_METHODS


@pytest.mark.families
async def test_every_method_refuses_a_call_without_a_token(service: Running) -> None:
    for method in METHODS:
        refusal = await refused(invoke(service.channel, method, ()))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_MISSING"), method.name


@pytest.mark.families
async def test_every_method_refuses_a_forged_token(service: Running) -> None:
    forged = bearer(secret="another-secret-that-is-long-enough-too")
    for method in METHODS:
        refusal = await refused(invoke(service.channel, method, forged))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"), method.name


@pytest.mark.parametrize("role", ["general_user", "service", "Admin", "superadmin"])
async def test_methods_for_administrators_refuse_others(service: Running, role: str) -> None:
    for method in METHODS:
        if method.name in ADMIN_METHODS:
            refusal = await refused(invoke(service.channel, method, bearer(role=role)))
            assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT"), method
            assert refusal.metadata == {"role": role, "required": "admin"}


@pytest.mark.parametrize(
    ("role", "payload", "required"),
    [
        ("general_user", Noop(), None),
        ("general_user", Script(steps=[{"sleep": 1}]), "service"),
        ("general_user", Serial(), "admin"),
        ("service", Script(steps=[{"sleep": 1}]), None),
        ("service", Serial(), "admin"),
        ("admin", Serial(), None),
        ("super_admin", Serial(), None),
    ],
)
async def test_a_job_type_admits_its_minimum_role_and_more(
    service: Running, role: str, payload: Message, required: str | None
) -> None:
    """The same by each of the ways to enqueue."""
    caller = service.as_(role)
    request = EnqueueJobRequest(payload=custom(payload))
    batch = await caller.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=[request]))
    stream = caller.jobs.StreamEnqueueJobs(iter([StreamEnqueueJobsRequest(job=request)]))
    in_band = [batch.results[0], await stream.read()]
    if required is None:
        answer = await caller.jobs.EnqueueJob(request)
        assert all(result.job_id for result in (answer, *in_band))
        return
    for refusal in (await refused(caller.jobs.EnqueueJob(request)), *(refusal_in(part.error) for part in in_band)):
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_INSUFFICIENT")
        assert refusal.metadata == {"role": role, "required": required}


async def test_somebody_elses_job_looks_as_if_it_were_not_there(service: Running, worker: Worker) -> None:
    ulla, mallory = service.user, service.as_("general_user", "mallory")
    job_id = await ulla.enqueue(Noop())
    place = {"queue_name": WORK, "job_id": job_id}
    calls = {
        "GetJob": GetJobRequest(**place),
        "GetJob waiting": GetJobRequest(**place, wait_seconds=5),
        "WatchJob": WatchJobRequest(**place),
        "ListJobLogs": ListJobLogsRequest(**place),
        "DownloadResult": DownloadResultRequest(**place),
        "CancelJob": CancelJobRequest(**place),
    }
    for name, request in calls.items():
        method = name.partition(" ")[0]
        refusal = await refused(getattr(mallory.jobs, method)(request))
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"), name
        request.job_id = "no-such-job"  # type: ignore[attr-defined]
        unknown = await refused(getattr(mallory.jobs, method)(request))
        assert unknown.message == refusal.message.replace(job_id, "no-such-job"), name
    assert (await service.admin.jobs.GetJob(GetJobRequest(**place))).job.id == job_id
    assert (await ulla.jobs.CancelJob(CancelJobRequest(**place))).job.id == job_id


async def test_users_and_services_list_their_own_jobs_alone(service: Running) -> None:
    mine = [await service.user.enqueue(Noop()) for _ in range(2)]
    others = [await service.app.enqueue(Noop()), await service.as_("general_user", "mallory").enqueue(Noop())]

    async def listed(caller: Any, **wanted: str) -> set[str]:
        answer = await caller.jobs.ListJobs(ListJobsRequest(queue_name=WORK, **wanted))
        return {job.id for job in answer.jobs}

    assert await listed(service.user) == set(mine)
    assert await listed(service.user, created_by="ulla") == set(mine)
    assert await listed(service.user, created_by="mallory") == set()
    assert await listed(service.app) == {others[0]}
    assert await listed(service.admin) == {*mine, *others}
    assert await listed(service.admin, created_by="mallory") == {others[1]}


async def test_what_anybody_may_see_needs_no_role(service: Running) -> None:
    looks = {name.rpartition("/")[2] for name, rule in RULES.items() if rule.access is Access.ANYBODY}
    for method in METHODS:
        if method.name not in looks:
            continue
        call = invoke(service.channel, method, bearer(role="qc"))
        if method.server_streaming:
            assert await call.read()
            call.cancel()
        elif method.name in NEED_A_NAME:
            assert (await refused(call)).fields == [NEED_A_NAME[method.name]]
        else:
            assert await call is not None
