"""The client against a real service: tasks, handles, and a service that is away."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from qcollector.jobs.v1.email_pb2 import EmailPasswordReset, EmailSubmissionNotification, EmailWelcome
from qcollector.jobs.v1.file_pb2 import FileImageOptions, FileImageProcess, FileThumbnailSize
from qcollector.jobs.v1.job_actions_pb2 import RetryJobRequest, RetryJobResponse
from qcollector.jobs.v1.job_pb2 import Job, JobState
from qcollector.jobs.v1.job_queries_pb2 import (
    DownloadResultRequest,
    GetJobRequest,
    GetJobResponse,
    WatchJobRequest,
    WatchJobResponse,
)
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceServicer, JobServiceStub, add_JobServiceServicer_to_server
from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest, GetQueueStatsResponse
from qcollector.jobs.v1.system_pb2 import SystemCleanup
from testjobs.v1.testjobs_pb2 import Noop, NoopResult, Script, ScriptResult, Step

from base.settings import Settings
from client import JobClient, JobFailedError, JobsError, NotEnqueuedError, UnavailableError, connection
from client.connection import Connection
from contract.catalog import Catalog
from engine.inspection import Inspection
from engine.jobs import Outcome, Settlement, State
from engine.store import Store
from tests.chaos.proxy import Proxy
from tests.conftest import ValkeyServer, eventually, free_port
from tests.service.conftest import Running, Worker, service, serving, token, worker  # noqa: F401  (fixtures)

FORM = "f0000000-0000-4000-8000-000000000001"
SHORT = 4
"""Seconds that a token holds where a test waits for its end."""


@dataclass
class User:
    """A row of the application's, with more columns than a mail needs."""

    id: int = 7
    email: str = "ada@example.com"
    username: str = "ada"
    first_name: str = "Ada"
    password_hash: str = "never"


@pytest.fixture
async def client(service: Running) -> AsyncIterator[JobClient]:  # noqa: F811
    async with JobClient(f"127.0.0.1:{service.service.port}", lambda: token(role="service")) as client:
        yield client


async def test_the_seeds_call_enqueues_a_welcome_mail(client: JobClient, store: Store) -> None:
    job = await client.send_welcome_email(User(), priority=8, delay=5000)
    stored = await Inspection(store, {}).get(job.queue, job.job_id)
    assert stored
    payload = EmailWelcome.FromString(stored.envelope.payload)
    assert (payload.user.id, payload.user.email, payload.user.first_name) == ("7", "ada@example.com", "Ada")
    assert (stored.priority, stored.state) == (8, State.DELAYED)
    assert b"never" not in stored.envelope.payload


async def test_each_task_has_its_priority_and_payload(client: JobClient, store: Store) -> None:
    look = Inspection(store, {})
    told = await client.send_submission_notification(
        {"id": 1, "submittedByName": "Bo", "createdAt": "2025-01-01T10:00:00+00:00"},
        {"id": 2, "title": "Form", "version": 3},
        ["a@example.com", {"email": "b@example.com"}],
    )
    stored = await look.get(told.queue, told.job_id)
    assert stored
    note = EmailSubmissionNotification.FromString(stored.envelope.payload)
    assert (note.submission.submitted_by_name, note.form.version, stored.priority) == ("Bo", "3", 7)
    assert [one.email for one in note.recipients] == ["a@example.com", "b@example.com"]
    reset = await client.send_password_reset_email(User(), "secret-token", "2099-01-01")
    stored = await look.get(reset.queue, reset.job_id)
    assert stored
    assert stored.priority == 8
    assert EmailPasswordReset.FromString(stored.secret).reset_token == "secret-token"
    assert stored.expire_at


async def test_a_handle_waits_watches_and_downloads(client: JobClient, worker: Worker, tmp_path: Path) -> None:  # noqa: F811
    folder = tmp_path / "got"
    folder.mkdir()
    job = await client.enqueue(Script(steps=[Step(answer=1)]))
    seen = asyncio.create_task(_states(job))
    await worker.run(ScriptResult(pad="x"))
    assert (await job.wait(10)).state == JobState.JOB_STATE_COMPLETED
    assert (await asyncio.wait_for(seen, 10))[-1] == JobState.JOB_STATE_COMPLETED
    assert json.loads((await job.download(folder)).read_bytes())["pad"] == "x"
    assert list(folder.iterdir()) == [folder / job.job_id]


async def _states(job) -> list[int]:
    return [_state(event) async for event in job.watch()]


def _state(event: WatchJobResponse) -> int:
    """Where the job stands by this event; unspecified where it does not say."""
    return event.snapshot.job.state or event.state.state or event.end.state


