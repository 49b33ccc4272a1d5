"""Sessions that have expired, in the application's database."""

from datetime import timedelta
from typing import Final

from qcollector.jobs.v1.system_pb2 import SystemCleanupOutcome
from sqlalchemy import Select, delete, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from families.database.connection import reading, writing
from families.database.tables import sessions
from families.system.sweeping import EXAMPLES, Swept

_BATCH: Final = 1000
"""Rows that one transaction deletes, so that none holds its locks for long."""


async def remove_sessions(engine: AsyncEngine, seconds: float, *, only_report: bool) -> Swept:
    """Removes the sessions that expired at least so many seconds ago, by the database's clock.

    Raises:
      DatabaseError: the database cannot be asked, or does not let them be removed.
    """
    async with reading(engine) as connection:
        total = await connection.scalar(select(func.count()).select_from(sessions)) or 0
        expired = await connection.scalar(select(func.count()).select_from(_expired(seconds).subquery())) or 0
        examples = (await connection.scalars(_expired(seconds).order_by(sessions.c.expires_at).limit(EXAMPLES))).all()
    outcome = SystemCleanupOutcome(scanned=total, examples=map(str, examples))
    if only_report:
        outcome.reported = expired
    else:
        outcome.deleted = await _delete(engine, seconds)
    return Swept(outcome, {})


async def _delete(engine: AsyncEngine, seconds: float) -> int:
    deleted = 0
    some = _expired(seconds).limit(_BATCH).scalar_subquery()
    while True:
        async with writing(engine) as connection:
            count = (await connection.execute(delete(sessions).where(sessions.c.id.in_(some)))).rowcount
        deleted += count
        if count < _BATCH:
            return deleted


def _expired(seconds: float) -> Select[tuple[object]]:
    return select(sessions.c.id).where(sessions.c.expires_at <= func.now() - timedelta(seconds=seconds))
