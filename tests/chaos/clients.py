"""Those who call the service while it is being broken, and write down what they asked and were answered."""

import asyncio
import contextlib
import itertools
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import grpc
from chaosjobs.v1.chaosjobs_pb2 import SerialTrial, Trial
from google.protobuf.message import Message
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_actions_pb2 import CancelJobRequest, RetryJobRequest
from qcollector.jobs.v1.job_pb2 import JobOptions, JobState
from qcollector.jobs.v1.job_queries_pb2 import GetJobRequest
from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceStub
from qcollector.jobs.v1.payload_pb2 import JobPayload
from qcollector.jobs.v1.queue_requests_pb2 import GetQueueStatsRequest, PauseQueueRequest, ResumeQueueRequest

from client import JobClient
from client.errors import JobsError
from stack.ports import LOOPBACK
from tests.chaos.history import History
from tests.chaos.ledger import Ledger

WORK, SERIAL = "chaos:work", "chaos:serial"
PATIENCE = 3.0
"""Seconds that a call may take."""
AWAY = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED}
"""What says nothing of what became of a call. RESOURCE_EXHAUSTED says that it was refused, and is worth another try."""
AGAIN = AWAY | {grpc.StatusCode.RESOURCE_EXHAUSTED}
_ABANDONED = 0.15
"""The share of watches that their callers give up in the middle."""


class Service:
    """One way to a service. Calls by it are on the ledger while they are under way."""

    def __init__(self, name: str, port: int, token: str, ledger: Ledger) -> None:
        self.name = name
        options = [
            *(("grpc.initial_reconnect_backoff_ms", 50), ("grpc.max_reconnect_backoff_ms", 500)),
            *(("grpc.keepalive_time_ms", 10_000), ("grpc.http2.ping_timeout_ms", 2000)),
        ]
        self._channel = grpc.aio.insecure_channel(f"{LOOPBACK}:{port}", options)
        self._stub: Any = JobServiceStub(self._channel)
        self._metadata = (("authorization", f"Bearer {token}"),)
        self._ledger = ledger
        self.client = JobClient(f"{LOOPBACK}:{port}", token, patience=20)

    async def call(self, method: str, request: Message, seconds: float = PATIENCE) -> Any:
        self._ledger.calls[self.name] += 1
        try:
            return await getattr(self._stub, method)(request, metadata=self._metadata, timeout=seconds)
        finally:
            self._ledger.calls[self.name] -= 1

    async def close(self) -> None:
        await self._channel.close()
        await self.client.close()


