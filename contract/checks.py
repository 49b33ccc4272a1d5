"""What a plugin's `checks` module says of payloads and results, beyond the rules in the contract.

`FIELD_CHECKS = {options_pb2.email_template: template_problem}` are by field option, and judge every payload wherever it is
admitted. `PAYLOAD_CHECKS = {ExportCsv: TypeChecks(at_enqueue=check_query)}` are by payload type, for callers of the service.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from google.protobuf.message import Message
from qcollector.jobs.v1.job_pb2 import Caller

from base.plugins import merged
from base.resources import Resources
from base.settings import Settings
from base.storage import RootName
from contract.errors import FieldProblem
from contract.fields import Mark

FieldCheck = Callable[[str, Settings], str]
"""Returns what is wrong with the text of a field that carries a mark, with the remedy; empty for nothing."""


@dataclass(frozen=True, slots=True)
class CheckContext:
    """What a check looks at, besides the payload."""

    caller: Caller
    resources: Resources
    settings: Settings
    email: str = ""
    """The caller's address, if the token has it."""


Check = Callable[[Any, CheckContext], Awaitable[Sequence[FieldProblem]]]
"""Returns what is wrong with a payload, by the names of its fields below it. Raises JobServiceError where it cannot be made."""


@dataclass(frozen=True, slots=True)
class StoredFile:
    """What a result says of its file."""

    path: str
    size: float
    """Bytes."""
    name: str
    content_type: str
    sha256: str
    """Hexadecimal; empty where the result has none."""
    root: RootName | None = None
    """The storage root that it must lie in; None for any of them."""


@dataclass(frozen=True, slots=True)
class TypeChecks:
    """What is checked of payloads of one type, and where its results keep their file."""

    at_enqueue: Check | None = None
    at_download: Check | None = None
    """Whether the caller may still see what the job's file holds."""
    file: Callable[[Any], StoredFile | None] | None = None
    """The file that a result names, if it names one."""


@cache
def field_checks(job_plugins: tuple[str, ...]) -> Mapping[Mark, FieldCheck]:
    """All plugins' FIELD_CHECKS.

    Raises:
      PluginError: a plugin cannot be found, or two check one mark.
    """
    return MappingProxyType(merged("checks", "FIELD_CHECKS", job_plugins))


def payload_checks(job_plugins: tuple[str, ...]) -> Mapping[type[Message], TypeChecks]:
    """All plugins' PAYLOAD_CHECKS.

    Raises:
      PluginError: a plugin cannot be found, or two check one type.
    """
    return merged("checks", "PAYLOAD_CHECKS", job_plugins)
