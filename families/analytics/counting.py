"""Numbers of submissions, by status and by day, counted by the database."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from qcollector.jobs.v1.analytics_pb2 import DailyCount, SubmissionStats
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from families.database.date_ranges import DateRange
from families.database.tables import submissions

Conditions = Sequence[ColumnElement[bool]]


def within(column: ColumnElement[object], asked: DateRange) -> Conditions:
    """The conditions that a time lies in a range."""
    conditions = []
    if asked.start is not None:
        conditions.append(column >= asked.start)
    if asked.end is not None:
        conditions.append(column < asked.end)
    return conditions


def whole_submissions(asked: DateRange) -> Conditions:
    """The conditions on submissions that were made in a range and are no rows of sub-forms."""
    return (submissions.c.parent_id.is_(None), *within(submissions.c.submitted_at, asked))


async def count_submissions(connection: AsyncConnection, chosen: Conditions, zone: ZoneInfo) -> SubmissionStats:
    """Counts the submissions that meet the conditions; days are those of the zone."""
    number = func.count()
    by_status = (
        await connection.execute(select(submissions.c.status, number).where(*chosen).group_by(submissions.c.status))
    ).all()
    day = func.to_char(func.timezone(zone.key, submissions.c.submitted_at), "YYYY-MM-DD").label("day")
    daily = (await connection.execute(select(day, number).where(*chosen).group_by(day).order_by(day))).all()
    return SubmissionStats(
        total=sum(count for _, count in by_status),
        by_status=dict(tuple(row) for row in by_status),
        daily=[DailyCount(date=date, count=count) for date, count in daily],
    )
