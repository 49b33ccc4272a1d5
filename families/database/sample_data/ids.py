"""Identifiers of sample rows: those that people type are easy to read, the others look like any uuid."""

import uuid
from functools import cache
from random import Random


def user_id(number: int) -> uuid.UUID:
    return _readable(0xA0000000, number)


def form_id(number: int) -> uuid.UUID:
    return _readable(0xF0000000, number)


def sub_form_id(form: int, number: int) -> uuid.UUID:
    return _readable(0xF5000000, form << 16 | number)


def field_id(form: int, number: int) -> uuid.UUID:
    return _readable(0xFD000000, form << 16 | number)


def any_id(chance: Random) -> uuid.UUID:
    return uuid.UUID(int=chance.getrandbits(128), version=4)


@cache
def _readable(kind: int, number: int) -> uuid.UUID:
    """Such as f0000000-0000-4000-8000-000000000001."""
    return uuid.UUID(f"{kind:08x}-0000-4000-8000-{number:012x}")
