"""JobService: what an operator looks at first: dashboard, health, workers, job types."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import psutil
from qcollector.jobs.v1.overview_pb2 import (
    CheckEmailHealthRequest,
    CheckEmailHealthResponse,
    CheckHealthRequest,
    CheckHealthResponse,
    DashboardHealth,
    DashboardOverview,
    DashboardSystem,
    GetDashboardRequest,
    GetDashboardResponse,
    ListJobTypesRequest,
    ListJobTypesResponse,
    ListWorkersRequest,
    ListWorkersResponse,
)
from qcollector.jobs.v1.queue_pb2 import QueueTotals, Worker

from base.release import release
from contract.declarations import JobType
from contract.times import timestamp
from engine.jobs import QueueSnapshot, State
from service.dependencies import Context, Servicer
from service.health import UNHEALTHY, Report
from service.pagination import Paging
from service.status import HTTP_STATUS
from service.views import queue_view, type_view


def _type_place(job_type: JobType) -> str:
    return job_type.key


def _worker_place(worker: Worker) -> str:
    return f"{worker.start_time.seconds:012}.{worker.start_time.nanos:09} {worker.id}"


WORKERS: Final[Paging[Worker]] = Paging("workers", _worker_place, usual=1000, most=1000)
TYPES: Final[Paging[JobType]] = Paging("types", _type_place, usual=100, most=500)


class OverviewCalls(Servicer):
    async def GetDashboard(self, _request: GetDashboardRequest, _context: Context) -> GetDashboardResponse:
        queues, report, system = await asyncio.gather(
            self.deps.inspection.stats(tuple(self.deps.catalog.queues)), self.deps.health.check(), self._system()
        )
        return GetDashboardResponse(
            overview=_overview(queues),
            queues=[queue_view(queue) for queue in queues],
            health=DashboardHealth(status=report.status, reason=report.reason, checks=report.checks),
            system=system,
            time=timestamp(time.time_ns() // 1_000_000),
        )

    async def CheckHealth(self, _request: CheckHealthRequest, context: Context) -> CheckHealthResponse:
        report = await self.deps.health.check()
        await _tell_gateway(report, context)
        return CheckHealthResponse(status=report.status, reason=report.reason, checks=report.checks)

    async def CheckEmailHealth(self, _request: CheckEmailHealthRequest, context: Context) -> CheckEmailHealthResponse:
        report = await self.deps.health.check_email()
        await _tell_gateway(report, context)
        return CheckEmailHealthResponse(status=report.status, reason=report.reason, checks=report.checks)

    async def ListWorkers(self, request: ListWorkersRequest, _context: Context) -> ListWorkersResponse:
        workers = await self.deps.presence.workers()
        page, next_token = WORKERS.page(workers, request.page_size, request.page_token)
        return ListWorkersResponse(workers=page, next_page_token=next_token)

    async def ListJobTypes(self, request: ListJobTypesRequest, _context: Context) -> ListJobTypesResponse:
        types = sorted(self.deps.catalog.types.values(), key=_type_place)
        page, next_token = TYPES.page(types, request.page_size, request.page_token)
        return ListJobTypesResponse(job_types=[type_view(one) for one in page], next_page_token=next_token)

    async def _system(self) -> DashboardSystem:
        process = psutil.Process()
        store = await self.deps.store.server_info()
        return DashboardSystem(
            version=release(),
            uptime_seconds=time.time() - process.create_time(),
            memory_bytes=process.memory_info().rss,
            workers=len(await self.deps.presence.workers()),
            store_memory_bytes=float(store["memory_bytes"]),
            store_version=str(store["version"]),
        )


async def _tell_gateway(report: Report, context: Context) -> None:
    if report.status == UNHEALTHY:
        await context.send_initial_metadata(((HTTP_STATUS, "503"),))


def _overview(queues: Sequence[QueueSnapshot]) -> DashboardOverview:
    """Jobs as they are held now, and apart from them those that ended since the queues began."""

    def held(state: State) -> int:
        return sum(queue.counts[state] for queue in queues)

    def ended(state: State) -> int:
        return sum(queue.totals[state] for queue in queues)

    return DashboardOverview(
        total_queues=len(queues),
        total_jobs=sum(held(state) for state in State),
        waiting_jobs=held(State.WAITING),
        active_jobs=held(State.ACTIVE),
        delayed_jobs=held(State.DELAYED),
        completed_jobs=held(State.COMPLETED),
        failed_jobs=held(State.FAILED),
        cancelled_jobs=held(State.CANCELLED),
        blocked_jobs=held(State.BLOCKED),
        totals_since_start=QueueTotals(
            completed=ended(State.COMPLETED), failed=ended(State.FAILED), cancelled=ended(State.CANCELLED)
        ),
    )