@dataclass
class Clients:
    """All callers of a part. `stopping` ends them: what they have begun they bring to its end."""

    history: History
    ledger: Ledger
    services: list[Service]
    chance: random.Random
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    most_unfinished: int = 120
    """Beyond it nothing is enqueued: the work is to be done by the end."""
    watchers: set[asyncio.Task[None]] = field(default_factory=set)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def run(self) -> None:
        """Returns once `stopping` is set and every call has its answer. Watchers go on: `watched` waits for them."""
        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(self._enqueue_on(number))
            for act in (self._cancel, self._retry, self._pause, self._wait):
                group.create_task(self._now_and_then(act))
            for queue in (WORK, SERIAL):
                group.create_task(self._sample_on(queue))

    async def resume(self) -> None:
        """What a frozen service had taken and does once it goes on may be a pause that its caller has given up."""
        for queue in (WORK, SERIAL):
            await self._insist("ResumeQueue", ResumeQueueRequest(queue_name=queue), queue=queue)

    async def watched(self, seconds: float) -> None:
        """Waits until every watcher has seen the end; those that have not are given up, which the history tells."""
        if self.watchers:
            _, pending = await asyncio.wait(self.watchers, timeout=seconds)
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    def _service(self) -> Service:
        return self.chance.choice(self.services)

    async def _pause_for(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)

    async def _insist(self, method: str, request: Message, **asked: Any) -> Any:
        """Makes a call again and again until it is answered or refused; None where it is refused.

        The history has it as one call, for repeating it is safe.
        """
        number = next(self._numbers)
        self.history.write("call", "invoked", call=number, op=method, **asked)
        for attempts in itertools.count(1):
            try:
                answer = await self._service().call(method, request)
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN:
                    self.history.write(
                        "call", "refused", call=number, op=method, code=error.code().name, text=error.details(), **asked
                    )
                    return None
            else:
                told = _told(answer)
                self.history.write("call", "answered", call=number, op=method, attempts=attempts, **asked, **told)
                return answer
            await asyncio.sleep(0.1)
        return None

    async def _enqueue_on(self, number: int) -> None:
        while not self.stopping.is_set():
            if self.ledger.unfinished < self.most_unfinished:
                await self._enqueue(SERIAL if number < 2 else WORK)
            await self._pause_for(self.chance.uniform(0.02, 0.4))

    async def _enqueue(self, queue: str) -> None:
        chance = self.chance
        name = f"n{next(self._numbers)}-{uuid.uuid4().hex[:8]}"
        options = JobOptions(priority=chance.choice((0, 0, 0, 1, 5, -3)))
        if chance.random() < 0.25:
            options.delay = chance.randrange(100, 2500)
        named = chance.random() < 0.5
        if named:
            options.job_id = name
        trial = _trial(queue, chance)
        payload = JobPayload()
        payload.custom.Pack(trial)
        request = EnqueueJobRequest(payload=payload, options=options, request_id="" if named else name)
        self.ledger.asked[queue] += 1
        answer = await self._insist(
            "EnqueueJob", request, queue=queue, name=name, delay=options.delay, **_planned(trial)
        )
        if answer is None:
            self.ledger.asked[queue] -= 1
            return
        self.ledger.acknowledge(queue, answer.job_id)
        if chance.random() < 0.2:
            task = asyncio.create_task(self._watch(queue, answer.job_id))
            self.watchers.add(task)
            task.add_done_callback(self.watchers.discard)

    async def _watch(self, queue: str, job: str) -> None:
        number = next(self._numbers)
        service = self._service()
        self.history.write("watch", "began", watch=number, queue=queue, job=job, service=service.name)
        abandoned = self.chance.random() < _ABANDONED
        self.ledger.calls[service.name] += 1
        try:
            while True:
                try:
                    async for event in service.client.job(queue, job).watch():
                        told = event.WhichOneof("event") or ""
                        self.history.write("watch", "told", watch=number, job=job, told=told, sequence=event.sequence)
                        if told == "end":
                            state = JobState.Name(event.end.state).removeprefix("JOB_STATE_")
                            self.history.write("watch", "ended", watch=number, queue=queue, job=job, state=state)
                            return
                        if abandoned:
                            self.history.write("watch", "abandoned", watch=number, queue=queue, job=job)
                            return
                except JobsError as error:
                    if error.code is grpc.StatusCode.NOT_FOUND:
                        self.history.write("watch", "gone", watch=number, queue=queue, job=job)
                        return
                    # The service stayed away for longer than the client's patience.
                    self.history.write("watch", "broke", watch=number, job=job, text=str(error))
                    await asyncio.sleep(0.2)
        except asyncio.CancelledError:
            self.history.write("watch", "given_up", watch=number, queue=queue, job=job)
            raise
        finally:
            self.ledger.calls[service.name] -= 1

    async def _now_and_then(self, act: Callable[[], Awaitable[None]]) -> None:
        while not self.stopping.is_set():
            await self._pause_for(self.chance.uniform(0.2, 1.2))
            if not self.stopping.is_set():
                await act()

    async def _cancel(self) -> None:
        if (found := self.ledger.some_unfinished(self.chance)) is not None:
            queue, job = found
            await self._insist("CancelJob", CancelJobRequest(queue_name=queue, job_id=job), queue=queue, job=job)

    async def _retry(self) -> None:
        if (found := self.ledger.some_failed(self.chance)) is None:
            return
        queue, job = found
        # Not repeated: whoever retries twice may run a job twice.
        number = next(self._numbers)
        asked = {"queue": queue, "job": job}
        self.history.write("call", "invoked", call=number, op="RetryJob", **asked)
        try:
            await self._service().call("RetryJob", RetryJobRequest(queue_name=queue, job_id=job))
        except grpc.aio.AioRpcError as error:
            what = "unknown" if error.code() in AWAY else "refused"
            self.history.write("call", what, call=number, op="RetryJob", code=error.code().name, **asked)
        else:
            self.history.write("call", "answered", call=number, op="RetryJob", **asked)

    async def _pause(self) -> None:
        """Pauses, and resumes whatever happens meanwhile."""
        queue = WORK if self.chance.random() < 0.8 else SERIAL
        await self._insist("PauseQueue", PauseQueueRequest(queue_name=queue), queue=queue)
        await asyncio.sleep(self.chance.uniform(0.1, 0.8))
        await self._insist("ResumeQueue", ResumeQueueRequest(queue_name=queue), queue=queue)
        await self._pause_for(2)

    async def _wait(self) -> None:
        if (found := self.ledger.some_unfinished(self.chance)) is not None:
            queue, job = found
            with contextlib.suppress(grpc.aio.AioRpcError):
                await self._service().call("GetJob", GetJobRequest(queue_name=queue, job_id=job, wait_seconds=2), 4)

    async def _sample_on(self, queue: str) -> None:
        while not self.stopping.is_set():
            await self._pause_for(0.2)
            least = self.ledger.acknowledged[queue]
            began = self.history.write("sample", "asked", queue=queue)
            try:
                answer = await self._service().call("GetQueueStats", GetQueueStatsRequest(queue_name=queue))
            except grpc.aio.AioRpcError as error:
                if error.code() not in AGAIN:
                    self.history.write(
                        "call", "refused", op="GetQueueStats", code=error.code().name, text=error.details()
                    )
                continue
            held = answer.stats.counts
            counts = {field.name: getattr(held, field.name) for field in held.DESCRIPTOR.fields}
            most = self.ledger.asked[queue]
            self.history.write("sample", "taken", queue=queue, began=began, least=least, most=most, counts=counts)


