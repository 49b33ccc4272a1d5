"""What is wrong with the forms and the ranges of days that payloads name."""

from collections.abc import Iterator, Sequence
from typing import Final

from qcollector.jobs.v1.export_pb2 import DateRange

from base.settings import Settings
from contract.errors import FieldProblem
from families.database.access import visible_form
from families.database.connection import reading
from families.database.date_ranges import DateRangeError, date_range
from families.database.errors import FormUnknownError
from service.payload_checks import Scene

STATEMENT_SECONDS: Final = 10.0


def range_problems(asked: DateRange, settings: Settings) -> Iterator[FieldProblem]:
    """What is wrong with a payload's `dateRange`."""
    try:
        date_range(asked.start, asked.end, asked.timezone, settings.schedule_timezone)
    except DateRangeError as error:
        yield FieldProblem(f"dateRange.{error.field}", "date_range", error.description)


async def form_problems(form_id: str, scene: Scene, field: str = "formId") -> Sequence[FieldProblem]:
    """What is wrong with the id of a form: there is none, or the caller may not see it."""
    try:
        async with reading(scene.database, statement_seconds=STATEMENT_SECONDS) as connection:
            await visible_form(connection, form_id, scene.caller)
    except FormUnknownError as error:
        return [FieldProblem(field, "form_unknown", str(error))]
    return ()
