"""Runs the plugins' checks of payloads: what a payload names is there, and its caller may see it.

The job's handler checks again when it runs, since all of it may have changed by then.
"""

from collections.abc import Mapping, Sequence

from google.protobuf.message import Message

from base.resources import Resources
from base.settings import Settings
from contract.admission import Admitted
from contract.checks import Check, CheckContext, StoredFile, TypeChecks
from contract.errors import FieldProblem, RequestInvalidError
from service.auth import Principal


class PayloadChecks:
    """All families' checks, by the payload's message."""

    def __init__(self, settings: Settings, resources: Resources, checks: Mapping[type[Message], TypeChecks]) -> None:
        self._settings = settings
        self._resources = resources
        self._at_enqueue = {kind: each.at_enqueue for kind, each in checks.items() if each.at_enqueue}
        self._at_download = {kind: each.at_download for kind, each in checks.items() if each.at_download}
        self._file = {kind: each.file for kind, each in checks.items() if each.file}

    def file(self, payload: type[Message], result: Message) -> StoredFile | None:
        """The file that a result of a job with such a payload names, if it names one."""
        named = self._file.get(payload)
        return named(result) if named is not None else None

    async def check(self, admitted: Admitted, principal: Principal) -> None:
        """Checks the payload of a job that is to be stored.

        Raises:
          RequestInvalidError: names the fields at fault.
          JobServiceError: the check cannot be made, such as DatabaseAwayError.
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
          JobServiceError: as `check`.
        """
        check = self._at_download.get(type(payload))
        return check is None or not await self._run(check, payload, principal)

    async def _run(self, check: Check, payload: Message, principal: Principal) -> Sequence[FieldProblem]:
        return await check(payload, CheckContext(principal.proto(), self._resources, self._settings, principal.email))
