"""Statistics of the whole application."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from qcollector.jobs.v1.analytics_pb2 import EnginePerformance, FormTotals, SystemAnalytics, SystemSummary, UserTotals
from qcollector.jobs.v1.export_pb2 import DateRange as ContractRange
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from contract.times import timestamp_of
from families.analytics.counting import count_submissions, whole_submissions, within
from families.analytics.times import ended_range, period_range
from families.database.date_ranges import DateRange
from families.database.tables import forms, users


async def system_analytics(
    connection: AsyncConnection, word: str, zone: ZoneInfo, performance: EnginePerformance, ended_by: datetime | None
) -> SystemAnalytics:
    """Calculates them for the period of that word: the one under way, or the last that has ended by a moment."""
    now = datetime.now(UTC)
    asked = ended_range(word, ended_by, zone) if ended_by else period_range(word, now, zone)
    counted = await count_submissions(connection, whole_submissions(asked), zone)
    people = await _users(connection, asked)
    made = await _forms(connection, asked)
    return SystemAnalytics(
        period=word,
        completed=ended_by is not None,
        date_range=_told(asked),
        calculate_time=timestamp_of(now),
        users=people,
        forms=made,
        submissions=counted,
        performance=performance,
        summary=SystemSummary(
            active_users=people.active,
            total_forms=made.total,
            total_submissions=counted.total,
            avg_submissions_per_form=counted.total / made.total if made.total else 0,
        ),
    )


async def _users(connection: AsyncConnection, asked: DateRange) -> UserTotals:
    rows = (
        await connection.execute(
            select(users.c.role, func.count(), _number_of(users.c.last_login_at, asked)).group_by(users.c.role)
        )
    ).all()
    return UserTotals(
        total=sum(count for _, count, _ in rows),
        active=sum(active for _, _, active in rows),
        by_role={role: count for role, count, _ in rows},
    )


async def _forms(connection: AsyncConnection, asked: DateRange) -> FormTotals:
    rows = (
        await connection.execute(
            select(forms.c.is_active, func.count(), _number_of(forms.c.createdAt, asked)).group_by(forms.c.is_active)
        )
    ).all()
    return FormTotals(
        total=sum(count for _, count, _ in rows),
        created=sum(created for _, _, created in rows),
        by_status={"active" if active else "inactive": count for active, count, _ in rows},
    )


def _number_of(column: ColumnElement[object], asked: DateRange) -> ColumnElement[int]:
    """How many of a group's times lie in the range."""
    return func.count().filter(and_(*within(column, asked)))


def _told(asked: DateRange) -> ContractRange:
    """The range as its days' zone shows it."""
    start, end = (edge.astimezone(asked.zone).isoformat() if edge else "" for edge in (asked.start, asked.end))
    return ContractRange(start=start, end=end, timezone=asked.zone.key)
