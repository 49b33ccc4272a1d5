"""From requests to stored jobs, each judged for itself: may the caller, is it right, is there room."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from qcollector.jobs.v1.enqueue_pb2 import EnqueueJobRequest
from qcollector.jobs.v1.job_pb2 import JobOptions, JobState

from contract.admission import Admission, Admitted, Origin
from contract.errors import JobServiceError
from contract.times import timestamp
from engine.intake import Intake
from engine.jobs import Enqueued
from service.interceptor.call import caller, current_call
from service.payload_checks import PayloadChecks
from service.permissions import require_type


class EnqueuedMessage(Protocol):
    """A message with the fields of EnqueueJobResponse."""

    def __init__(
        self,
        *,
        job_id: str = "",
        queue_name: str = "",
        job_type: str = "",
        state: JobState.ValueType | None = None,
        duplicate: bool = False,
        create_time: Timestamp | None = None,
        options: JobOptions | None = None,
    ) -> None: ...

    @property
    def options(self) -> JobOptions: ...


M = TypeVar("M", bound=EnqueuedMessage)


class Accepted(NamedTuple):
    """A request that was not refused."""

    admitted: Admitted
    enqueued: Enqueued | None = None
    """None where it was to be validated only."""


def enqueued_view(kind: type[M], accepted: Accepted) -> M:
    """The job as a message of `kind`."""
    admitted, enqueued = accepted
    if enqueued is None:
        view = kind(queue_name=admitted.type.queue, job_type=admitted.type.type, options=admitted.options)
        if admitted.job.digest:  # otherwise the id was made for a job that there will not be
            view.options.job_id = admitted.job.id
        return view
    view = kind(
        job_id=enqueued.id,
        queue_name=admitted.type.queue,
        job_type=admitted.type.type,
        state=enqueued.state.proto if enqueued.state else JobState.JOB_STATE_UNSPECIFIED,
        duplicate=enqueued.duplicate,
        create_time=timestamp(enqueued.created),
        options=admitted.options,
    )
    view.options.job_id = enqueued.id
    return view


YIELD_INTERVAL: Final = 50
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

    async def enqueue_each(
        self, requests: Sequence[EnqueueJobRequest], *, validate_only: bool = False
    ) -> list[Outcome]:
        """Enqueues unchecked requests, in few round trips for each of their queues; each answers for itself, in order.

        The store works on the first ones while the next ones are judged.
        """
        origin = _origin()
        parts = []
        async with asyncio.TaskGroup() as group:
            for first in range(0, len(requests), YIELD_INTERVAL):
                batch = requests[first : first + YIELD_INTERVAL]
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
        return self._admission.admit(request, origin, partial(require_type, caller()))


def _accepted(admitted: Admitted, answer: Enqueued | JobServiceError) -> Outcome:
    return answer if isinstance(answer, JobServiceError) else Accepted(admitted, answer)


def _origin() -> Origin:
    call = current_call()
    return Origin(call.principal.proto(), call.request_id, call.trace)
