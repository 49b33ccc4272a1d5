"""A job that was enqueued: wait for it, follow it, cancel it, fetch what it made."""

import asyncio
import math
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
from google.api.httpbody_pb2 import HttpBody
from qcollector.jobs.v1.job_actions_pb2 import CancelJobRequest
from qcollector.jobs.v1.job_pb2 import Job, JobState
from qcollector.jobs.v1.job_queries_pb2 import DownloadResultRequest, GetJobRequest, WatchJobRequest, WatchJobResponse

from client.connection import AWAY, FIRST_PAUSE, LONGEST_PAUSE, Connection
from client.errors import JobsError, NotEnqueuedError

ENDS = frozenset({JobState.JOB_STATE_COMPLETED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED})
LONGEST_WAIT = 300
"""Seconds that one call waits for a job's end."""


class JobFailedError(Exception):
    """The job ended otherwise than well; `job` tells how."""

    def __init__(self, job: Job) -> None:
        word = JobState.Name(job.state).removeprefix("JOB_STATE_").lower()
        super().__init__(f"job {job.id} of {job.queue_name} is {word}: {job.failed_reason}")
        self.job = job


class JobHandle:
    """One job. `enqueued` is False, and `job_id` may be empty, where the service was away and the application goes on."""

    def __init__(
        self, connection: Connection, queue: str, job_id: str, *, enqueued: bool = True, duplicate: bool = False
    ) -> None:
        self.queue = queue
        self.job_id = job_id
        self.enqueued = enqueued
        self.duplicate = duplicate
        """Whether the job was there already."""
        self._connection = connection
        self._stub = connection.stub

    @property
    def _name(self) -> dict[str, str]:
        if not self.enqueued:
            raise NotEnqueuedError(f"the job for {self.queue} was not enqueued: the service was away")
        return {"queue_name": self.queue, "job_id": self.job_id}

    async def get(self) -> Job:
        """The job as it stands. Raises JobsError."""
        return await self._get(0)

    async def _get(self, seconds: int) -> Job:
        name = self._name
        request = GetJobRequest(queue_name=name["queue_name"], job_id=name["job_id"], wait_seconds=seconds)
        answer = await self._connection.call(lambda metadata: self._stub.GetJob(request, metadata=metadata))
        job: Job = answer.job
        return job

    async def wait(self, timeout: float | None = None) -> Job:  # noqa: ASYNC109  (the service waits, not this loop)
        """The job once it has completed.

        Raises:
          JobFailedError: it failed or was cancelled.
          TimeoutError: it had not ended after `timeout` seconds.
        """
        try:
            # The service counts in whole seconds, so the timeout is kept here. Without any time the job is read once.
            async with asyncio.timeout(timeout if timeout is None or timeout > 0 else None):
                job = await (self.get() if timeout is not None and timeout <= 0 else self._ended(timeout))
        except TimeoutError:
            raise self._not_ended(timeout) from None
        if job.state == JobState.JOB_STATE_COMPLETED:
            return job
        if job.state in ENDS:
            raise JobFailedError(job)
        raise self._not_ended(timeout)

    def _not_ended(self, timeout: float | None) -> TimeoutError:
        return TimeoutError(f"job {self.job_id} has not ended after {timeout} s")

    async def _ended(self, timeout: float | None) -> Job:  # noqa: ASYNC109  (how long the service is asked to wait)
        """The job once it has ended. Asks less and less often if the service answers before that, and before its time."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        pause = FIRST_PAUSE
        while True:
            began = time.monotonic()
            seconds = max(1, math.ceil(min(deadline - began, LONGEST_WAIT)))
            job = await self._get(seconds)
            if job.state in ENDS:
                return job
            if time.monotonic() - began >= seconds / 2:
                pause = FIRST_PAUSE
                continue
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def watch(self) -> AsyncIterator[WatchJobResponse]:
        """A snapshot, every change, the end. Resumes where it was after a broken connection, and under a new token.

        Raises:
          JobsError: the service refuses, or there is no new token.
        """
        after = ""
        pause = FIRST_PAUSE
        while True:
            begins_at = after
            request = WatchJobRequest(**self._name, after_sequence=after)
            stream = self._stub.WatchJob(request, metadata=self._connection.metadata)
            try:
                async for event in stream:
                    after = event.sequence
                    if event.HasField("heartbeat"):
                        continue
                    yield event
                    if event.HasField("end"):
                        return
            except grpc.aio.AioRpcError as error:
                refusal = JobsError.of(error)
                if refusal.reason == "TOKEN_EXPIRED" and after != begins_at:
                    continue  # the token was valid when this stream began: the next one may be, too
                if error.code() not in AWAY:
                    raise refusal from None
                # This call waits for the service with the client's patience, and raises once that is over.
                await self.get()
                # Streams may be refused where calls are answered, so this must not go round without a pause.
                pause = FIRST_PAUSE if after != begins_at else pause
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
            finally:
                stream.cancel()

    async def cancel(self, reason: str = "") -> Job:
        """Cancels the job, also while it runs. Raises JobsError if it has completed or failed."""
        request = CancelJobRequest(**self._name, reason=reason)
        answer = await self._connection.call(lambda metadata: self._stub.CancelJob(request, metadata=metadata))
        job: Job = answer.job
        return job

    async def download(self, target: Path) -> Path:
        """Writes what the job made to `target`, whole or not at all. In a folder, the file is named by the job's id.

        Raises:
          JobsError: it has not completed, or its file is gone.
        """
        if await asyncio.to_thread(target.is_dir):
            target /= self.job_id
        part = target.with_name(target.name + ".part")
        stream = self._stub.DownloadResult(DownloadResultRequest(**self._name), metadata=self._connection.metadata)
        try:
            with part.open("wb") as file:
                async for body in stream:
                    assert isinstance(body, HttpBody)
                    file.write(body.data)
            part.replace(target)
        except grpc.aio.AioRpcError as error:
            raise JobsError.of(error) from None
        finally:
            stream.cancel()
            part.unlink(missing_ok=True)
        return target
