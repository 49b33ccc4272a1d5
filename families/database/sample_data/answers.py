"""What is answered to a field of each type, as the text that the application stores."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from random import Random
from typing import Final

from families.database.sample_data import words
from families.database.sample_data.specs import FieldSpec

Answer = Callable[[Random, FieldSpec, datetime], str]

VALUE_TYPES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("number", "rating", "slider"), "number"),
    **dict.fromkeys(("date", "datetime"), "date"),
    **dict.fromkeys(("file_upload", "image_upload"), "file"),
    "lat_long": "json",
}
"""By the field's type; all others are strings. Several choices are JSON."""


def answer(chance: Random, field: FieldSpec, when: datetime) -> tuple[str, str]:
    """The text and its value type, given by somebody at `when`."""
    several = field.type == "multiple_choice" and "multiple" in field.options
    return ANSWERS[field.type](chance, field, when), "json" if several else VALUE_TYPES.get(field.type, "string")


def _text(chance: Random, field: FieldSpec, _when: datetime) -> str:
    return chance.choice(field.texts)


def _email(chance: Random, _field: FieldSpec, _when: datetime) -> str:
    return f"{chance.choice(words.MAILBOXES)}{chance.randrange(1000)}@{chance.choice(words.DOMAINS)}"


def _phone(chance: Random, _field: FieldSpec, _when: datetime) -> str:
    digits = f"{chance.randrange(10**8):08}"
    return f"+66 8{digits[0]} {digits[1:4]} {digits[4:]}" if chance.random() < 0.2 else f"08{digits}"  # noqa: PLR2004


def _number(chance: Random, field: FieldSpec, _when: datetime) -> str:
    low, high = field.options["min"], field.options["max"]
    decimals = field.options.get("decimals", 0)
    return f"{chance.uniform(low, high):.{decimals}f}" if decimals else str(chance.randint(low, high))


def _url(chance: Random, _field: FieldSpec, _when: datetime) -> str:
    return f"https://www.{chance.choice(words.DOMAINS)}/p?id={chance.randrange(10_000)}&lang=th"


def _date(chance: Random, _field: FieldSpec, when: datetime) -> str:
    return (when - timedelta(days=chance.randrange(14))).date().isoformat()


def _time(chance: Random, _field: FieldSpec, _when: datetime) -> str:
    return f"{chance.randint(8, 18):02}:{chance.choice((0, 15, 30, 45)):02}"


def _datetime(chance: Random, _field: FieldSpec, when: datetime) -> str:
    return (when - timedelta(minutes=chance.randrange(3000))).isoformat(timespec="minutes")


def _choice(chance: Random, field: FieldSpec, _when: datetime) -> str:
    choices = field.options["choices"]
    if "multiple" not in field.options:
        chosen: str = chance.choice(choices)
        return chosen
    return json.dumps(chance.sample(choices, chance.randint(1, len(choices))), ensure_ascii=False)


def _rating(chance: Random, field: FieldSpec, _when: datetime) -> str:
    top: int = field.options["max"]
    return str(max(1, min(top, round(chance.gauss(top * 0.8, top * 0.2)))))


def _slider(chance: Random, field: FieldSpec, _when: datetime) -> str:
    options = field.options
    return str(chance.randrange(options["min"], options["max"] + 1, options["step"]))


def _place(chance: Random, _field: FieldSpec, _when: datetime) -> str:
    return json.dumps({"lat": round(chance.uniform(6, 20), 6), "lng": round(chance.uniform(98, 105), 6)})


def _province(chance: Random, _field: FieldSpec, _when: datetime) -> str:
    return chance.choice(words.PROVINCES)


def _factory(chance: Random, _field: FieldSpec, _when: datetime) -> str:
    return chance.choice(words.FACTORIES)


ANSWERS: Final[Mapping[str, Answer]] = {
    "short_answer": _text,
    "paragraph": _text,
    "email": _email,
    "phone": _phone,
    "number": _number,
    "url": _url,
    "date": _date,
    "time": _time,
    "datetime": _datetime,
    "multiple_choice": _choice,
    "rating": _rating,
    "slider": _slider,
    "lat_long": _place,
    "province": _province,
    "factory": _factory,
}
"""By the field's type. Answers to upload fields are the files themselves: see families.database.sample_data.uploads."""
