"""Statistics of one form."""

from datetime import UTC, datetime
from typing import Final

from qcollector.jobs.v1.analytics_pb2 import AnalyticsFormStats, FormStats, FormStatsSummary
from qcollector.jobs.v1.job_pb2 import Caller
from sqlalchemy.ext.asyncio import AsyncConnection

from contract.times import timestamp_of
from families.analytics.answering import field_stats, response_times
from families.analytics.counting import count_submissions, whole_submissions
from families.database.access import visible_form
from families.database.date_ranges import DateRange
from families.database.tables import submissions

TOP_FIELDS: Final = 5


async def form_stats(
    connection: AsyncConnection, payload: AnalyticsFormStats, asked: DateRange, caller: Caller
) -> FormStats:
    """Calculates them as of the connection's transaction.

    Raises:
      FormUnknownError: there is no such form, or the caller may not see it.
    """
    form = await visible_form(connection, payload.form_id, caller)
    chosen = (submissions.c.form_id == form.id, *whole_submissions(asked))
    counted = await count_submissions(connection, chosen, asked.zone)
    answered = await field_stats(connection, form.id, asked, counted.total)
    times = await response_times(connection, chosen)
    return FormStats(
        form_id=str(form.id),
        form_title=form.title,
        calculate_time=timestamp_of(datetime.now(UTC)),
        date_range=payload.date_range if payload.HasField("date_range") else None,
        submissions=counted,
        fields=answered,
        response_times=times,
        summary=FormStatsSummary(
            total_submissions=counted.total,
            average_completion_minutes=times.average_minutes,
            top_fields=answered[:TOP_FIELDS],
        ),
    )
