"""How calls are refused: codes, details, and nothing that is none of the caller's business."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from qcollector.jobs.v1.enqueue_pb2 import (
    BatchEnqueueJobsRequest,
    BatchEnqueueResult,
    EnqueueJobRequest,
    StreamEnqueueJobsRequest,
)
from qcollector.jobs.v1.error_reason_pb2 import ErrorReason
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest, WatchJobRequest, WatchJobResponse
from qcollector.jobs.v1.job_service_pb2_grpc import add_JobServiceServicer_to_server
from qcollector.jobs.v1.overview_pb2 import CheckHealthRequest, ListJobTypesRequest
from structlog.testing import capture_logs

from base.resources import Resources
from base.settings import Settings
from base.telemetry.instruments import Instruments
from contract import errors
from contract.errors import (
    FieldProblem,
    JobServiceError,
    RequestIdConflictError,
    RequestInvalidError,
    StoreUnavailableError,
)
from engine.links import DownloadLinks
from engine.store import Store
from service.auth import TokenVerifier
from service.bootstrap import PLATFORM, _dependencies
from service.interceptor.admission_control import AdmissionControl, StreamLimits
from service.interceptor.interceptor import CallInterceptor
from service.keys import signing_keys
from service.server import listen, new_server
from service.servicers.job_service import JobServicer
from service.serving import rules_by_path
from service.status import CODES, status_of

from .conftest import WORK, Caller, Noop, Running, bearer, custom, on_any_port, refusal_in, refused

REASONS = [reason for name, reason in ErrorReason.items() if name != "ERROR_REASON_UNSPECIFIED"]
CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, JobServiceError)]
DOCUMENTED = {
    "TOKEN_MISSING": "UNAUTHENTICATED",
    "TOKEN_INVALID": "UNAUTHENTICATED",
    "TOKEN_EXPIRED": "UNAUTHENTICATED",
    "ROLE_INSUFFICIENT": "PERMISSION_DENIED",
    "QUEUE_UNKNOWN": "NOT_FOUND",
    "JOB_TYPE_UNKNOWN": "INVALID_ARGUMENT",
    "JOB_NOT_FOUND": "NOT_FOUND",
    "REQUEST_INVALID": "INVALID_ARGUMENT",
    "PAYLOAD_TOO_LARGE": "INVALID_ARGUMENT",
    "JOB_STATE_CONFLICT": "FAILED_PRECONDITION",
    "JOB_ID_CONFLICT": "ALREADY_EXISTS",
    "REQUEST_ID_CONFLICT": "ALREADY_EXISTS",
    "ETAG_MISMATCH": "ABORTED",
    "SCHEDULE_BROKEN": "FAILED_PRECONDITION",
    "JOB_PURGED": "FAILED_PRECONDITION",
    "BACKLOG_FULL": "RESOURCE_EXHAUSTED",
    "STORE_FULL": "RESOURCE_EXHAUSTED",
    "RATE_LIMITED": "RESOURCE_EXHAUSTED",
    "STORE_UNAVAILABLE": "UNAVAILABLE",
    "SHUTTING_DOWN": "UNAVAILABLE",
    "SERVICE_DISABLED": "FAILED_PRECONDITION",
    "RESULT_NOT_FOUND": "NOT_FOUND",
    "INTERNAL": "INTERNAL",
    "SCHEDULE_NOT_FOUND": "NOT_FOUND",
    "SCHEDULE_EXISTS": "ALREADY_EXISTS",
    "DATABASE_UNAVAILABLE": "UNAVAILABLE",
    "DATABASE_UNFIT": "FAILED_PRECONDITION",
}


def test_each_reason_has_the_documented_code() -> None:
    codes = {ErrorReason.Name(reason).removeprefix("ERROR_REASON_"): code.name for reason, code in CODES.items()}
    assert codes == DOCUMENTED
    assert set(CODES) == set(REASONS)


def test_each_reason_has_exactly_one_class() -> None:
    assert sorted(kind.reason for kind in CLASSES) == sorted(REASONS)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_each_class_becomes_a_status_with_its_reason_and_metadata(kind: type[JobServiceError]) -> None:
    if kind is RequestInvalidError:
        error: JobServiceError = RequestInvalidError([FieldProblem("a.b", "rule", "is wrong")])
    else:
        error = kind("what happened", retry_after=1.5, queue="email:send")
    refusal = refusal_in(status_of(error))
    assert refusal.reason == ErrorReason.Name(kind.reason).removeprefix("ERROR_REASON_")
    if kind is RequestIdConflictError:
        assert refusal.fields == ["requestId"]
    if kind is RequestInvalidError:
        (violation,) = refusal.violations
        assert (violation.field, violation.reason, violation.description) == ("a.b", "rule", "is wrong")
    else:
        assert (refusal.retry_after, refusal.metadata) == (1.5, {"queue": "email:send"})


def test_a_status_stays_small_enough_for_a_header() -> None:
    problems = [FieldProblem("f" * 500, "rule", "d" * 5000) for _ in range(1000)]
    status = status_of(RequestInvalidError(problems))
    assert status.ByteSize() < 7000
    assert refusal_in(status).violations
    assert status_of(StoreUnavailableError("m" * 100_000, queue="q" * 100_000)).ByteSize() < 7000


async def test_a_huge_refusal_still_reaches_its_caller(service: Running) -> None:
    request = EnqueueJobRequest(queue_name=WORK, job_type="noop")
    for number in range(300):
        request.data[f"unknown_{number}_{'x' * 40}"] = "ü" * 100
    refusal = await refused(service.admin.jobs.EnqueueJob(request))
    assert refusal.reason == "REQUEST_INVALID"
    assert refusal.fields[0].startswith("data.unknown_")


@pytest.mark.parametrize("method", ["EnqueueJob", "GetJob", "BatchEnqueueJobs"])
@pytest.mark.parametrize("raw", [b"\xff\xff\xff", b"\x0a\x02\xff\xfe"])
async def test_malformed_bytes_are_the_callers_mistake(service: Running, method: str, raw: bytes) -> None:
    call: Any = service.channel.unary_unary(f"/qcollector.jobs.v1.JobService/{method}")
    refusal = await refused(call(raw, metadata=bearer()))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_INVALID")
    assert method in refusal.message


async def test_malformed_bytes_in_a_stream_end_it_after_what_was_good(service: Running) -> None:
    good = StreamEnqueueJobsRequest(job=EnqueueJobRequest(payload=custom(Noop()))).SerializeToString()
    call: Any = service.channel.stream_stream("/qcollector.jobs.v1.JobService/StreamEnqueueJobs")(
        iter([good, b"\xff\xff"]), metadata=bearer()
    )
    assert await call.read()
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_method_that_does_not_exist_is_unimplemented(service: Running) -> None:
    call: Any = service.channel.unary_unary("/qcollector.jobs.v1.JobService/DropDatabase")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"", metadata=bearer())
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


class Faulty(JobServicer):
    """Fails in ways that no servicer should."""

    async def GetJob(self, request: Any, context: Any) -> Any:  # noqa: N802
        raise RuntimeError(f"redis://:hunter2@10.0.0.7 broke on {request.job_id}")

    async def WatchJob(self, request: Any, context: Any) -> AsyncIterator[WatchJobResponse]:  # noqa: N802
        if request.after_sequence:
            yield WatchJobResponse(sequence="first")
        raise KeyError("/srv/secret/path")

    async def ListJobTypes(self, request: Any, context: Any) -> Any:  # noqa: N802
        await asyncio.sleep(30)


@pytest.fixture
async def faulty(settings: Settings, store: Store) -> AsyncIterator[Caller]:
    here = on_any_port(settings)
    limits = StreamLimits()
    control = AdmissionControl(TokenVerifier.of(here, signing_keys(here)), limits, DownloadLinks(store))
    server = new_server(here, CallInterceptor(control, rules_by_path(PLATFORM)))
    add_JobServiceServicer_to_server(
        Faulty(_dependencies(here, store, limits, Resources({}), Instruments("service"))), server
    )
    port = listen(server, here)
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Caller(channel, (*bearer(), ("x-request-id", "req-7")))
    await server.stop(0)


async def test_a_fault_of_the_service_tells_its_caller_an_id_and_nothing_else(faulty: Caller) -> None:
    with capture_logs() as lines:
        refusals = [
            await refused(faulty.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id="j"))),
            await refused(faulty.jobs.WatchJob(WatchJobRequest(queue_name=WORK, job_id="j"))),
        ]
    for refusal in refusals:
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.INTERNAL, "INTERNAL")
        assert "req-7" in refusal.message
        for secret in ("hunter2", "10.0.0.7", "secret", "RuntimeError", "KeyError", "Traceback", "/srv"):
            assert secret not in str(refusal.status)
    faults = [line for line in lines if line["event"] == "call_failed"]
    assert [line["request_id"] for line in faults] == ["req-7", "req-7"]
    assert isinstance(faults[0]["exc_info"], RuntimeError)


async def test_a_fault_in_the_middle_of_a_stream_is_a_status_too(faulty: Caller) -> None:
    call = faulty.jobs.WatchJob(WatchJobRequest(queue_name=WORK, job_id="j", after_sequence="1-1-1"))
    assert (await call.read()).sequence == "first"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in (caught.value.details() or "")


async def test_a_caller_that_leaves_is_noted_and_is_no_fault(faulty: Caller) -> None:
    with capture_logs() as lines:
        call = faulty.jobs.ListJobTypes(ListJobTypesRequest())
        await asyncio.sleep(0.2)  # long enough to be inside the servicer
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        for _ in range(100):
            if lines:
                break
            await asyncio.sleep(0.02)
    assert [(line["event"], line["code"]) for line in lines] == [("call", "CANCELLED")]


async def test_every_answer_carries_the_id_of_its_request(service: Running) -> None:
    async def answered(*pairs: tuple[str, str]) -> str:
        call = service.with_metadata(*bearer(), *pairs).jobs.ListJobTypes(ListJobTypesRequest())
        await call
        return str(dict(await call.trailing_metadata())["x-request-id"])

    assert await answered(("x-request-id", "abc-1.2_3:4")) == "abc-1.2_3:4"
    made = await answered()
    assert made != await answered()
    for odd in ("x" * 65, "a b", "a;b"):
        assert await answered(("x-request-id", odd)) != odd
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.with_metadata(("x-request-id", "mine")).jobs.ListJobTypes(ListJobTypesRequest())
    assert dict(caught.value.trailing_metadata() or ())["x-request-id"] == "mine"


async def test_changes_and_refusals_are_logged_and_looks_are_not(service: Running) -> None:
    with capture_logs() as lines:
        job_id = await service.app.enqueue(Noop())
        await service.app.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=job_id))
        await refused(service.user.jobs.GetJob(GetJobRequest(queue_name=WORK, job_id=job_id)))
    told = [
        (line["method"], line["code"], line["caller"], line["log_level"]) for line in lines if line["event"] == "call"
    ]
    assert told == [
        ("EnqueueJob", "OK", "a-service", "info"),
        ("GetJob", "OK", "a-service", "debug"),
        ("GetJob", "NOT_FOUND", "ulla", "info"),
    ]
    assert lines[0]["job"] == job_id
    assert all("authorization" not in line for line in lines)


async def test_the_trace_of_the_caller_goes_on_in_the_job(service: Running, store: Store) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    state = ("tracestate", "vendor=opaque")
    traced = service.with_metadata(*bearer(), ("traceparent", trace), state, ("x-request-id", "r-1"))
    job_id = await traced.enqueue(Noop())
    odd_id = await service.with_metadata(*bearer(), ("traceparent", "00-zz-1-01"), state).enqueue(Noop())
    deps = _dependencies(service.settings, store, StreamLimits(), Resources({}), Instruments("service"))
    record, odd = await deps.inspection.get_many(WORK, [job_id, odd_id])
    assert record is not None
    assert odd is not None
    assert (record.envelope.traceparent, record.envelope.tracestate) == (trace, "vendor=opaque")
    assert record.envelope.request_id == "r-1"
    assert (odd.envelope.traceparent, odd.envelope.tracestate) == ("", "")


async def test_an_oversized_message_is_refused_by_size(service: Running) -> None:
    request = EnqueueJobRequest(payload=custom(Noop(pad="x" * (service.settings.grpc_max_message_bytes + 1))))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await service.admin.jobs.EnqueueJob(request)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    await service.admin.jobs.CheckHealth(CheckHealthRequest())


async def test_a_refused_job_of_a_batch_says_as_much_as_one_alone(service: Running) -> None:
    bad = EnqueueJobRequest(queue_name=WORK, job_type="nope")
    alone = await refused(service.admin.jobs.EnqueueJob(bad))
    batch = await service.admin.jobs.BatchEnqueueJobs(BatchEnqueueJobsRequest(jobs=[bad]))
    assert batch.results[0] == BatchEnqueueResult(error=alone.status)
