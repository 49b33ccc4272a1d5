"""Puts numbers and letters in the places of the names that scripts use, so that a name costs a call nothing."""

import re
from collections.abc import Iterator

from engine.schema import OPTIONAL, ROWS, VALUES

_CONSTANTS = re.compile(r"^ *local ([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*) = (\d+(?:, \d+)*)(?: --.*)?\n", re.MULTILINE)
_TOKEN = re.compile(r"--[^\n]*|'(?:[^'\\\n]|\\.)*'|\b[A-Z][A-Z0-9_]*\b")
_QUOTED = r"'(?:[^'\\\n]|\\.)*'"
_NAME = re.compile(
    rf"--[^\n]*|{_QUOTED}|(?P<width>#)?\b(?P<kind>[A-Z]+[a-z][A-Za-z]*)\b(?:\.(?P<member>\w+)|(?P<whole> \{{))?"
)
_PART = re.compile(rf"{_QUOTED}|[(){{}}\[\],]|[^'(){{}}\[\],]+", re.DOTALL)
_FIELD = re.compile(r"\s*(\w+) = (.+?)\s*", re.DOTALL)


def fold_constants(text: str) -> str:
    """Puts the numbers that the text names by constants in their places.

    A constant that stayed a local would be bound to each function that uses it, anew in each call of the script: a third of
    what a call costs before it does anything.

    Raises:
      ValueError: a constant has two values.
    """
    numbers: dict[str, str] = {}
    for names, values in _CONSTANTS.findall(text):
        for name, value in zip(names.split(", "), values.split(", "), strict=True):
            if numbers.setdefault(name, value) != value:
                raise ValueError(f"{name} is {numbers[name]} and {value}")
    return _TOKEN.sub(lambda found: numbers.get(found[0], found[0]), _CONSTANTS.sub("", text))


def put_names(text: str) -> str:
    """Puts in what engine/schema.py defines.

    `Record.state` is a place, `#ClaimedRow` how many places there are, `State.ACTIVE` a value, and `Record { state = …, … }` a
    row, whose fields are put in order.

    Raises:
      ValueError: there is no such name, or a row lacks a field.
    """
    done: list[str] = []
    at = 0
    while found := _NAME.search(text, at):
        done.append(text[at : found.start()])
        at = found.end()
        kind, member = found["kind"], found["member"]
        if kind is None:
            done.append(found[0])
        elif found["whole"] and not found["width"]:
            fields, at = _braced(text, at)
            done.append(_row(kind, [put_names(field) for field in fields]))
        elif found["width"] and not member and not found["whole"]:
            done.append(str(len(_fields(kind))))
        elif member and not found["width"]:
            done.append(_value(kind, member))
        else:
            raise ValueError(f"{found[0]} is neither a place, nor a value, nor a row")
    return "".join(done) + text[at:]


def _fields(kind: str) -> tuple[str, ...]:
    if kind not in ROWS:
        raise ValueError(f"engine/schema.py has no row {kind}")
    return ROWS[kind]


def _value(kind: str, member: str) -> str:
    if kind in VALUES:
        if member not in VALUES[kind].__members__:
            raise ValueError(f"{kind} has no member {member}")
        value = VALUES[kind][member].value
        return f"'{value}'" if isinstance(value, str) else str(value) if value >= 0 else f"({value})"
    fields = _fields(kind)
    if member not in fields:
        raise ValueError(f"{kind} has no field {member}")
    return str(fields.index(member) + 1)


def _braced(text: str, start: int) -> tuple[list[str], int]:
    """What stands between a brace before `start` and the one that closes it, split at its commas; and the place after it."""
    fields, depth = [""], 0
    for part in _parts(text, start):
        if part[0] in ")}]":
            if depth == 0:
                return [field for field in fields if field.strip()], start + 1
            depth -= 1
        elif part[0] in "({[":
            depth += 1
        start += len(part)
        if part == "," and depth == 0:
            fields.append("")
        else:
            fields[-1] += part
    raise ValueError("a row is not closed")


def _parts(text: str, start: int) -> Iterator[str]:
    return (found[0] for found in _PART.finditer(text, start))


def _row(kind: str, given: list[str]) -> str:
    order, values = _fields(kind), {}
    for field in given:
        found = _FIELD.fullmatch(field)
        if not found or found[1] not in order or found[1] in values:
            raise ValueError(f"{kind} {{ … }} cannot take {field.strip()!r}")
        values[found[1]] = found[2]
    lacking = [name for name in order if name not in values and name not in OPTIONAL[kind]]
    if lacking or (list(values) != [] and len(values) <= max(order.index(name) for name in values)):
        raise ValueError(f"{kind} {{ … }} lacks {', '.join(lacking) or 'a field before its last'}")
    return f"{{ {', '.join(values[name] for name in order if name in values)} }}"
