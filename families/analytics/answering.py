"""How a form was answered: which fields, and in what time. All of it is calculated by the database."""

from typing import Final
from uuid import UUID

from qcollector.jobs.v1.analytics_pb2 import FieldStats, ResponseTimes
from sqlalchemy import Subquery, case, cast, distinct, func, or_, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from families.analytics.counting import Conditions, within
from families.database.columns import WHEN
from families.database.date_ranges import DateRange
from families.database.tables import fields, submission_data, submissions

_NOTHING: Final = ("", "[]", "{}", "null")
"""Texts of answers that say nothing."""
_DATE: Final = (
    r"([1-9]\d{3}-((0[1-9]|1[0-2])-(0[1-9]|1\d|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)"
    r"|([1-9]\d([2468][048]|0[48]|[13579][26])|([2468][048]|[13579][26])00)-02-29)"
)
_ZONE: Final = r"(Z|[+-](0\d|1[0-4]):?[0-5]\d)"
_ISO_8601: Final = rf"^{_DATE}[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{{1,9}})?{_ZONE}?$"
"""Every text that it matches is a time: a cast of one that is none would fail the whole query."""


async def field_stats(connection: AsyncConnection, form: UUID, asked: DateRange, total: int) -> list[FieldStats]:
    """How many of the `total` submissions in the range answer each field; those that are answered most come first."""
    answers = _answers(form, asked)
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


def _answers(form: UUID, asked: DateRange) -> Subquery:
    """How many submissions answer each field, by the field's id.

    Answers of the submissions and of their rows apart: each way goes along an index, whatever the planner knows.
    """
    whole = submissions.alias("whole")
    chosen = (whole.c.form_id == form, whole.c.parent_id.is_(None), *within(whole.c.submitted_at, asked))
    says_something = or_(submission_data.c.value_encrypted.is_not(None), submission_data.c.value_text.not_in(_NOTHING))
    field_and_whole = select(submission_data.c.field_id, whole.c.id).where(*chosen, says_something)
    of_rows = submissions.join(whole, submissions.c.parent_id == whole.c.id)
    both = union_all(
        field_and_whole.join_from(submission_data, whole, submission_data.c.submission_id == whole.c.id),
        field_and_whole.join_from(submission_data, of_rows, submission_data.c.submission_id == submissions.c.id),
    ).subquery()
    return select(both.c.field_id, func.count(distinct(both.c.id)).label("count")).group_by(both.c.field_id).subquery()


async def response_times(connection: AsyncConnection, chosen: Conditions) -> ResponseTimes:
    """From the start to the end of the submissions that meet the conditions and tell both."""
    told = submissions.c.metadata["startedAt"].astext
    in_utc = case((told.regexp_match(f"{_ZONE}$"), told), else_=told + "Z")
    started = case((told.regexp_match(_ISO_8601), cast(in_utc, WHEN)))
    minutes = func.extract("epoch", submissions.c.submitted_at - started) / 60
    took = select(minutes.label("minutes")).where(*chosen).subquery("took")
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