async def test_a_failed_or_cancelled_job_is_an_exception_that_carries_it(
    client: JobClient,
    worker: Worker,  # noqa: F811
) -> None:
    job = await client.enqueue(Noop())
    claimed = await worker.start()
    settlement = Settlement(claimed.id, claimed.fence, Outcome.FAIL_FOR_GOOD, reason="no good")
    await worker.of().settle([settlement], 0)
    with pytest.raises(JobFailedError, match="no good"):
        await job.wait(10)
    other = await client.enqueue(Noop())
    await other.cancel("not needed")
    with pytest.raises(JobFailedError, match="cancelled: not needed"):
        await other.wait(10)
    with pytest.raises(TimeoutError):
        await (await client.enqueue(Noop())).wait(0.1)


async def test_a_refusal_names_the_field(client: JobClient) -> None:
    with pytest.raises(JobsError) as refused:
        await client.send_welcome_email({"email": "nobody"})
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert [one.field for one in refused.value.violations] == ["payload.emailWelcome.user.email"]


async def test_an_own_id_makes_the_second_call_a_duplicate(client: JobClient) -> None:
    first = await client.enqueue(Noop(pad="a"), job_id="mine")
    second = await client.enqueue(Noop(pad="a"), job_id="mine")
    assert (first.duplicate, second.duplicate) == (False, True)
    with pytest.raises(JobsError) as refused:
        await client.enqueue(Noop(pad="b"), job_id="mine")
    assert refused.value.reason == "JOB_ID_CONFLICT"


