"""Single values as text: the contract's words, numbers with their units, and what others wrote, made harmless."""

import re
from typing import Final

from qcollector.jobs.v1.job_pb2 import JobState
from qcollector.jobs.v1.options_pb2 import Role

# Control characters (C0, DEL, C1), line and paragraph separators, what reorders or hides text, and lone surrogates.
_HARMFUL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
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


def is_harmful(text: str) -> bool:
    return _HARMFUL.search(text) is not None


def harmless(text: str) -> str:
    r"""On one line, with an escape such as `\\x1b` in the place of each harmful character."""
    return _HARMFUL.sub(lambda found: _escaped(found[0]), text)


def harmless_lines(text: str) -> str:
    """The same, with line ends and tabs left as they are."""
    return "\n".join(harmless(line.expandtabs()) for line in text.replace("\r\n", "\n").split("\n"))


def harmless_json(text: str) -> str:
    """JSON that means the same: JSON itself escapes what is below a space, this the rest."""
    return _HARMFUL.sub(lambda found: found[0] if found[0] == "\n" else _json_escaped(found[0]), text)


def _escaped(letter: str) -> str:
    number = ord(letter)
    if letter in _NAMED:
        return _NAMED[letter]
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"  # noqa: PLR2004


def _json_escaped(letter: str) -> str:
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


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
