"""The filters of the mail templates, by the names that template authors write."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from functools import cache
from typing import Any, Final

from babel import Locale, UnknownLocaleError
from babel.dates import get_timezone
from babel.numbers import format_decimal

from families.email.calendars import format_moment
from families.email.links import safe_url

_MILLISECONDS: Final = re.compile(r"-?\d{9,15}")
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
_UNITS: Final = ("B", "KB", "MB", "GB", "TB")
_STEP: Final = 1024


def template_filters(locale: str, zone: str) -> dict[str, Callable[..., Any]]:
    """The filters, with what holds where a template names no locale and no time zone."""

    def format_date(value: Any, pattern: str = "medium", locale: str = locale, zone: str = zone) -> str:
        """A datetime, an ISO 8601 text or milliseconds since 1970 as `pattern` says; anything else as it is.

        `pattern` is short, medium, long, full, or one of CLDR's such as `dd.MM.yyyy HH:mm`. What names no zone is UTC,
        but a day alone stays that day everywhere.
        """
        where = _zone(zone)
        moment = _moment(value, where)
        if moment is None:
            return "" if value is None else str(value)
        return format_moment(moment, pattern, where, _locale(locale))

    def format_number(value: Any, locale: str = locale) -> str:
        """A number with the locale's separators; anything else as it is."""
        return format_decimal(value, locale=_locale(locale)) if _is_number(value) else str(value)

    def format_size(value: Any, locale: str = locale) -> str:
        """Bytes as a number or its digits, such as "2.4 MB"; any other text as it is."""
        if not _is_number(value) and not re.fullmatch(r"\d{1,18}", str(value)):
            return str(value)
        size, unit = float(value), 0
        while size >= _STEP and unit + 1 < len(_UNITS):
            size, unit = size / _STEP, unit + 1
        return f"{format_decimal(round(size, 1), locale=_locale(locale))} {_UNITS[unit]}"

    return {
        "formatDate": format_date,
        "formatNumber": format_number,
        "formatSize": format_size,
        "uppercase": lambda value: str(value).upper(),
        "lowercase": lambda value: str(value).lower(),
        "safe_url": safe_url,
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _moment(value: Any, zone: tzinfo) -> datetime | None:
    try:
        if isinstance(value, datetime):
            return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return _start_of(value, zone)
        if _is_number(value) or (isinstance(value, str) and _MILLISECONDS.fullmatch(value)):
            return datetime.fromtimestamp(float(value) / 1000, UTC)
        if isinstance(value, str):
            if _DAY.fullmatch(value):
                return _start_of(date.fromisoformat(value), zone)
            moment = datetime.fromisoformat(value.strip())
            return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _start_of(day: date, zone: tzinfo) -> datetime:
    start = datetime.combine(day, time.min)
    localize = getattr(zone, "localize", None)
    moment: datetime = localize(start) if localize is not None else start.replace(tzinfo=zone)
    return moment


@cache
def _zone(name: str) -> tzinfo:
    try:
        return get_timezone(name)
    except LookupError:
        raise ValueError(f"{name!r} is not a time zone; write one such as Europe/Berlin") from None


@cache
def _locale(name: str) -> Locale:
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        raise ValueError(f"{name!r} is not a locale; write one such as en, de or th-TH") from None