async def test_a_call_is_repeated_under_its_request_id_and_makes_no_job_id_of_its_own(
    client: JobClient, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_stub", _Forgetful(client._stub))
    job = await client.enqueue(Noop(pad="a"))
    assert not job.duplicate, "its own repetition is none"
    stats = await Inspection(store, {}).stats([job.queue])
    assert stats[0].counts[State.WAITING] == 1
    keys = store.keys(job.queue)
    kept = [await store.client.exists(keys[name]) for name in ("ids", "gone", "requests", "request_times")]
    assert kept == [0, 0, 1, 1], "an id of the service's own is not remembered, only the request is, for an hour"


class _Forgetful:
    """Loses the first answer of each call on its way back."""

    def __init__(self, stub: Any) -> None:
        self._stub = stub
        self._lost: set[str] = set()

    def __getattr__(self, method: str) -> Any:
        async def call(request: Any, metadata: Any) -> Any:
            answer = await getattr(self._stub, method)(request, metadata=metadata)
            if method not in self._lost:
                self._lost.add(method)
                raise grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
            return answer

        return call


async def test_a_callers_own_request_id_works_from_one_process_to_the_next(client: JobClient) -> None:
    first = await client.enqueue(Noop(pad="a"), request_id="order-7")
    second = await client.enqueue(Noop(pad="a"), request_id="order-7")
    assert (first.duplicate, second.duplicate, second.job_id) == (False, True, first.job_id)
    with pytest.raises(JobsError) as refused:
        await client.enqueue(Noop(pad="b"), request_id="order-7")
    assert refused.value.reason == "REQUEST_ID_CONFLICT"
    assert [one.field for one in refused.value.violations] == ["requestId"]


async def test_an_enqueue_goes_on_through_an_outage_and_stores_one_job(
    own_valkey: ValkeyServer, settings: Settings, catalog: Catalog
) -> None:
    own_valkey.kill()
    away = settings.model_copy(update={"redis_url": None, "redis_port": own_valkey.port})
    async with (
        serving(away) as running,
        JobClient(f"127.0.0.1:{running.service.port}", token(role="service"), patience=20) as client,
    ):
        waiting = asyncio.create_task(client.enqueue(Noop()))
        await asyncio.sleep(0)
        own_valkey.start()
        job = await waiting
        assert not job.duplicate
        assert (await job.get()).state == JobState.JOB_STATE_WAITING


async def test_a_call_that_a_stopping_service_broke_off_is_repeated() -> None:
    calls: list[str] = []

    async def get_job(request: GetJobRequest, context: Any) -> GetJobResponse:
        """Stands in for a service that is stopped in the middle of a call, which cannot be timed with a real one."""
        calls.append(request.job_id)
        if len(calls) == 1:
            await context.abort(grpc.StatusCode.CANCELLED, "")
        return GetJobResponse(job=Job(id=request.job_id))

    async with _answering(get_job) as client:
        assert (await client.job("test:work", "one").get()).id == "one"
    assert calls == ["one", "one"]


@asynccontextmanager
async def _answering(get_job: Any, *, patience: float = 10, **streams: Any) -> AsyncIterator[JobClient]:
    """A client of a service that has GetJob alone, and streams by their methods' names."""
    handlers = {
        "GetJob": grpc.unary_unary_rpc_method_handler(
            get_job, GetJobRequest.FromString, GetJobResponse.SerializeToString
        )
    }
    kinds: dict[str, tuple[Any, Any]] = {
        "WatchJob": (WatchJobRequest, WatchJobResponse),
        "DownloadResult": (DownloadResultRequest, HttpBody),
    }
    for method, stream in streams.items():
        request, response = kinds[method]
        handlers[method] = grpc.unary_stream_rpc_method_handler(stream, request.FromString, response.SerializeToString)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("qcollector.jobs.v1.JobService", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with JobClient(f"127.0.0.1:{port}", "token", patience=patience) as client:
            yield client
    finally:
        await server.stop(0)


async def _get_job(request: GetJobRequest, _context: Any) -> GetJobResponse:
    return GetJobResponse(job=Job(id=request.job_id))


async def test_a_watch_that_is_refused_while_calls_are_answered_asks_less_and_less_often() -> None:
    watches: list[float] = []

    async def watch_job(_request: WatchJobRequest, context: Any) -> AsyncIterator[WatchJobResponse]:
        watches.append(time.monotonic())
        if len(watches) < 4:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "no stream is left")
        end = WatchJobResponse(sequence="1-0-0")
        end.end.SetInParent()
        yield end

    async with _answering(_get_job, patience=0, WatchJob=watch_job) as client:
        assert len([event async for event in client.job("test:work", "one").watch()]) == 1
    pauses = [after - before for before, after in pairwise(watches)]
    assert [pause >= least * 0.99 for pause, least in zip(pauses, (0.1, 0.2, 0.4), strict=True)] == [True] * 3


async def test_a_download_that_cannot_be_written_ends_its_call(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def download_result(_request: DownloadResultRequest, context: Any) -> AsyncIterator[HttpBody]:
        context.add_done_callback(lambda _: ended.set())
        while True:
            yield HttpBody(data=b"x" * 65_536)

    (tmp_path / "file.part").symlink_to("/dev/full")
    async with _answering(_get_job, DownloadResult=download_result) as client:
        with pytest.raises(OSError, match="No space left") as refused:  # which keeps the call: nothing else ends it
            await client.job("test:work", "one").download(tmp_path / "file")
        await asyncio.wait_for(ended.wait(), 10)
        assert refused.tb


@pytest.mark.parametrize(("timeout", "asked"), [(0.4, 1), (1.2, 2), (0.01, 1), (0, 0), (-1, 0)])
async def test_a_wait_is_one_call_whatever_its_fraction_and_ends_in_time(timeout: float, asked: int) -> None:
    calls: list[int] = []

    async def get_job(request: GetJobRequest, _context: Any) -> GetJobResponse:
        calls.append(request.wait_seconds)
        await asyncio.sleep(request.wait_seconds)
        return GetJobResponse(job=Job(id="one", state=JobState.JOB_STATE_WAITING))

    async with _answering(get_job) as client:
        began = time.monotonic()
        with pytest.raises(TimeoutError, match="has not ended"):
            await client.job("test:work", "one").wait(timeout)
        assert time.monotonic() - began < max(timeout, 0) + 0.5
    assert calls in ([asked], [])  # a hundredth of a second may not even suffice to send it
    assert calls or timeout == 0.01


async def test_a_service_that_answers_before_the_end_is_not_asked_without_a_pause() -> None:
    states = [JobState.JOB_STATE_ACTIVE] * 4 + [JobState.JOB_STATE_COMPLETED]
    calls: list[float] = []

    async def get_job(_request: GetJobRequest, _context: Any) -> GetJobResponse:
        calls.append(time.monotonic())
        return GetJobResponse(job=Job(id="one", state=states[len(calls) - 1]))

    async with _answering(get_job) as client:
        assert (await client.job("test:work", "one").wait(60)).state == JobState.JOB_STATE_COMPLETED
    pauses = [after - before for before, after in pairwise(calls)]
    assert [pause >= least * 0.99 for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True)] == [True] * 4


async def test_grpc_itself_repeats_what_is_harmless_and_nothing_else() -> None:
    class Faltering(JobServiceServicer):
        """Is away for the first call of each method."""

        def __init__(self) -> None:
            self.calls: Counter[str] = Counter()

        async def _answer(self, name: str, context: Any, answer: Any) -> Any:
            self.calls[name] += 1
            if self.calls[name] == 1:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "away")
            return answer

        async def GetQueueStats(self, request: Any, context: Any) -> GetQueueStatsResponse:  # noqa: N802
            return await self._answer("stats", context, GetQueueStatsResponse())

        async def RetryJob(self, request: Any, context: Any) -> RetryJobResponse:  # noqa: N802
            return await self._answer("retry", context, RetryJobResponse())

    server, servicer = grpc.aio.server(), Faltering()  # type: ignore[abstract]
    add_JobServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    connection = Connection(f"127.0.0.1:{port}", "token", None, patience=10)
    stub: Any = JobServiceStub(connection.channel)
    await stub.GetQueueStats(GetQueueStatsRequest(queue_name="email:send"))
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.RetryJob(RetryJobRequest(queue_name="email:send", job_id="1"))
    assert servicer.calls == {"stats": 2, "retry": 1}
    await connection.close()
    await server.stop(None)


