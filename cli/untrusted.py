"""Text of others, made harmless before it reaches a terminal: no escape sequence, no hidden or reordered letters."""

import re
from typing import Final

# Control characters (C0, DEL, C1), line and paragraph separators, what reorders or hides text, and lone surrogates.
_HARMFUL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U000e0000-\U000e0fff]"
)
_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


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
