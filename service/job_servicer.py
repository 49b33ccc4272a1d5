"""JobService, put together from its subjects."""

from qcollector.jobs.v1.job_service_pb2_grpc import JobServiceServicer

from service.job_bulk import BulkCalls
from service.job_enqueue import EnqueueCalls
from service.job_overview import OverviewCalls
from service.job_queries import QueryCalls
from service.job_queues import QueueCalls
from service.job_steering import SteeringCalls
from service.job_watch import WatchCalls


class JobServicer(
    EnqueueCalls, QueryCalls, WatchCalls, SteeringCalls, BulkCalls, QueueCalls, OverviewCalls, JobServiceServicer
):
    """Every call of JobService."""
