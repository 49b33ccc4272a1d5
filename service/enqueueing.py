"""From requests to stored jobs, each judged for itself: may the caller, is it right, is there room."""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_pb2 import JobOptions
from qcollector.jobs.v1.payload_pb2 import JobPayload

from contract.admission import Admission, Admitted, Origin
from contract.checking import check_or_raise
from contract.errors import FieldProblem, JobServiceError, RequestInvalidError
from engine.intake import Intake
from engine.jobs import Enqueued
from service.call import caller, current_call
from service.enqueued import Accepted
from service.payload_checks import PayloadChecks
from service.permissions import require_type
from service.times import milliseconds

BREATH: Final = 50
"""Requests of a batch that are judged before other calls get their turn."""

Outcome = Accepted | JobServiceError


class Enqueuer:
    """Enqueues on behalf of the current call."""

    def __init__(self, admission: Admission, intake: Intake, checks: PayloadChecks) -> None:
        self._admission = admission
        self._intake = intake
        self._checks = checks

    async def enqueue(self, request: EnqueueJobRequest) -> Accepted:
        """Enqueues an unchecked request. When this returns, the job is stored.

        Raises:
          JobServiceError: it is refused.
        """
        admitted = await self.admit(request)
        return Accepted(admitted, await self._intake.enqueue(admitted.job))

    async def enqueue_payload(self, payload: JobPayload, options: JobOptions, request_id: str) -> Accepted:
        """Enqueues a payload whose fields are the caller's own request: problems are named without the way to them.

        Raises:
          JobServiceError: it is refused.
        """
        try:
            return await self.enqueue(EnqueueJobRequest(payload=payload, options=options, request_id=request_id))
        except RequestInvalidError as error:
            raise RequestInvalidError([_without_root(problem) for problem in error.problems]) from None

    async def enqueue_each(
        self, requests: Sequence[EnqueueJobRequest], *, validate_only: bool = False
    ) -> list[Outcome]:
        """Enqueues unchecked requests, in few round trips for each of their queues; each answers for itself, in order.

        The store works on the first ones while the next ones are judged.
        """
        origin = _origin()
        parts = []
        async with asyncio.TaskGroup() as group:
            for first in range(0, len(requests), BREATH):
                batch = requests[first : first + BREATH]
                judged = [self._judged(request, origin) for request in batch]
                stored = [not (validate_only or request.validate_only) for request in batch]
                parts.append(group.create_task(self._store_admitted(judged, stored)))
                await asyncio.sleep(0)
        return [outcome for part in parts for outcome in part.result()]

    def _judged(self, request: EnqueueJobRequest, origin: Origin) -> Admitted | JobServiceError:
        try:
            return self._admit(request, origin)
        except JobServiceError as error:
            return error

    async def _store_admitted(
        self, judged: Sequence[Admitted | JobServiceError], stored: Sequence[bool]
    ) -> list[Outcome]:
        """Stores those that are to be `stored`, not only validated, and answers for each."""
        checked = [await self._checked(one) for one in judged]
        jobs = [one.job for one, store in zip(checked, stored, strict=True) if store and isinstance(one, Admitted)]
        answers = iter(await self._intake.enqueue_many(jobs) if jobs else ())
        return [
            one if isinstance(one, JobServiceError) else _accepted(one, next(answers)) if store else Accepted(one)
            for one, store in zip(checked, stored, strict=True)
        ]

    async def _checked(self, judged: Admitted | JobServiceError) -> Admitted | JobServiceError:
        if isinstance(judged, Admitted):
            try:
                await self._checks.check(judged, caller())
            except JobServiceError as error:
                return error
        return judged

    async def admit(self, request: EnqueueJobRequest) -> Admitted:
        """All of `enqueue` but the storing.

        Raises:
          JobServiceError: it is refused.
        """
        admitted = self._admit(request, _origin())
        await self._checks.check(admitted, caller())
        return admitted

    def _admit(self, request: EnqueueJobRequest, origin: Origin) -> Admitted:
        """All that can be judged without asking anybody."""
        if request.HasField("options") or request.request_id or not request.HasField("payload"):
            # What a payload alone has to hold to is checked with it.
            check_or_raise(request, "")
        asked = self._admission.asked(request)
        require_type(caller(), asked.type)
        if request.HasField("options"):
            milliseconds(request.options.run_at, "options.runAt")
            milliseconds(request.options.expire_at, "options.expireAt")
        return self._admission.admit(request, asked, origin, time.time_ns() // 1_000_000)


def _accepted(admitted: Admitted, answer: Enqueued | JobServiceError) -> Outcome:
    return answer if isinstance(answer, JobServiceError) else Accepted(admitted, answer)


def _origin() -> Origin:
    call = current_call()
    return Origin(call.principal.proto(), call.request_id, call.trace)


def _without_root(problem: FieldProblem) -> FieldProblem:
    """`payload.emailWelcome.user.email` is the caller's `user.email`."""
    _, payload, rest = problem.field.partition("payload.")
    return FieldProblem(rest.partition(".")[2] or rest, problem.rule, problem.description) if payload else problem
