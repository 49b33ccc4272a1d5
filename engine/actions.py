"""What may be done to jobs, in which states, and how a refusal reads."""

from dataclasses import dataclass
from typing import Final

from contract.errors import JobNotFoundError, JobPurgedError, JobServiceError, JobStateConflictError
from engine.jobs import State
from engine.schema import Refusal


@dataclass(frozen=True, slots=True)
class Action:
    """One way to change jobs: its script, the states that admit it, and how a refusal reads."""

    script: str
    admits: frozenset[State]
    deed: str
    remedy: str
    settled: frozenset[State] = frozenset()
    """States in which it has been done already: no change, and no error."""


CANCEL: Final = Action(
    "cancel",
    frozenset({State.WAITING, State.DELAYED, State.ACTIVE}),
    "cancelled",
    "only a job that has not ended can be",
    frozenset({State.CANCELLED}),
)
RETRY: Final = Action(
    "retry", frozenset({State.FAILED, State.CANCELLED}), "retried", "only a failed or cancelled job can be"
)
PROMOTE: Final = Action("promote", frozenset({State.DELAYED}), "promoted", "only a delayed job can be")
DELETE: Final = Action(
    "delete", frozenset(State) - {State.ACTIVE}, "deleted", "cancel it first: only a job that does not run can be"
)


def job_not_found(queue: str, job_id: str) -> JobNotFoundError:
    return JobNotFoundError(f"{queue} holds no job {job_id!r}.", queue=queue, job=job_id)


def refusal(action: Action, queue: str, job_id: str, before: str, *, bulk: bool = False) -> JobServiceError | None:
    """Why a job in the state `before` was not changed; None if it was. In bulk, what was so before is refused."""
    if not before:
        return job_not_found(queue, job_id)
    if before == Refusal.PURGED:
        return JobPurgedError(
            f"Job {job_id} cannot run again: its sensitive values were purged when it ended. Enqueue it anew.",
            queue=queue,
            job=job_id,
        )
    state = State(before)
    if state in action.admits or (state in action.settled and not bulk):
        return None
    return JobStateConflictError(
        f"Job {job_id} is {state.name.lower()} and cannot be {action.deed}: {action.remedy}.",
        queue=queue,
        job=job_id,
        state=f"JOB_STATE_{state.name}",
    )
