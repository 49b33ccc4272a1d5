"""Times as people type and read them: durations such as `10m`, moments such as `2025-01-31T08:00Z` or `2h` from now."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_UNITS: Final = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[smhd])")
_WHOLE: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|[smhd]))+|0")
_LONGEST: Final = 100 * 366 * 86_400_000
DURATION_REMEDY: Final = "give a number with its unit: 500ms, 30s, 10m, 2h, 1d or 1h30m"
MOMENT_REMEDY: Final = (
    "give a time such as 2025-01-31T08:00:00Z, 2025-01-31 08:00 (of this machine's zone), or a duration such as 2h"
)


def milliseconds_of(text: str) -> float:
    """A duration's milliseconds. Raises ValueError, which says what would be right."""
    word = text.strip().lower()
    if not _WHOLE.fullmatch(word):
        raise ValueError(DURATION_REMEDY)
    total = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(word))
    if total > _LONGEST:
        raise ValueError("is longer than a hundred years")
    return total


def moment_of(text: str, *, direction: int) -> datetime:
    """A moment; a duration is counted from now on (`direction` 1) or back (-1). Raises ValueError as above."""
    word = text.strip()
    if _WHOLE.fullmatch(word.lower()):
        return datetime.now(UTC) + direction * timedelta(milliseconds=milliseconds_of(word))
    try:
        return datetime.fromisoformat(word).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(MOMENT_REMEDY) from None


def in_words(milliseconds: float) -> str:
    """A duration by its two largest units: `1h 30m`, `2.5s`, `12ms`."""
    if milliseconds < 1000:  # noqa: PLR2004
        return f"{milliseconds:.3g}ms" if milliseconds < 10 else f"{milliseconds:.0f}ms"  # noqa: PLR2004
    if milliseconds < 60_000:  # noqa: PLR2004
        return f"{milliseconds / 1000:.3g}s"
    rest = int(milliseconds)
    parts = []
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
        if len(parts) == 2 or (parts and not count):  # noqa: PLR2004
            break
    return " ".join(parts)


def shown(moment: datetime | None) -> str:
    """In this machine's zone, to the second."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(moment: datetime | None) -> str:
    """How long ago, or in how long: `3m ago`, `in 2h`."""
    if moment is None:
        return ""
    passed = (datetime.now(UTC) - moment).total_seconds() * 1000
    word = in_words(abs(passed) // 1000 * 1000) if abs(passed) >= 1000 else "0s"  # noqa: PLR2004
    return f"{word} ago" if passed >= 0 else f"in {word}"
