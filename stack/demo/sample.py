"""What a sample job of the demonstration is. Each family of job types has a module of them."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

from qcollector.jobs.v1.job_pb2 import Job, JobState
from qcollector.jobs.v1.job_queries_pb2 import WatchJobResponse

from stack.demo.gateway import Enqueued, Gateway


class Sample(ABC):
    """One job: how it is enqueued and followed, and what must come of it."""

    title: ClassVar[str]
    mails: ClassVar[int] = 0
    """Mails that must arrive because of it."""

    @abstractmethod
    async def enqueue(self, gateway: Gateway) -> Enqueued:
        """Starts the job."""

    def follow(self, gateway: Gateway, job: Enqueued) -> AsyncIterator[WatchJobResponse]:
        """Its changes to the end; over gRPC unless the sample shows another way."""
        return gateway.watch(job)

    @abstractmethod
    def problems(self, job: Job) -> Sequence[str]:
        """What is not as it should be, now that the job has ended."""


def unless_completed(job: Job) -> Sequence[str]:
    """The problem of a job that ended in another way."""
    if job.state == JobState.JOB_STATE_COMPLETED:
        return ()
    return (f"{JobState.Name(job.state)}: {job.failed_reason or 'no reason was given'}",)
