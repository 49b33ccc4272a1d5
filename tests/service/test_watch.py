"""Following a job to its end, and the queues as they change."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import pytest
from pydantic import SecretStr
from qcollector.jobs.v1.job_actions_pb2 import CancelJobRequest, DeleteJobRequest
from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest, WatchJobRequest
from qcollector.jobs.v1.queue_requests_pb2 import PauseQueueRequest, WatchQueuesRequest
from testjobs.v1.testjobs_pb2 import ScriptResult

from base.settings import Settings
from engine import event_stream
from engine.store import Store
from service.interceptor import admission_control as limits
from service.servicers import jobs as job_watch
from tests.conftest import ValkeyServer, eventually

from .conftest import WORK, Noop, Running, Script, Worker, refused, serving

ONE_STEP = Script(steps=[{"sleep": 1}])
SHORT = 5
"""Seconds that a token holds where a test waits for its end."""


def watch(service: Running, job_id: str, after: str = "") -> Any:
    return service.app.jobs.WatchJob(WatchJobRequest(queue_name=WORK, job_id=job_id, after_sequence=after))


async def rest_of(stream: Any) -> list[Any]:
    events = []
    while (event := await stream.read()) is not grpc.aio.EOF:
        events.append(event)
    assert await stream.code() is grpc.StatusCode.OK
    return events


def place(sequence: str) -> tuple[int, ...]:
    return tuple(map(int, sequence.split("-")))


async def test_a_watcher_gets_a_snapshot_every_change_and_the_end(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(ONE_STEP)
    stream = watch(service, job_id)
    first = await stream.read()
    assert (first.snapshot.job.id, first.snapshot.job.state) == (job_id, JobState.JOB_STATE_WAITING)
    claimed = await worker.start()
    await worker.say(claimed, 25.0, ("step", "reading"))
    await worker.say(claimed, -1.0, ("log", "a line"))
    await worker.end(claimed, ScriptResult(starts=1))
    events = await rest_of(stream)
    assert [event.WhichOneof("event") for event in events] == ["state", "progress", "log", "end"]
    changed, progressed, logged, ended = events
    assert changed.state.state == JobState.JOB_STATE_ACTIVE
    assert (progressed.progress.percent, progressed.progress.step) == (25, "reading")
    assert logged.log.message == "a line"
    assert (ended.end.state, ended.end.job.progress, ended.end.deleted) == (JobState.JOB_STATE_COMPLETED, 100, False)
    result = ScriptResult()
    assert ended.end.job.result.custom.Unpack(result)
    assert result.starts == 1
    sequences = [place(event.sequence) for event in (first, *events)]
    assert sequences == sorted(set(sequences))
    assert all(event.time.seconds for event in events)


async def test_who_watches_is_let_go_when_the_token_expires_and_one_whose_token_holds_is_not(service: Running) -> None:
    short, long = service.as_("service", exp=time.time() + SHORT), service.app
    job_id = await short.enqueue(ONE_STEP)
    request = WatchJobRequest(queue_name=WORK, job_id=job_id)
    streams = [short.jobs.WatchJob(request), short.jobs.WatchQueues(WatchQueuesRequest())]
    kept = long.jobs.WatchJob(request)
    for stream in (*streams, kept):
        await stream.read()
    for stream in streams:
        with contextlib.suppress(grpc.aio.AioRpcError):
            while await stream.read() is not grpc.aio.EOF:
                pass
        assert (await refused(stream)).reason == "TOKEN_EXPIRED"
        assert await stream.code() is grpc.StatusCode.UNAUTHENTICATED
    await long.jobs.CancelJob(CancelJobRequest(queue_name=WORK, job_id=job_id))
    assert (await rest_of(kept))[-1].WhichOneof("event") == "end"


async def test_a_failed_job_ends_the_stream_with_its_reason(service: Running, worker: Worker) -> None:
    stream = watch(service, await service.app.enqueue(ONE_STEP))
    await stream.read()
    await worker.run(reason="the disk is full")
    last = (await rest_of(stream))[-1].end
    assert (last.state, last.reason, last.job.failed_reason) == (
        JobState.JOB_STATE_FAILED,
        "the disk is full",
        "the disk is full",
    )


async def test_a_cancelled_job_ends_the_stream(service: Running) -> None:
    job_id = await service.app.enqueue(ONE_STEP)
    stream = watch(service, job_id)
    await stream.read()
    await service.app.jobs.CancelJob(CancelJobRequest(queue_name=WORK, job_id=job_id, reason="not needed"))
    last = (await rest_of(stream))[-1].end
    assert (last.state, last.job.state) == (JobState.JOB_STATE_CANCELLED, JobState.JOB_STATE_CANCELLED)


async def test_a_deleted_job_ends_the_stream(service: Running) -> None:
    job_id = await service.app.enqueue(ONE_STEP)
    stream = watch(service, job_id)
    await stream.read()
    await service.admin.jobs.DeleteJob(DeleteJobRequest(queue_name=WORK, job_id=job_id))
    (only,) = await rest_of(stream)
    assert (only.end.deleted, only.end.state, only.end.HasField("job")) == (True, JobState.JOB_STATE_UNSPECIFIED, False)
    assert only.end.reason == "deleted"


async def test_a_finished_job_answers_its_end_at_once(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(ONE_STEP)
    await worker.run(ScriptResult(starts=1))
    (only,) = await rest_of(watch(service, job_id))
    assert (only.end.state, only.end.job.id) == (JobState.JOB_STATE_COMPLETED, job_id)
    assert only.end.job.HasField("result")


async def test_a_stream_resumes_behind_the_event_it_got_last(service: Running, worker: Worker) -> None:
    job_id = await service.app.enqueue(ONE_STEP)
    stream = watch(service, job_id)
    await stream.read()
    claimed = await worker.start()
    seen = await stream.read()
    assert seen.state.state == JobState.JOB_STATE_ACTIVE
    stream.cancel()
    await worker.say(claimed, 50.0, ("step", "half"))
    resumed = watch(service, job_id, seen.sequence)
    half = await resumed.read()
    assert half.progress.step == "half"
    await worker.end(claimed, ScriptResult())
    (last,) = await rest_of(resumed)
    assert (last.end.state, last.end.HasField("job")) == (JobState.JOB_STATE_COMPLETED, True)
    again = await rest_of(watch(service, job_id, seen.sequence))
    assert [event.WhichOneof("event") for event in again] == ["progress", "end"]


async def test_a_token_that_is_too_old_gets_a_new_snapshot(service: Running, worker: Worker, store: Store) -> None:
    job_id = await service.app.enqueue(ONE_STEP)
    first = await watch(service, job_id).read()
    claimed = await worker.start()
    await worker.say(claimed, 50.0)
    await store.client.xtrim(store.keys(WORK)["events"], maxlen=1, approximate=False)
    resumed = watch(service, job_id, first.sequence)
    reset = (await resumed.read()).reset
    assert (reset.job.state, reset.job.id) == (JobState.JOB_STATE_ACTIVE, job_id)
    resumed.cancel()


@pytest.mark.parametrize(
    ("wanted", "code", "reason"),
    [
        (WatchJobRequest(queue_name=WORK, job_id="gone"), "NOT_FOUND", "JOB_NOT_FOUND"),
        (WatchJobRequest(queue_name=WORK, job_id="gone", after_sequence="1-0-0"), "NOT_FOUND", "JOB_NOT_FOUND"),
        (WatchJobRequest(queue_name="gone", job_id="gone"), "NOT_FOUND", "QUEUE_UNKNOWN"),
        (
            WatchJobRequest(queue_name=WORK, job_id="x", after_sequence="yesterday"),
            "INVALID_ARGUMENT",
            "REQUEST_INVALID",
        ),
        (WatchJobRequest(queue_name=WORK), "INVALID_ARGUMENT", "REQUEST_INVALID"),
    ],
)
async def test_a_watch_that_cannot_begin_is_a_status_before_any_event(
    service: Running, wanted: WatchJobRequest, code: str, reason: str
) -> None:
    refusal = await refused(service.admin.jobs.WatchJob(wanted))
    assert (refusal.code.name, refusal.reason) == (code, reason)


@pytest.mark.parametrize("sequence", ["99999999999999999999-0-0", "0-0-0", "1-99999999999999999999-9999999999"])
async def test_any_sequence_of_the_right_form_is_answered(service: Running, worker: Worker, sequence: str) -> None:
    job_id = await service.app.enqueue(ONE_STEP)
    stream = watch(service, job_id, sequence)
    first = await stream.read()
    assert first.HasField("reset")
    await worker.run(ScriptResult())
    assert (await rest_of(stream))[-1].end.state == JobState.JOB_STATE_COMPLETED


async def test_heartbeats_keep_a_quiet_stream_open(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_watch, "HEARTBEAT_SECONDS", 0.1)
    stream = watch(service, await service.app.enqueue(ONE_STEP))
    await stream.read()
    for _ in range(3):
        beat = await stream.read()
        assert (beat.WhichOneof("event"), beat.time.seconds > 0) == ("heartbeat", True)
    stream.cancel()


async def test_many_watchers_of_many_jobs_each_get_their_own_events(service: Running, worker: Worker) -> None:
    jobs = [await service.app.enqueue(ONE_STEP) for _ in range(20)]
    streams = [watch(service, job_id) for job_id in jobs for _ in range(3)]
    firsts = await asyncio.gather(*(stream.read() for stream in streams))
    assert [first.snapshot.job.id for first in firsts] == [job_id for job_id in jobs for _ in range(3)]
    for _ in jobs:
        await worker.run(ScriptResult())
    for events, job_id in zip(
        await asyncio.gather(*map(rest_of, streams)), [job_id for job_id in jobs for _ in range(3)], strict=True
    ):
        assert [event.WhichOneof("event") for event in events] == ["state", "end"]
        assert (events[-1].end.state, events[-1].end.job.id) == (JobState.JOB_STATE_COMPLETED, job_id)


async def test_a_caller_holds_only_so_many_streams(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "STREAMS_OF_A_USER", 2)
    job_id = await service.user.enqueue(Noop())
    wanted = WatchJobRequest(queue_name=WORK, job_id=job_id)
    streams = [service.user.jobs.WatchJob(wanted) for _ in range(2)]
    for stream in streams:
        await stream.read()
    refusal = await refused(service.user.jobs.WatchJob(wanted))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert refusal.retry_after
    assert await service.admin.jobs.WatchJob(wanted).read()
    streams[0].cancel()

    async def begins() -> bool:
        return await service.user.jobs.WatchJob(wanted).read() is not grpc.aio.EOF

    async def admitted() -> bool:
        try:
            return await begins()
        except grpc.aio.AioRpcError:
            return False

    await eventually(admitted)


# Queues


@pytest.mark.families
async def test_watching_queues_tells_all_then_those_that_change(service: Running) -> None:
    stream = service.user.jobs.WatchQueues(WatchQueuesRequest())
    everything = await stream.read()
    names = [queue.queue_name for queue in everything.queues]
    assert {"email:send", "email:batch", WORK} <= set(names)
    assert names == sorted(names)
    assert everything.time.seconds
    await service.app.enqueue(Noop())
    changed = await stream.read()
    assert [(queue.queue_name, queue.counts.waiting) for queue in changed.queues] == [(WORK, 1)]
    await service.admin.jobs.PauseQueue(PauseQueueRequest(queue_name="email:send"))
    while "email:send" not in [queue.queue_name for queue in changed.queues]:
        changed = await stream.read()
    assert next(queue for queue in changed.queues if queue.queue_name == "email:send").paused
    stream.cancel()


async def test_quiet_queues_send_heartbeats(service: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_watch, "HEARTBEAT_SECONDS", 0.1)
    stream = service.user.jobs.WatchQueues(WatchQueuesRequest())
    assert (await stream.read()).queues
    beat = await stream.read()
    assert (len(beat.queues), beat.HasField("time")) == (0, True)
    stream.cancel()


async def test_calls_that_callers_break_off_leave_no_connection_behind(
    settings: Settings, own_valkey: ValkeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "LINGER_SECONDS", 0.2)
    monkeypatch.setattr(event_stream, "_BLOCK_MS", 200)
    own = settings.model_copy(update={"redis_url": SecretStr(own_valkey.url)})
    store = await Store.open(own)
    client: Any = store.client

    async def blocked() -> int:
        return sum(one["cmd"] == "xread" and "b" in one["flags"] for one in await client.client_list())

    async with serving(own) as service:
        place = {"queue_name": WORK, "job_id": await service.app.enqueue(ONE_STEP)}
        for _ in range(10):
            calls = [service.app.jobs.WatchJob(WatchJobRequest(**place)) for _ in range(20)]
            await asyncio.gather(*(call.read() for call in calls))
            waits = [service.app.jobs.GetJob(GetJobRequest(**place, wait_seconds=60)) for _ in range(20)]
            await asyncio.sleep(0)  # some of them are under way, some have not left yet
            for call in (*calls, *waits):
                call.cancel()
            assert await blocked() <= 1
        await eventually(lambda: _none(blocked), what="no reader is left")
        assert (await service.app.jobs.GetJob(GetJobRequest(**place))).job.id == place["job_id"]
    await store.close()


async def _none(count: Callable[[], Awaitable[int]]) -> bool:
    return await count() == 0
