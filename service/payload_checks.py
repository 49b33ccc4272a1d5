"""What must hold of a payload beyond its own rules: what it names is there, and its caller may see it.

A family registers a check for each of its types that needs one. The job's handler checks again when it runs, since all of
it may have changed by then.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import Message
from qcollector.jobs.v1.job_pb2 import Caller
from sqlalchemy.ext.asyncio import AsyncEngine

from base.settings import Settings
from contract.admission import Admitted
from contract.errors import DatabaseAwayError, DatabaseUnfitError, FieldProblem, RequestInvalidError
from families.database.errors import DatabaseError, DatabaseSetupError
from service.auth import Principal

AGAIN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Scene:
    """What a check looks at, besides the payload."""

    caller: Caller
    database: AsyncEngine
    settings: Settings
    email: str = ""
    """The caller's address, if the token has it."""


Check = Callable[[Any, Scene], Awaitable[Sequence[FieldProblem]]]
"""Answers what is wrong with a payload, by the names of its fields below it."""


@dataclass(frozen=True, slots=True)
class TypeChecks:
    """What is checked of payloads of one type."""

    at_enqueue: Check | None = None
    at_download: Check | None = None
    """Whether the caller may still see what the job's file holds."""


class PayloadChecks:
    """All families' checks, by the payload's message."""

    def __init__(self, settings: Settings, database: AsyncEngine, checks: Mapping[type[Message], TypeChecks]) -> None:
        self._settings = settings
        self._database = database
        self._at_enqueue = {kind: each.at_enqueue for kind, each in checks.items() if each.at_enqueue}
        self._at_download = {kind: each.at_download for kind, each in checks.items() if each.at_download}

    async def check(self, admitted: Admitted, principal: Principal) -> None:
        """Checks the payload of a job that is to be stored.

        Raises:
          RequestInvalidError: names the fields at fault.
          DatabaseAwayError, DatabaseUnfitError: the database that has to be asked cannot be.
        """
        if (check := self._at_enqueue.get(admitted.type.payload)) is None:
            return
        if problems := await self._run(check, admitted.payload, principal):
            raise RequestInvalidError(
                [FieldProblem(f"{admitted.root}.{each.field}", each.rule, each.description) for each in problems]
            )

    async def may_download(self, payload: Message, principal: Principal) -> bool:
        """Whether the caller may still see what a job of that payload made.

        Raises:
          DatabaseAwayError, DatabaseUnfitError: the database that has to be asked cannot be.
        """
        check = self._at_download.get(type(payload))
        return check is None or not await self._run(check, payload, principal)

    async def _run(self, check: Check, payload: Message, principal: Principal) -> Sequence[FieldProblem]:
        try:
            return await check(payload, Scene(principal.proto(), self._database, self._settings, principal.email))
        except DatabaseSetupError as error:
            raise DatabaseUnfitError(str(error)) from error
        except DatabaseError as error:
            raise DatabaseAwayError(str(error), retry_after=AGAIN_SECONDS) from error
