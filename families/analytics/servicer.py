"""AnalyticsService: the latest results, as jobs have left them."""

from uuid import UUID

from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats, FormStats, SystemAnalytics, UserActivity
from qcollector.jobs.v1.analytics_service_pb2 import GetLatestAnalyticsRequest, GetLatestAnalyticsResponse
from qcollector.jobs.v1.analytics_service_pb2_grpc import AnalyticsServiceServicer
from qcollector.jobs.v1.options_pb2 import Role

from contract.errors import ResultNotFoundError
from engine.kept_results import ANALYTICS, KeptResults
from service.call import caller
from service.parts import Calls, Context, Parts


class AnalyticsServicer(Calls, AnalyticsServiceServicer):
    """Every call of AnalyticsService."""

    def __init__(self, parts: Parts) -> None:
        super().__init__(parts)
        self._kept = KeptResults(parts.store, ANALYTICS)

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
            return await self.parts.checks.may_download(AnalyticsFormStats(form_id=subject), caller())
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
