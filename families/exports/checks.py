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
    ExportMetadata,
    ExportWorksheet,
)

from base.settings import Settings
from base.storage import StoragePathError, StorageRoots
from contract.checks import CheckContext, StoredFile, TypeChecks
from contract.errors import FieldProblem
from families.database.access import SEE_ALL
from families.database.checking import asking, form_problems, range_problems
from families.database.queries import QueryError, compile_query
from families.database.resources import database
from families.database.users import user_of
from families.exports.places import export_place


async def _check_query(payload: ExportCsv | ExportJson, context: CheckContext) -> Sequence[FieldProblem]:
    return [*_query_problems(payload, "", context.settings), *_place_problems(payload.output_path, context.settings)]


async def _check_excel(payload: ExportExcel, context: CheckContext) -> Sequence[FieldProblem]:
    problems = [*_place_problems(payload.output_path, context.settings)]
    if payload.HasField("query"):
        problems += _query_problems(payload, "", context.settings)
    for place, worksheet in enumerate(payload.worksheets):
        problems += _query_problems(worksheet, f"worksheets[{place}].", context.settings)
    return problems


async def _check_form(payload: ExportFormSubmissions, context: CheckContext) -> Sequence[FieldProblem]:
    return [
        *range_problems(payload.date_range, context.settings),
        *await form_problems(payload.form_id, context),
        *await _notify_problems(payload.options, context),
    ]


async def _notify_problems(options: ExportFormOptions, context: CheckContext) -> Sequence[FieldProblem]:
    """A user is told at the own address alone, which the token or the application's users table has."""
    if not options.HasField("notify") or context.caller.role in SEE_ALL:
        return ()
    asked = options.notify.email.casefold()
    if asked == context.email.casefold():
        return ()
    async with asking(context) as connection:
        user = await user_of(connection, context.caller.id)
    if user is not None and asked == user.email.casefold():
        return ()
    rule = "is not your own address; name the one that you are signed in with (other addresses take the role service)"
    return [FieldProblem("options.notify.email", "own_address", rule)]


async def _check_form_access(payload: ExportFormSubmissions, context: CheckContext) -> Sequence[FieldProblem]:
    """Who sees every form may have the file also when the form is gone."""
    return () if context.caller.role in SEE_ALL else await form_problems(payload.form_id, context)


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


def _file(result: Message) -> StoredFile | None:
    """Every export answers with the ExportMetadata of its file."""
    for field, value in result.ListFields():
        if field.message_type is not None and isinstance(value, ExportMetadata):
            return StoredFile(
                value.file_path, value.file_size, value.file_name, value.content_type, value.sha256, root="export"
            )
    return None


RESOURCES: Final = (database.kind,)
PAYLOAD_CHECKS: Final[Mapping[type[Message], TypeChecks]] = {
    ExportCsv: TypeChecks(at_enqueue=_check_query, file=_file),
    ExportJson: TypeChecks(at_enqueue=_check_query, file=_file),
    ExportExcel: TypeChecks(at_enqueue=_check_excel, file=_file),
    ExportFormSubmissions: TypeChecks(at_enqueue=_check_form, at_download=_check_form_access, file=_file),
}
