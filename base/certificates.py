"""Why a server's certificate was refused, and what to do about it."""

import ssl
from collections.abc import Iterator
from typing import Final

_STRICT_RULES: Final = range(80, 95)
"""OpenSSL's codes for certificates that break RFC 5280. Python 3.13 and newer check those rules, older ones do not."""


def certificate_refusal(error: BaseException, settings: str) -> str | None:
    """Why the certificate behind an error was refused, with the remedy; None when the error has another cause.

    The text ends a sentence such as "the server has …". `settings` names the variables to check.
    """
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            remedy = f"check {settings}"
            if cause.verify_code in _STRICT_RULES:
                remedy = (
                    "it breaks RFC 5280, whose rules Python 3.13 and newer enforce: have it issued anew with the extensions "
                    "that authorities add today (openssl req -addext authorityKeyIdentifier=keyid)"
                )
            return f"a certificate that does not verify ({cause.verify_message}): {remedy}"
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it. urllib keeps its cause as `reason`."""
    seen: set[int] = set()
    current: object = error
    while isinstance(current, BaseException) and id(current) not in seen:
        seen.add(id(current))
        yield current
        reason = getattr(current, "reason", None)
        current = reason if isinstance(reason, BaseException) else current.__cause__ or current.__context__
