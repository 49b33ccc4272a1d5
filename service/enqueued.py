"""The one shape in which every call that enqueues returns a job: that of EnqueueJobResponse."""

from typing import NamedTuple, TypeVar

from google.protobuf.message import Message
from qcollector.jobs.v1.job_pb2 import JobState

from engine.admission import Admitted
from engine.jobs import Enqueued
from service.times import timestamp

M = TypeVar("M", bound=Message)


class Accepted(NamedTuple):
    """A request that was not refused."""

    admitted: Admitted
    enqueued: Enqueued | None = None
    """None where it was to be validated only."""


def enqueued_view(kind: type[M], accepted: Accepted) -> M:
    """The job as `kind`, which has the fields of EnqueueJobResponse."""
    admitted, enqueued = accepted
    options = admitted.options
    if enqueued is None:
        if not admitted.job.digest:
            options.job_id = ""  # made for a job that there will not be
        return kind(queue_name=admitted.type.queue, job_type=admitted.type.type, options=options)
    options.job_id = enqueued.id
    return kind(
        job_id=enqueued.id,
        queue_name=admitted.type.queue,
        job_type=admitted.type.type,
        state=enqueued.state.proto if enqueued.state else JobState.JOB_STATE_UNSPECIFIED,
        duplicate=enqueued.duplicate,
        create_time=timestamp(enqueued.created),
        options=options,
    )
