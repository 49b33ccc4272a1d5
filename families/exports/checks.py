"""What is checked of exports when they are enqueued: their queries, where their files go, and who may see a form."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from qcollector.jobs.v1.export_pb2 import (
    ExportCsv,
    ExportExcel,
    ExportFormOptions,
    ExportFormSubmissions,
    ExportJson,
    ExportWorksheet,
)

from base.settings import Settings
from base.storage import StoragePathError, StorageRoots
from contract.errors import FieldProblem
from families.database.access import SEE_ALL
from families.database.checking import STATEMENT_SECONDS, form_problems, range_problems
from families.database.connection import reading
from families.database.queries import QueryError, compile_query
from families.database.users import user_of
from families.exports.places import export_place
from service.payload_checks import Scene, TypeChecks


async def _check_query(payload: ExportCsv | ExportJson, scene: Scene) -> Sequence[FieldProblem]:
    return [*_query_problems(payload, "", scene.settings), *_place_problems(payload.output_path, scene.settings)]


async def _check_excel(payload: ExportExcel, scene: Scene) -> Sequence[FieldProblem]:
    problems = [*_place_problems(payload.output_path, scene.settings)]
    if payload.HasField("query"):
        problems += _query_problems(payload, "", scene.settings)
    for place, worksheet in enumerate(payload.worksheets):
        problems += _query_problems(worksheet, f"worksheets[{place}].", scene.settings)
    return problems


async def _check_form(payload: ExportFormSubmissions, scene: Scene) -> Sequence[FieldProblem]:
    return [
        *range_problems(payload.date_range, scene.settings),
        *await form_problems(payload.form_id, scene),
        *await _notify_problems(payload.options, scene),
    ]


async def _notify_problems(options: ExportFormOptions, scene: Scene) -> Sequence[FieldProblem]:
    """A user is told at the own address alone, which the token or the application's users table has."""
    if not options.HasField("notify") or scene.caller.role in SEE_ALL:
        return ()
    asked = options.notify.email.casefold()
    if asked == scene.email.casefold():
        return ()
    async with reading(scene.database, statement_seconds=STATEMENT_SECONDS) as connection:
        user = await user_of(connection, scene.caller.id)
    if user is not None and asked == user.email.casefold():
        return ()
    rule = "is not your own address; name the one that you are signed in with (other addresses take the role service)"
    return [FieldProblem("options.notify.email", "own_address", rule)]


async def _check_form_access(payload: ExportFormSubmissions, scene: Scene) -> Sequence[FieldProblem]:
    """Who sees every form may have the file also when the form is gone."""
    return () if scene.caller.role in SEE_ALL else await form_problems(payload.form_id, scene)


def _query_problems(
    part: ExportCsv | ExportJson | ExportExcel | ExportWorksheet, root: str, settings: Settings
) -> Iterator[FieldProblem]:
    try:
        compile_query(MessageToDict(part.query), part.fields, settings.schedule_timezone)
    except QueryError as error:
        for problem in error.problems:
            yield FieldProblem(f"{root}{problem.path}", problem.rule, problem.description)


def _place_problems(path: str, settings: Settings) -> Iterator[FieldProblem]:
    if path:
        try:
            export_place(StorageRoots(settings), path)
        except StoragePathError as error:
            yield FieldProblem("outputPath", "export_path", str(error))


EXPORT_CHECKS: Final[Mapping[type[Message], TypeChecks]] = {
    ExportCsv: TypeChecks(at_enqueue=_check_query),
    ExportJson: TypeChecks(at_enqueue=_check_query),
    ExportExcel: TypeChecks(at_enqueue=_check_excel),
    ExportFormSubmissions: TypeChecks(at_enqueue=_check_form, at_download=_check_form_access),
}
