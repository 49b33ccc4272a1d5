"""Mail addresses: read strictly, since they end up in headers and in the commands to the mail server."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import idna

_MAX_LOCAL: Final = 64
_MAX_MAILBOX: Final = 254
_MAX_NAME: Final = 255
_LOCAL: Final = re.compile(r"[^\x00-\x20\x7f-\xa0\"(),:;<>@\[\\\]\u2028\u2029\ud800-\udfff]+")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*")
_LITERAL: Final = re.compile(r"\[\d{1,3}(?:\.\d{1,3}){3}\]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class AddressError(ValueError):
    """Not an address that a mail can go to; the message says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox, and the name to show for it."""

    name: str
    mailbox: str
    """`local@domain`, the domain in ASCII."""

    @property
    def domain(self) -> str:
        return self.mailbox.rpartition("@")[2]


def parse_address(text: str) -> Address:
    """Reads `local@domain` or `Name <local@domain>`.

    Raises:
      AddressError: it is neither, or holds characters that could end a header or a command.
    """
    if len(text) > _MAX_NAME + _MAX_MAILBOX:
        raise AddressError(f"{_shown(text)} is longer than an address can be")
    if _CONTROL.search(text):
        raise AddressError(f"{_shown(text)} holds control characters")
    name, bracket, rest = text.strip().rpartition("<")
    if bracket:
        mailbox, closing, after = rest.partition(">")
        if not closing or after.strip() or "<" in name or ">" in name:
            raise AddressError(f"{_shown(text)} is neither local@domain nor Name <local@domain>")
    else:
        name, mailbox = "", rest
    return Address(_unquoted(name.strip()), _mailbox(mailbox.strip()))


def parse_addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    """All of them, each mailbox once.

    Raises:
      AddressError: at the first that is no address.
    """
    found: dict[str, Address] = {}
    for text in texts:
        address = parse_address(text)
        found.setdefault(address.mailbox, address)
    return tuple(found.values())


def _mailbox(text: str) -> str:
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or local.startswith(".") or local.endswith(".") or ".." in local:
        raise AddressError(f"{_shown(text)} is not an address of the form local@domain")
    domain = _ascii_domain(domain, text)
    mailbox = f"{local}@{domain}"
    if len(local.encode()) > _MAX_LOCAL or len(mailbox.encode()) > _MAX_MAILBOX:
        raise AddressError(
            f"{_shown(text)} is longer than mail allows: {_MAX_LOCAL} bytes before the @, {_MAX_MAILBOX} in all"
        )
    return mailbox


def _ascii_domain(domain: str, text: str) -> str:
    if not domain.isascii():
        try:
            domain = idna.encode(domain, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise AddressError(f"the domain of {_shown(text)} is not one") from None
    if not _DOMAIN.fullmatch(domain) and not _LITERAL.fullmatch(domain):
        raise AddressError(f"the domain of {_shown(text)} is not one")
    return domain


def _unquoted(name: str) -> str:
    if len(name) > 1 and name[0] == name[-1] == '"':
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name


def _shown(text: str) -> str:
    """The text in an error message: short, and on one line."""
    clean = _CONTROL.sub("?", text[:100])
    return repr(clean if len(clean) <= 80 else clean[:79] + "…")  # noqa: PLR2004  (a line's worth)
