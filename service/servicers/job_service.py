"""JobService, put together from its subjects."""

from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceServicer

from service.servicers.bulk import BulkCalls
from service.servicers.enqueue import EnqueueCalls
from service.servicers.jobs import QueryCalls, SteeringCalls, WatchCalls
from service.servicers.overview import OverviewCalls
from service.servicers.queues import QueueCalls


class JobServicer(
    EnqueueCalls, QueryCalls, WatchCalls, SteeringCalls, BulkCalls, QueueCalls, OverviewCalls, JobServiceServicer
):
    """Every call of JobService."""
