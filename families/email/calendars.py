"""Moments in the words and the calendar of a locale: Thai readers count years from the Buddha, as Q-Collector's pages do."""

from datetime import datetime, tzinfo
from typing import Final, Literal, cast, get_args

from babel import Locale
from babel.dates import (
    DateTimeFormat,
    format_datetime,
    format_time,
    get_date_format,
    get_datetime_format,
    parse_pattern,
)

Named = Literal["short", "medium", "long", "full"]
NAMED: Final = frozenset(get_args(Named))
"""The patterns that each locale spells out."""

_BUDDHIST_YEARS: Final = 543
_BUDDHIST_ERA: Final = {4: "พุทธศักราช"}
"""By the pattern's width; any other is abbreviated."""


def format_moment(moment: datetime, pattern: str, zone: tzinfo, locale: Locale) -> str:
    """The moment in a zone, by a named pattern or one of CLDR's such as `dd.MM.yyyy HH:mm`."""
    if locale.language != "th":
        return format_datetime(moment, pattern, tzinfo=zone, locale=locale)
    there = moment.astimezone(zone)
    buddhist = _Buddhist(there, locale)
    if pattern not in NAMED:
        return parse_pattern(pattern) % buddhist
    # As Babel does it, which knows no other calendar than its own.
    named = cast("Named", pattern)
    frame = str(get_datetime_format(named, locale=locale)).replace("'", "")
    day = get_date_format(named, locale=locale) % buddhist
    return frame.replace("{0}", format_time(there, named, locale=locale)).replace("{1}", day)


class _Buddhist(DateTimeFormat):
    def format_year(self, char: str, num: int) -> str:  # noqa: ARG002  (the base's signature)
        year = self.format(cast("datetime", self.value).year + _BUDDHIST_YEARS, num)
        return year[-2:] if num == 2 else year  # noqa: PLR2004  (yy, as CLDR has it)

    def format_era(self, char: str, num: int) -> str:  # noqa: ARG002  (the base's signature)
        return _BUDDHIST_ERA.get(num, "พ.ศ.")
