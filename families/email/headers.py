"""The header of a mail as lines of ASCII: encoded where needed, folded, and never more lines than were meant."""

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import quote

from qcollector.jobs.v1.email_pb2 import EmailSend

from base.direction_controls import DIRECTION_CONTROLS
from contract.fields import is_reserved
from families.email.addresses import Address

_FOLD: Final = 76
"""Columns after which a line goes on in the next one (RFC 5322 recommends 78 with the line's end)."""
_MAX_LINE: Final = 900
"""Below the 998 bytes that no line may pass."""
_WORD_BYTES: Final = 45
"""Bytes of text in one encoded word: 60 characters of base64, 72 with what goes around them."""
_PARAMETER: Final = 60
"""Characters of a MIME parameter on one line."""
_MAX_VALUE: Final = 4000

_BREAKS: Final = re.compile(r"[\r\n\x00]")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_PLAIN: Final = re.compile(r"[\t\x20-\x7e]*")
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_CHUNK: Final = re.compile(rf"(?:%[0-9A-F]{{2}}|[^%]){{1,{_PARAMETER // 3}}}")

_HEADERS: Final = EmailSend.DESCRIPTOR.fields_by_name["headers"]


class HeaderError(ValueError):
    """A header that cannot be sent; the message names it."""


def check_custom(name: str, value: str) -> None:
    """Refuses a further header that is not the caller's to set, or that would be more than one header.

    Raises:
      HeaderError: says why.
    """
    if not _NAME.fullmatch(name) or len(name) > _FOLD:
        raise HeaderError(f"the header {name[:80]!r} is not a header's name: letters, digits and hyphens")
    if is_reserved(name, _HEADERS):
        raise HeaderError(f"the header {name} cannot be set: the service writes it, or a mail server does")
    _check_value(name, value)


def text_header(name: str, value: str) -> str:
    """A header of free text, such as Subject."""
    _check_value(name, value)
    value = value.strip()
    if _needs_encoding(value):
        return f"{name}: " + "\r\n ".join(_encoded_words(value)) + "\r\n"
    return _folded(f"{name}: {value}")


def address_header(name: str, addresses: Iterable[Address]) -> str:
    """A header that lists addresses, one to a line."""
    return f"{name}: " + ",\r\n ".join(_shown_address(name, address) for address in addresses) + "\r\n"


def list_header(name: str, items: Sequence[str]) -> str:
    """A header that lists links, one to a line, each in angle brackets."""
    for item in items:
        _check_value(name, item)
        if not _PLAIN.fullmatch(item) or re.search(r"[\s<>]", item) or len(item) > _MAX_LINE:
            raise HeaderError(f"{name} holds a link with characters that a link cannot have, or too many of them")
    return f"{name}: " + ",\r\n ".join(f"<{item}>" for item in items) + "\r\n"


def parameter(name: str, value: str) -> str:
    """`; name="value"` as it follows a MIME header's value; names in other scripts and long ones by RFC 2231."""
    _check_value(name, value)
    value = value.translate(DIRECTION_CONTROLS)  # in a file's name they disguise its ending
    if _PLAIN.fullmatch(value) and len(value) <= _PARAMETER:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f';\r\n {name}="{escaped}"'
    chunks = _CHUNK.findall(quote(value, safe=""))
    first, *others = chunks
    if not others:
        return f";\r\n {name}*=utf-8''{first}"
    parts = [f";\r\n {name}*0*=utf-8''{first}"]
    parts += [f";\r\n {name}*{place}*={chunk}" for place, chunk in enumerate(others, 1)]
    return "".join(parts)


def _check_value(name: str, value: str) -> None:
    if _BREAKS.search(value):
        raise HeaderError(f"the header {name} holds a line break or a NUL character")
    if len(value) > _MAX_VALUE:
        raise HeaderError(f"the header {name} is longer than {_MAX_VALUE} characters")


def _needs_encoding(value: str) -> bool:
    """Also where plain text would be read as encoded, or a word is longer than a line may be."""
    return not _PLAIN.fullmatch(value) or "=?" in value or any(len(word) > _MAX_LINE for word in value.split(" "))


def _encoded_words(text: str) -> list[str]:
    words, start, size = [], 0, 0
    for place, character in enumerate(text):
        width = len(character.encode("utf-8", "replace"))
        if size + width > _WORD_BYTES:
            words.append(text[start:place])
            start, size = place, 0
        size += width
    words.append(text[start:])
    return [f"=?utf-8?B?{base64.b64encode(word.encode('utf-8', 'replace')).decode()}?=" for word in words]


def _shown_address(header: str, address: Address) -> str:
    _check_value(header, address.name + address.mailbox)
    shown = address.name.translate(DIRECTION_CONTROLS)  # the mailbox after it is to read as it is
    if not shown:
        return address.mailbox
    if _needs_encoding(shown):
        return "\r\n ".join(_encoded_words(shown)) + f" <{address.mailbox}>"
    if _ATOMS.fullmatch(shown):
        return f"{shown} <{address.mailbox}>"
    escaped = shown.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address.mailbox}>'


def _folded(line: str) -> str:
    """Breaks before spaces. A word that is longer than a line keeps the line long; spaces are kept as they are."""
    if len(line) <= _FOLD:
        return line + "\r\n"
    lines, current = [], ""
    for piece in re.split(r"(?<=[^\s])(?=[ \t])", line):
        if current and len(current) + len(piece) > _FOLD and current.strip() and not current.endswith(":"):
            lines.append(current)
            current = piece
        else:
            current += piece
    return "\r\n".join([*lines, current]) + "\r\n"
