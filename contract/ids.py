"""Job ids that the service makes: time-ordered, unique, and ending in the queue's shard."""

import os
import time
from typing import Final

SHARD: Final = "0"
"""Queues have one shard today; ids and keys name it, so that more can come without a change of either."""

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_SHIFTS = tuple(range(120, -1, -10))
"""Two characters, ten bits, at a time."""
_LOW_BITS = 20
"""Bits of the last four characters. Ids of one millisecond nearly always differ in these alone, so the rest is kept as text."""
_LOW = (1 << _LOW_BITS) - 1
_RANDOM_BITS = 80
_ENDING = f"-{SHARD}"


class _Clock:
    """The last id: its milliseconds, its value, and the text of all but its low bits."""

    ms = 0
    value = 0
    high = -1
    text = ""


def new_job_id() -> str:
    """26 characters of Crockford base 32 (48 bits of milliseconds, 80 random) and the shard: `01ja...x-0`.

    Within one process each is greater than the one before: those of one millisecond count up from a random number.
    """
    ms = time.time_ns() // 1_000_000
    if ms > _Clock.ms:
        _Clock.ms = ms
        _Clock.value = ms << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8), "big")
    else:
        _Clock.value += 1
    high, low = _Clock.value >> _LOW_BITS, _Clock.value & _LOW
    if high != _Clock.high:
        _Clock.high, _Clock.text = high, _base32(high << _LOW_BITS)[:-4]
    return f"{_Clock.text}{_PAIRS[low >> 10]}{_PAIRS[low & 1023]}{_ENDING}"


def _base32(value: int) -> str:
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])
