"""Text of either direction in a mail: a value's letters never rearrange what stands around it."""

import unicodedata
from typing import Any, Final

from markupsafe import Markup

from base.direction_controls import DIRECTION_CONTROLS
from families.email.links import safe_url

FIRST_STRONG_ISOLATE: Final = "\u2068"
POP_ISOLATE: Final = "\u2069"

_RIGHT_TO_LEFT: Final = frozenset({"R", "AL", "AN"})


def isolated(value: Any) -> Any:
    """A text without direction controls, isolated where it has letters that run from right to left; else as it is.

    Addresses are left as they are: there, an isolate would be part of the address.
    """
    if not isinstance(value, str) or isinstance(value, Markup) or value.isascii():
        return value
    text = value.translate(DIRECTION_CONTROLS)  # they would also end an isolate before its time
    if not any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text) or safe_url(text) == text:
        return text
    return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"
