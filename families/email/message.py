"""Builds the bytes of a mail. By hand: the standard library's EmailMessage takes many times as long."""

import binascii
import hashlib
import mimetypes
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from families.email.addresses import Address
from families.email.headers import HeaderError, address_header, check_custom, list_header, parameter, text_header

_MAX_LINE: Final = 998
_BASE64_LINE: Final = 76
_BASE64_FROM: Final = 0.18
"""The share of bytes beyond ASCII from which base64 is shorter than quoted-printable."""
_ASCII: Final = bytes(range(128))
_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+")
_CID: Final = re.compile(r"[A-Za-z0-9._@-]+")
_OCTETS: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail."""

    name: str
    content: bytes = field(repr=False)
    content_type: str = ""
    """Empty guesses it from the name."""
    cid: str = ""
    """The id by which the HTML shows it; empty for one that stands by itself."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """Whom a mail is from and for."""

    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()

    @property
    def recipients(self) -> tuple[str, ...]:
        """The mailboxes that it goes to, each once."""
        return tuple(dict.fromkeys(address.mailbox for address in (*self.to, *self.cc, *self.bcc)))

    def message_id(self, job_id: str, item: str) -> str:
        """The same in every attempt, so that a repeated mail can be told. `item` tells the mails of a batch apart."""
        identity = "\0".join((job_id, item, *self.recipients))
        digest = hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()
        return f"<{digest[:32]}@{self.sender.domain}>"


@dataclass(frozen=True, slots=True)
class Mail:
    """All that a mail is made of. One of `text` and `html` may be empty."""

    message_id: str
    envelope: Envelope
    subject: str
    text: str = ""
    html: str = ""
    reply_to: Address | None = None
    attachments: tuple[Attachment, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    list_unsubscribe: tuple[str, ...] = ()


def compose(mail: Mail) -> bytes:
    """The mail as it goes over the wire, short of dot-stuffing. All but a mailbox beyond ASCII is ASCII.

    Raises:
      HeaderError: something that would stand in a header may not.
    """
    boundary = f"=_{secrets.token_hex(12)}"
    return b"".join((_header(mail).encode("utf-8", "replace"), *_body(mail, boundary)))


def _header(mail: Mail) -> str:
    envelope = mail.envelope
    lines = [
        address_header("From", (envelope.sender,)),
        address_header("To", envelope.to) if envelope.to else "",
        address_header("Cc", envelope.cc) if envelope.cc else "",
        address_header("Reply-To", (mail.reply_to,)) if mail.reply_to is not None else "",
        text_header("Subject", mail.subject),
        f"Date: {format_datetime(datetime.now(UTC))}\r\n",
        f"Message-ID: {mail.message_id}\r\n",
        "MIME-Version: 1.0\r\n",
    ]
    if mail.list_unsubscribe:
        lines.append(list_header("List-Unsubscribe", mail.list_unsubscribe))
        if any(link.startswith("https:") for link in mail.list_unsubscribe):
            lines.append("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")
    for name, value in mail.headers.items():
        check_custom(name, value)
        lines.append(text_header(name, value))
    if not any(name.lower() == "auto-submitted" for name in mail.headers):
        lines.append("Auto-Submitted: auto-generated\r\n")
    return "".join(lines)


def _body(mail: Mail, boundary: str) -> list[bytes]:
    """The part that holds all: text and HTML; what the HTML shows stands beside it, other files beside both."""
    inline = [file for file in mail.attachments if file.cid and mail.html]
    others = [file for file in mail.attachments if not (file.cid and mail.html)]
    body = _text("plain", mail.text) if mail.text or not mail.html else []
    if mail.html:
        html = _text("html", mail.html)
        if inline:
            html = _multipart('related; type="text/html"', f"{boundary}r", [html, *map(_file, inline)])
        body = _multipart("alternative", f"{boundary}a", [body, html]) if body else html
    if others:
        body = _multipart("mixed", f"{boundary}m", [body, *map(_file, others)])
    return body


def _multipart(kind: str, boundary: str, parts: list[list[bytes]]) -> list[bytes]:
    delimiter = f"\r\n--{boundary}\r\n".encode()
    pieces = [f'Content-Type: multipart/{kind};\r\n boundary="{boundary}"\r\n\r\n'.encode(), delimiter[2:]]
    for place, part in enumerate(parts):
        if place:
            pieces.append(delimiter)
        pieces.extend(part)
    pieces.append(f"\r\n--{boundary}--\r\n".encode())
    return pieces


def _text(subtype: str, text: str) -> list[bytes]:
    data = text.encode("utf-8", "replace").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not data.endswith(b"\n"):
        data += b"\n"
    data = data.replace(b"\n", b"\r\n")
    encoding, data = _encoded(data)
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return [head.encode(), data]


def _encoded(data: bytes) -> tuple[str, bytes]:
    """As it is where every mail server takes that, else the shorter of the two encodings."""
    if data.isascii():
        if b"\0" not in data and max(map(len, data.split(b"\n"))) <= _MAX_LINE:
            return "7bit", data
    elif len(data.translate(None, _ASCII)) > _BASE64_FROM * len(data):
        return "base64", _base64(data)
    return "quoted-printable", binascii.b2a_qp(data, istext=True)


def _base64(data: bytes) -> bytes:
    encoded = binascii.b2a_base64(data, newline=False)
    return b"\r\n".join([encoded[at : at + _BASE64_LINE] for at in range(0, len(encoded), _BASE64_LINE)])


def _file(file: Attachment) -> list[bytes]:
    kind = file.content_type or mimetypes.guess_type(file.name)[0] or _OCTETS
    if not _TYPE.fullmatch(kind):
        raise HeaderError(f"{kind[:80]!r} is not a MIME type; write it as type/subtype")
    if kind.lower().startswith(("message/", "multipart/")):
        kind = _OCTETS  # Those two may not be encoded, and a file has to be.
    if file.cid and not _CID.fullmatch(file.cid):
        raise HeaderError(f"the cid {file.cid[:80]!r} holds characters other than letters, digits, and . _ @ -")
    head = (
        f"Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n"
        f"Content-Disposition: {'inline' if file.cid else 'attachment'}{parameter('filename', file.name)}\r\n"
        + (f"Content-ID: <{file.cid}>\r\n" if file.cid else "")
        + "\r\n"
    )
    return [head.encode(), _base64(file.content)]
