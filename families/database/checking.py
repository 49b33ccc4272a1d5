"""What is wrong with the forms and the ranges of days that payloads name."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from qcollector.jobs.v1.export_pb2 import DateRange
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from base.settings import Settings
from contract.checks import CheckContext
from contract.errors import DatabaseAwayError, DatabaseUnfitError, FieldProblem
from families.database.access import visible_form
from families.database.connection import reading
from families.database.date_ranges import DateRangeError, date_range
from families.database.errors import DatabaseError, DatabaseSetupError, FormUnknownError

STATEMENT_SECONDS: Final = 10.0
AGAIN_SECONDS: Final = 5.0


@asynccontextmanager
async def asking(context: CheckContext) -> AsyncIterator[AsyncConnection]:
    """A transaction that reads what a check has to know.

    Raises:
      DatabaseAwayError, DatabaseUnfitError: the database cannot be asked.
    """
    try:
        async with reading(context.resources[AsyncEngine], statement_seconds=STATEMENT_SECONDS) as connection:
            yield connection
    except DatabaseSetupError as error:
        raise DatabaseUnfitError(str(error)) from error
    except DatabaseError as error:
        raise DatabaseAwayError(str(error), retry_after=AGAIN_SECONDS) from error


def range_problems(asked: DateRange, settings: Settings) -> Iterator[FieldProblem]:
    """What is wrong with a payload's `dateRange`."""
    try:
        date_range(asked.start, asked.end, asked.timezone, settings.schedule_timezone)
    except DateRangeError as error:
        yield FieldProblem(f"dateRange.{error.field}", "date_range", error.description)


async def form_problems(form_id: str, context: CheckContext, field: str = "formId") -> Sequence[FieldProblem]:
    """What is wrong with the id of a form: there is none, or the caller may not see it."""
    async with asking(context) as connection:
        try:
            await visible_form(connection, form_id, context.caller)
        except FormUnknownError as error:
            return [FieldProblem(field, "form_unknown", str(error))]
    return ()
