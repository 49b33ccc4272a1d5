"""States and values of the contract in the words that people read and type."""

from typing import Final

from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.options_pb2 import Role

COLOURS: Final = {
    "active": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "yellow",
    "healthy": "green",
    "degraded": "yellow",
    "unhealthy": "red",
    "disabled": "dim",
}


def role_word(role: Role.ValueType) -> str:
    """`user`, `admin` and so on."""
    name = Role.Name(role) if role in Role.values() else f"role {role}"
    return name.removeprefix("ROLE_").lower()


def state_word(state: JobState.ValueType) -> str:
    """`waiting`, `failed` and so on; empty when it is not set."""
    if state == JobState.JOB_STATE_UNSPECIFIED:
        return ""
    # A service of a later release may have states that are unknown here.
    name = JobState.Name(state) if state in JobState.values() else f"state {state}"
    return name.removeprefix("JOB_STATE_").lower()


def state_of(word: str) -> JobState.ValueType:
    return JobState.Value(f"JOB_STATE_{word.upper()}")


def colour_of(word: str) -> str:
    return COLOURS.get(word, "")


def count_of(number: float, thing: str) -> str:
    """`1 job`, `2 jobs`, `12,000 jobs`."""
    return f"{number:,.0f} {thing}{'' if number == 1 else 's'}"


def yes_or_no(value: bool) -> str:
    return "yes" if value else "no"


def bytes_in_words(number: float) -> str:
    """`512 B`, `1.4 MB`."""
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:  # noqa: PLR2004
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