async def test_on_unavailable_decides_whether_the_application_goes_on() -> None:
    nobody = f"127.0.0.1:{free_port()}"
    told: list[UnavailableError] = []
    async with JobClient(nobody, "t", patience=0.2) as strict:
        with pytest.raises(UnavailableError):
            await strict.send_welcome_email(User())
    async with JobClient(nobody, "t", patience=0.2, on_unavailable=told.append) as lenient:
        job = await lenient.send_welcome_email(User())
    assert len(told) == 1
    assert not job.enqueued
    with pytest.raises(NotEnqueuedError):
        await job.wait()


async def test_a_watch_goes_on_after_a_restart_of_the_service(settings: Settings, worker: Worker) -> None:  # noqa: F811
    port = free_port()
    async with serving(settings, grpc_port=port), JobClient(f"127.0.0.1:{port}", token(role="service")) as client:
        job = await client.enqueue(Noop())
    async with JobClient(f"127.0.0.1:{port}", token(role="service"), patience=20) as client:
        seen: list[int] = []

        async def follow() -> None:
            async for event in client.job(job.queue, job.job_id).watch():
                seen.append(_state(event))  # noqa: PERF401  (read while it grows)

        async with serving(settings, grpc_port=port):
            following = asyncio.create_task(follow())
            await eventually(lambda: seen)
        async with serving(settings, grpc_port=port):
            await worker.run(NoopResult())
            await asyncio.wait_for(following, 20)
        assert seen[-1] == JobState.JOB_STATE_COMPLETED


