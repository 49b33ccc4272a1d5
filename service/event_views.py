"""How what happens to a job is shown: the engine's events as the contract's messages."""

import time

from qcollector.jobs.v1.job_event_pb2 import (
    JobEnd,
    JobHeartbeat,
    JobLog,
    JobProgress,
    JobReset,
    JobSnapshot,
    JobStateChange,
)
from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.job_queries_pb2 import WatchJobResponse

from contract.catalog import Catalog
from engine.events import Told, Watched
from service.times import timestamp
from service.views import job_view


def event_view(watched: Watched, catalog: Catalog) -> WatchJobResponse:
    when = watched.time or time.time_ns() // 1_000_000
    view = WatchJobResponse(sequence=watched.sequence, time=timestamp(when))
    job = job_view(watched.record, catalog) if watched.record is not None else None
    state = watched.state.proto if watched.state is not None else JobState.JOB_STATE_UNSPECIFIED
    match watched.kind:
        case Told.SNAPSHOT:
            view.snapshot.CopyFrom(JobSnapshot(job=job))
        case Told.STATE:
            view.state.CopyFrom(JobStateChange(state=state, reason=watched.text))
        case Told.PROGRESS:
            view.progress.CopyFrom(JobProgress(percent=watched.progress, step=watched.text))
        case Told.LOG:
            view.log.CopyFrom(JobLog(message=watched.text))
        case Told.END:
            view.end.CopyFrom(JobEnd(state=state, reason=watched.text, job=job, deleted=job is None))
        case Told.HEARTBEAT:
            view.heartbeat.CopyFrom(JobHeartbeat())
        case Told.RESET:
            view.reset.CopyFrom(JobReset(job=job))
    return view
