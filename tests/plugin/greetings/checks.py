"""What is checked of greetings: names by the settings, at enqueue and at download by the caller."""

from collections.abc import Mapping, Sequence
from typing import Final

from google.protobuf.message import Message

from base.settings import Settings
from contract.checks import CheckContext, FieldCheck, StoredFile, TypeChecks
from contract.errors import FieldProblem
from contract.fields import Mark
from greetings.album import Album
from greetings.settings import GreetingSettings
from greetings.v1.greetings_pb2 import Greet, Greeted, known_name


def _name_problem(name: str, settings: Settings) -> str:
    names = GreetingSettings.of(settings).greeting_names.split()
    return "" if name in names else f"is not a known name; write one of {', '.join(names)}"


async def _check_width(payload: Greet, context: CheckContext) -> Sequence[FieldProblem]:
    assert not context.resources[Album].closed
    if payload.style.width == 1:
        return [FieldProblem("style.width", "too_narrow", "leaves one letter; write 2 or more")]
    return ()


async def _check_reader(_payload: Greet, context: CheckContext) -> Sequence[FieldProblem]:
    return () if context.caller.id != "nosy" else [FieldProblem("name", "private", "is nobody's business")]


def _file(result: Greeted) -> StoredFile:
    return StoredFile(result.file_path, result.size, "greeting.txt", "text/plain", result.sha256, root="temp")


RESOURCES: Final = (Album,)
FIELD_CHECKS: Final[Mapping[Mark, FieldCheck]] = {known_name: _name_problem}
PAYLOAD_CHECKS: Final[Mapping[type[Message], TypeChecks]] = {
    Greet: TypeChecks(at_enqueue=_check_width, at_download=_check_reader, file=_file)
}
