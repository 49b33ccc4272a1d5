"""The client's call for analytics. Imports the client and generated code alone: it is packaged without the family."""

from typing import Final, Unpack

from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats
from qcollector.jobs.v1.processor_service_pb2 import DESCRIPTOR

from client.calls import Calls, Options
from client.handle import JobHandle

_TASKS: Final = DESCRIPTOR.services_by_name["ProcessorService"].methods_by_name


class AnalyticsCalls(Calls):
    """Statistics of forms."""

    async def calculate_form_stats(
        self, form_id: str, date_range: tuple[str, str] | None = None, **options: Unpack[Options]
    ) -> JobHandle:
        """Calculates a form's statistics; `date_range` is its first and last day."""
        payload = AnalyticsFormStats(form_id=str(form_id))
        if date_range is not None:
            payload.date_range.start, payload.date_range.end = date_range
        return await self.task(_TASKS["CalculateFormStats"], payload, options)
