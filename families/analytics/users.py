"""What one user did."""

from datetime import UTC, datetime
from uuid import UUID

from qcollector.jobs.v1.analytics_pb2 import (
    AnalyticsUserActivity,
    UserActivity,
    UserForms,
    UserLogins,
    UserSubmissions,
    UserSummary,
)
from sqlalchemy import ColumnElement, Table, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from contract.times import timestamp_of
from families.analytics.counting import whole_submissions, within
from families.database.date_ranges import DateRange
from families.database.errors import DatabaseError
from families.database.tables import forms, sessions, submissions, users


class UserUnknownError(DatabaseError):
    """No user has the identifier."""


async def user_activity(connection: AsyncConnection, payload: AnalyticsUserActivity, asked: DateRange) -> UserActivity:
    """Calculates it as of the connection's transaction.

    Raises:
      UserUnknownError: there is no such user.
    """
    user, username, last_login = await _user(connection, payload.user_id)
    made, last_made = await _count(
        connection,
        submissions,
        submissions.c.submitted_at,
        submissions.c.submitted_by == user,
        *whole_submissions(asked),
    )
    created, last_created = await _count(
        connection, forms, forms.c.createdAt, forms.c.created_by == user, *within(forms.c.createdAt, asked)
    )
    logins, last_session = await _count(
        connection, sessions, sessions.c.createdAt, sessions.c.user_id == user, *within(sessions.c.createdAt, asked)
    )
    last_login = _latest(last_login if _contains(asked, last_login) else None, last_session)
    return UserActivity(
        user_id=str(user),
        username=username,
        calculate_time=timestamp_of(datetime.now(UTC)),
        date_range=payload.date_range if payload.HasField("date_range") else None,
        forms=UserForms(created=created, last_created=timestamp_of(last_created)),
        submissions=UserSubmissions(made=made, last_made=timestamp_of(last_made)),
        logins=UserLogins(count=logins, last_login=timestamp_of(last_login)),
        summary=UserSummary(
            forms_created=created,
            submissions_made=made,
            last_activity=timestamp_of(_latest(last_created, last_made, last_login)),
        ),
    )


async def _user(connection: AsyncConnection, user_id: str) -> tuple[UUID, str, datetime | None]:
    try:
        chosen = users.c.id == UUID(user_id)
    except ValueError:
        chosen = None
    row = None
    if chosen is not None:
        row = (
            await connection.execute(select(users.c.id, users.c.username, users.c.last_login_at).where(chosen))
        ).one_or_none()
    if row is None:
        raise UserUnknownError(f"no user has the id {user_id!r}: name one by its id, as the application shows it")
    return row[0], row[1], row[2]


async def _count(
    connection: AsyncConnection, table: Table, time: ColumnElement[datetime], *conditions: ColumnElement[bool]
) -> tuple[int, datetime | None]:
    """How many rows meet the conditions, and the time of the latest."""
    row = (await connection.execute(select(func.count(), func.max(time)).select_from(table).where(*conditions))).one()
    return row[0], row[1]


def _contains(asked: DateRange, time: datetime | None) -> bool:
    if time is None or (asked.start is not None and time < asked.start):
        return False
    return asked.end is None or time < asked.end


def _latest(*times: datetime | None) -> datetime | None:
    return max((time for time in times if time is not None), default=None)
