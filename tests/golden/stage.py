"""Where the examples are played: a gateway, a service and a store of their own, and a worker that does what it is told."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2

from base.settings import Settings
from contract.catalog import Catalog
from engine.claims import Claims, Note
from engine.jobs import ClaimedJob, Outcome, Settlement
from engine.store import Store
from stack.ports import LOOPBACK
from tests.gateway.front import Front, token

_ = error_details_pb2  # the descriptors by which details of errors become JSON
Exchange = dict[str, Any]
USER = {"id": "1", "email": "user@example.com", "username": "ada"}
WORKER = "worker-1"


@dataclass
class Stage:
    """One front door and what stands behind it."""

    front: Front
    settings: Settings
    catalog: Catalog

    def rest(self, method: str, path: str, body: Any = None, *, events: int = 0) -> Exchange:
        """One call with its answer, of whose stream so many events are read (0: to its end)."""
        path = path if path.startswith("/") else f"/api/v1/queue/{path}"
        connection = self.front.send(method, path, body)
        try:
            response = connection.getresponse()
            kind = response.headers.get_content_type()
            answer: Exchange = {"status": response.status, "contentType": kind}
            if kind == "text/event-stream":
                answer["events"] = _events(response, events)
            else:
                answer["body"] = json.loads(response.read())
        finally:
            connection.close()
        request: Exchange = {"method": method, "path": path}
        return {"request": request if body is None else {**request, "body": body}, "response": answer}

    def grpc(self, method: MethodDescriptor, *messages: dict[str, Any]) -> Exchange:
        """One call over gRPC, its messages as JSON."""
        asked = [ParseDict(message, GetMessageClass(method.input_type)()) for message in messages]
        with grpc.insecure_channel(f"{LOOPBACK}:{self.front.rest}") as channel:
            answers = [
                MessageToDict(answer, always_print_fields_with_no_presence=True)
                for answer in _call(channel, method, asked)
            ]
        path = f"/{method.containing_service.full_name}/{method.name}"
        return {"request": {"grpc": path, "messages": list(messages)}, "response": {"messages": answers}}

    def enqueue(self, job_id: str, queue: str = "email:send", job_type: str = "welcome", **more: Any) -> str:
        """A job under an id of the example's own, as nobody works; its id."""
        data = more.pop("data", {"user": USER})
        body = {"queueName": queue, "jobType": job_type, "data": data, "options": {"jobId": job_id, **more}}
        answer = self.front.call("POST", "jobs", body)
        assert answer.status == 200, answer.text
        return job_id

    def complete(self, job_id: str, result: Message, **job: Any) -> str:
        """A job that ended well, with a log line."""
        return self._run(self.enqueue(job_id, **job), Outcome.COMPLETE, result.SerializeToString(), **job)

    def fail(self, job_id: str, reason: str = "The mailbox is full.", **job: Any) -> str:
        """A job that failed for good."""
        return self._run(self.enqueue(job_id, **job), Outcome.FAIL_FOR_GOOD, b"", reason, **job)

    def _run(self, job_id: str, outcome: Outcome, result: bytes, reason: str = "", **job: Any) -> str:
        async def run(store: Store) -> None:
            queue = job.get("queue", "email:send")
            claims = Claims(store, self.catalog.queue(queue), WORKER, self.settings)
            claimed = _claimed((await claims.claim(1000)).jobs, job_id)
            await claims.note([Note(job_id, claimed.fence, 50.0, (("log", "Half of it is done."),))])
            await claims.settle([Settlement(job_id, claimed.fence, outcome, result, reason)], 0)

        self.in_store(run)
        return job_id

    def in_store(self, action: Callable[[Store], Awaitable[None]]) -> None:
        """Does something in the store itself."""

        async def run() -> None:
            store = await Store.open(self.settings)
            try:
                await action(store)
            finally:
                await store.close()

        asyncio.run(run())


def _claimed(jobs: Any, job_id: str) -> ClaimedJob:
    (job,) = jobs
    assert job.id == job_id, "an earlier example left a job that waits in this queue"
    found: ClaimedJob = job
    return found


def _events(response: Any, count: int) -> list[Any]:
    found: list[Any] = []
    while line := response.readline():
        if line.startswith(b"data: "):
            found.append(json.loads(line.removeprefix(b"data: ")))
            if len(found) == count:
                break
    return found


def _call(channel: grpc.Channel, method: MethodDescriptor, asked: list[Message]) -> list[Message]:
    path = f"/{method.containing_service.full_name}/{method.name}"
    read = GetMessageClass(method.output_type).FromString
    options = {"metadata": (("authorization", f"Bearer {token()}"),), "timeout": 30}
    if method.client_streaming:
        stream: Any = channel.stream_stream(path, lambda message: message.SerializeToString(), read)
        return list(stream(iter(asked), **options))
    (one,) = asked
    return [channel.unary_unary(path, lambda message: message.SerializeToString(), read)(one, **options)]