def _trial(queue: str, chance: random.Random) -> Trial | SerialTrial:
    # Most are quick; some outlast a lease, and some a process that stands still, and a lease after that.
    run_ms = chance.choice((5, 20, 50, 100, 200, 400, 800, 1500, 3000, 5000, 12_000))
    if queue == SERIAL:
        return SerialTrial(run_ms=run_ms // 20)
    trial = Trial(run_ms=run_ms, lines=chance.choice((0, 0, 3)))
    if chance.random() < 0.1:
        trial.fail_times = chance.choice((1, 2, 9))
    elif chance.random() < 0.1:
        trial.snooze_ms = chance.randrange(50, 800)
    return trial


def _planned(trial: Trial | SerialTrial) -> dict[str, int]:
    """What the checker has to know of a job."""
    if isinstance(trial, SerialTrial):
        return {}
    return {"fail_times": trial.fail_times, "snooze_ms": trial.snooze_ms}


def _told(answer: Any) -> dict[str, Any]:
    """What an answer tells, for the history."""
    fields = Counter(field.name for field in answer.DESCRIPTOR.fields)
    told: dict[str, Any] = {}
    if fields["job_id"]:
        told["job"] = answer.job_id
        told["duplicate"] = answer.duplicate
        told["created"] = answer.create_time.ToMilliseconds()
    if fields["job"]:
        told["state"] = JobState.Name(answer.job.state).removeprefix("JOB_STATE_")
    return told
