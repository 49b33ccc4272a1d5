"""How a form was answered: which fields, and in what time. All of it is calculated by the database."""

from datetime import datetime
from typing import Final
from uuid import UUID

from qcollector.jobs.v1.analytics_pb2 import FieldStats, ResponseTimes
from sqlalchemy import ColumnElement, Text, distinct, func, literal_column, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from base.database.tables import fields, submission_data, submissions
from base.date_ranges import DateRange
from workers.analytics.counting import Conditions, within

_NOTHING: Final = ("", "[]", "{}", "null")
"""Texts of answers that say nothing."""
_ISO_8601: Final = (
    r"^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-3]):([0-5]\d):([0-5]\d(?:\.\d{1,9})?)"
    r"(?:Z|([+-]\d\d):?(\d\d))?$"
)
_STARTED: Final[ColumnElement[datetime]] = literal_column("""
    (timestamp '0001-01-01' + make_interval(
        years => part[1]::int - 1, months => part[2]::int - 1, days => part[3]::int - 1,
        hours => part[4]::int - coalesce(part[7], '0')::int,
        mins => part[5]::int - coalesce(left(part[7], 1) || part[8], '0')::int,
        secs => part[6]::float8))
""")
"""The start in UTC, out of the parts of its text. A cast would fail the whole query for one text that is no time."""


async def field_stats(connection: AsyncConnection, form: UUID, asked: DateRange, total: int) -> list[FieldStats]:
    """How many of the `total` submissions in the range answer each field; those that are answered most come first."""
    whole = submissions.alias("whole")
    answers = (
        select(submission_data.c.field_id, func.count(distinct(whole.c.id)).label("count"))
        .join(submissions, submissions.c.id == submission_data.c.submission_id)
        .join(whole, whole.c.id == func.coalesce(submissions.c.parent_id, submissions.c.id))
        .where(
            whole.c.form_id == form,
            whole.c.parent_id.is_(None),
            *within(whole.c.submitted_at, asked),
            or_(submission_data.c.value_encrypted.is_not(None), submission_data.c.value_text.not_in(_NOTHING)),
        )
        .group_by(submission_data.c.field_id)
        .subquery()
    )
    count = func.coalesce(answers.c.count, 0)
    rows = await connection.execute(
        select(fields.c.id, fields.c.title, fields.c.type, count)
        .outerjoin(answers, answers.c.field_id == fields.c.id)
        .where(fields.c.form_id == form)
        .order_by(count.desc(), fields.c.sub_form_id.is_not(None), fields.c.order, fields.c.id)
    )
    return [
        FieldStats(
            field_id=str(field),
            field_key=title,
            field_type=kind,
            response_count=answered,
            response_rate=100 * answered / total if total else 0,
        )
        for field, title, kind, answered in rows
    ]


async def response_times(connection: AsyncConnection, chosen: Conditions) -> ResponseTimes:
    """From the start to the end of the submissions that meet the conditions and tell both."""
    told = func.regexp_match(submissions.c.metadata["startedAt"].astext, _ISO_8601, type_=ARRAY(Text)).label("part")
    parts = select(submissions.c.submitted_at, told).where(*chosen).subquery("parts")
    minutes = (func.extract("epoch", func.timezone("UTC", parts.c.submitted_at) - _STARTED) / 60).label("minutes")
    took = select(minutes).select_from(parts).where(parts.c.part.is_not(None)).subquery("took")
    value = took.c.minutes
    average, median, least, most, count = (
        await connection.execute(
            select(
                func.avg(value),
                func.percentile_cont(0.5).within_group(value),
                func.min(value),
                func.max(value),
                func.count(),
            ).where(value >= 0)
        )
    ).one()
    if not count:
        return ResponseTimes()
    return ResponseTimes(
        average_minutes=average, median_minutes=median, min_minutes=least, max_minutes=most, count=count
    )