async def test_a_watch_goes_on_where_its_connection_has_died_and_nobody_says_so(
    service: Running,  # noqa: F811
    worker: Worker,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_MS", 10_000)  # the service takes no more
    monkeypatch.setattr(connection, "KEEPALIVE_TIMEOUT_MS", 500)
    way = await Proxy(service.service.port).open()
    async with JobClient(f"127.0.0.1:{way.port}", token(role="service"), patience=20) as client:
        job = await client.enqueue(Noop())
        following = asyncio.create_task(_states(job))
        await eventually(lambda: way.calls == 0)
        await asyncio.sleep(0.2)  # the snapshot is on its way
        assert way.halve() == 1
        await worker.run(NoopResult())
        assert (await asyncio.wait_for(following, 40))[-1] == JobState.JOB_STATE_COMPLETED
    await way.close()


async def test_a_watch_goes_on_under_a_new_token_and_ends_where_there_is_none(
    service: Running,  # noqa: F811
    worker: Worker,  # noqa: F811
) -> None:
    address = f"127.0.0.1:{service.service.port}"
    used: list[str] = []
    seconds = SHORT

    def latest() -> str:
        used.append(token(sub="a-service", role="service", exp=time.time() + seconds))
        return used[-1]

    async def follow(jobs: JobClient) -> list[str | None]:
        return [event.WhichOneof("event") async for event in jobs.job("test:work", job_id).watch()]

    job_id = await service.app.enqueue(Noop())
    async with (
        JobClient(address, latest) as renewing,
        JobClient(address, token(sub="a-service", role="service", exp=time.time() + SHORT)) as fixed,
    ):
        following, ending = asyncio.create_task(follow(renewing)), asyncio.create_task(follow(fixed))
        await eventually(lambda: used)
        seconds = 600
        await eventually(lambda: len(used) > 1)
        with pytest.raises(JobsError) as caught:
            await ending
        assert caught.value.reason == "TOKEN_EXPIRED"
        await worker.run(NoopResult())
        assert (await asyncio.wait_for(following, 20))[-1] == "end"


async def test_images_and_cleanups_take_the_seeds_arguments(service: Running, store: Store, settings: Settings) -> None:  # noqa: F811
    image = settings.root("upload") / "a.jpg"
    image.write_bytes(b"")
    async with JobClient(f"127.0.0.1:{service.service.port}", token(role="admin")) as client:
        options = FileImageOptions(
            thumbnail_sizes=[FileThumbnailSize(name="small", width=150, height=150)], quality=85, generate_webp=True
        )
        processed = await client.process_image_upload("uploads/a.jpg", "uploads/processed", options)
        cleaned = await client.trigger_system_cleanup([{"type": "temp_files", "max_age": 24 * 60 * 60 * 1000}])
    look = Inspection(store, {})
    stored = await look.get(processed.queue, processed.job_id)
    assert stored
    payload = FileImageProcess.FromString(stored.envelope.payload)
    assert (stored.priority, payload.output_dir, payload.options) == (4, "uploads/processed", options)
    stored = await look.get(cleaned.queue, cleaned.job_id)
    assert stored
    (task,) = SystemCleanup.FromString(stored.envelope.payload).tasks
    assert (stored.priority, task.type, task.max_age) == (6, 2, 86_400_000)


async def test_an_export_of_a_form_that_is_not_there_says_so(sample_database: Settings) -> None:
    async with (
        serving(sample_database) as running,
        JobClient(f"127.0.0.1:{running.service.port}", token(role="admin")) as client,
    ):
        job = await client.export_form_submissions(str(FORM), "xlsx", ("2025-01-01", "2025-12-31"))
        assert (await job.get()).payload.export_form_submissions.date_range.end == "2025-12-31"
        stats = await client.calculate_form_stats(str(FORM), ("2025-01-01", "2025-12-31"))
        assert (await stats.get()).priority == 2
        with pytest.raises(JobsError, match="no form"):
            await client.export_form_submissions("00000000-0000-4000-8000-000000000000", "csv")


@pytest.mark.parametrize("moment", [datetime(2099, 1, 1), "2099-01-01T10:00:00"])  # noqa: DTZ001  (which is the point)
async def test_a_moment_without_a_zone_is_refused_rather_than_guessed(client: JobClient, moment: Any) -> None:
    with pytest.raises(ValueError, match=r"^expires_at: .* names no zone"):
        await client.send_password_reset_email(User(), "secret-token", moment)
    with pytest.raises(ValueError, match=r"^run_at: .* names no zone"):
        await client.enqueue(Noop(), run_at=moment)


async def test_words_and_fields_that_there_are_not_are_refused_by_name(client: JobClient) -> None:
    with pytest.raises(ValueError, match=r"^file_format: 'pdf' is not one of csv, json, xlsx"):
        await client.export_form_submissions(FORM, "pdf")
    with pytest.raises(ValueError, match=r"^tasks\[1\].maximumAge: there is no such field; there are .*max_age"):
        await client.trigger_system_cleanup(
            [{"type": "temp_files", "maxAge": 1}, {"type": "cache_cleanup", "maximumAge": 1}]
        )
    with pytest.raises(ValueError, match=r"^tasks\[0\].type: 'everything' is not one of .*temp_files"):
        await client.trigger_system_cleanup([{"type": "everything"}])
    with pytest.raises(ValueError, match=r"^expires_at: 'soon' is no moment"):
        await client.send_password_reset_email(User(), "secret-token", "soon")


async def test_a_value_of_a_wrong_type_is_refused_by_its_field_and_told_the_right_one(client: JobClient) -> None:
    with pytest.raises(ValueError, match=r"^tasks\[1\].maxAge: 'x' cannot be used; pass a number \(int or float\)"):
        await client.trigger_system_cleanup([{"type": "cache_cleanup"}, {"type": "temp_files", "maxAge": "x"}])
    refused: list[tuple[dict[str, Any], str]] = [
        ({"delay": "soon"}, r"^delay: 'soon' cannot be used; pass a number"),
        ({"attempts": "3"}, r"^attempts: '3' cannot be used; pass a whole number"),
        (
            {"priority": 2**40},
            r"^priority: 1099511627776 cannot be used; pass a whole number \(int\) of at most 32 bits",
        ),
        ({"job_id": 5}, r"^job_id: 5 cannot be used; pass text"),
        ({"run_at": 5}, r"^run_at: 5 is no moment; pass a datetime"),
        ({"prio": 5}, r"^prio: there is no such field; there are .*priority"),
    ]
    for options, message in refused:
        with pytest.raises(ValueError, match=message):
            await client.enqueue(Noop(), **options)
    submission = {"id": "s1", "hasAttachments": "yes"}
    with pytest.raises(ValueError, match=r"^has_attachments: 'yes' cannot be used; pass True or False"):
        await client.send_submission_notification(submission, {"title": "Form"}, [])
