"""The one shape in which every call that enqueues returns a job: that of EnqueueJobResponse."""

from typing import NamedTuple, Protocol, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.job_pb2 import JobOptions, JobState

from contract.admission import Admitted
from engine.jobs import Enqueued
from service.times import timestamp


class EnqueuedMessage(Protocol):
    """A message with the fields of EnqueueJobResponse."""

    def __init__(
        self,
        *,
        job_id: str = "",
        queue_name: str = "",
        job_type: str = "",
        state: JobState.ValueType | None = None,
        duplicate: bool = False,
        create_time: Timestamp | None = None,
        options: JobOptions | None = None,
    ) -> None: ...

    @property
    def options(self) -> JobOptions: ...


M = TypeVar("M", bound=EnqueuedMessage)


class Accepted(NamedTuple):
    """A request that was not refused."""

    admitted: Admitted
    enqueued: Enqueued | None = None
    """None where it was to be validated only."""


def enqueued_view(kind: type[M], accepted: Accepted) -> M:
    """The job as a message of `kind`."""
    admitted, enqueued = accepted
    if enqueued is None:
        view = kind(queue_name=admitted.type.queue, job_type=admitted.type.type, options=admitted.options)
        if admitted.job.digest:  # otherwise the id was made for a job that there will not be
            view.options.job_id = admitted.job.id
        return view
    view = kind(
        job_id=enqueued.id,
        queue_name=admitted.type.queue,
        job_type=admitted.type.type,
        state=enqueued.state.proto if enqueued.state else JobState.JOB_STATE_UNSPECIFIED,
        duplicate=enqueued.duplicate,
        create_time=timestamp(enqueued.created),
        options=admitted.options,
    )
    view.options.job_id = enqueued.id
    return view
