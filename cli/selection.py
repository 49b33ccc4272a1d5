"""What the command line says of which jobs are meant, before the service is asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Filter:
    """Conditions, all together; those that are empty hold for every job."""

    states: tuple[str, ...] = ()
    job_type: str = ""
    created_by: str = ""
    after: datetime | None = None
    before: datetime | None = None
    text: str = ""

    def __bool__(self) -> bool:
        """Whether any condition is set."""
        return self != Filter()


@dataclass(frozen=True)
class Chosen:
    """How a command was told which jobs it is for, whether to ask first, and why it is given."""

    words: tuple[str, ...]
    queue: str
    wanted: Filter
    every: bool
    yes: bool
    reason: str


@dataclass(frozen=True)
class Named:
    """Jobs by their ids; the queue is empty where it has to be found."""

    queue: str
    ids: tuple[str, ...]


def named(words: Sequence[str], queue: str) -> Named:
    """The ids among `words`, which may begin with the queue. A queue's name is told by its colon, which no id has."""
    if queue or not words or ":" not in words[0]:
        return Named(queue, tuple(words))
    return Named(words[0], tuple(words[1:]))


def one_named(words: Sequence[str], queue: str) -> Named | None:
    """One id, alone or after its queue; None where it is neither."""
    if not queue and len(words) == 2:  # noqa: PLR2004  (queue and id)
        return Named(words[0], (words[1],))
    return Named(queue, (words[0],)) if len(words) == 1 else None
