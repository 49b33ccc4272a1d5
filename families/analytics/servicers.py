"""AnalyticsService: the latest results, as jobs have left them."""

from typing import Final
from uuid import UUID

from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats, FormStats, SystemAnalytics, UserActivity
from qcollector.jobs.v1.analytics_service_pb2 import DESCRIPTOR, GetLatestAnalyticsRequest, GetLatestAnalyticsResponse
from qcollector.jobs.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer
from qcollector.jobs.v1.options_pb2 import Role

from contract.errors import ResultNotFoundError
from engine.kept_results import KeptResults
from families.analytics.kept import ANALYTICS
from service.dependencies import Context, Dependencies, Servicer
from service.interceptor.call import caller
from service.permissions import Access, Rule
from service.serving import Serving


class AnalyticsServicer(Servicer, AnalyticsServiceServicer):
    """Every call of AnalyticsService."""

    def __init__(self, deps: Dependencies) -> None:
        super().__init__(deps)
        self._kept = KeptResults(deps.store, ANALYTICS)

    async def GetLatestAnalytics(
        self, request: GetLatestAnalyticsRequest, _context: Context
    ) -> GetLatestAnalyticsResponse:
        kind, subject = request.kind, _canonical(request.subject)
        found = await self._kept.get(f"{kind}/{subject}") if await self._may_see(kind, subject) else None
        if found is None:
            raise ResultNotFoundError(
                f"No result of {kind} about {subject!r} is kept that you may see. Enqueue a job of that type first.",
                kind=kind,
                subject=subject,
            )
        return _answer(kind, found)

    async def _may_see(self, kind: str, subject: str) -> bool:
        if kind == "form-stats":
            return await self.deps.checks.may_download(AnalyticsFormStats(form_id=subject), caller())
        if caller().level >= Role.ROLE_SERVICE:
            return True
        return kind == "user-activity" and subject == _canonical(caller().id)


def _canonical(subject: str) -> str:
    """Ids as results are kept under; words as they are."""
    try:
        return str(UUID(subject))
    except ValueError:
        return subject


def _answer(kind: str, result: bytes) -> GetLatestAnalyticsResponse:
    if kind == "form-stats":
        stats = FormStats.FromString(result)
        return GetLatestAnalyticsResponse(calculate_time=stats.calculate_time, form_stats=stats)
    if kind == "system-analytics":
        analytics = SystemAnalytics.FromString(result)
        return GetLatestAnalyticsResponse(calculate_time=analytics.calculate_time, system_analytics=analytics)
    activity = UserActivity.FromString(result)
    return GetLatestAnalyticsResponse(calculate_time=activity.calculate_time, user_activity=activity)


SERVICERS: Final = (
    Serving(
        service=DESCRIPTOR.services_by_name["AnalyticsService"],
        servicer=AnalyticsServicer,
        rules={"GetLatestAnalytics": Rule(Access.SUBJECT)},
    ),
)
