"""The conversation with the mail server up to the point where a mail can be handed over, and its check."""

import asyncio
import base64
import re
import socket
import ssl
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import aiosmtplib

from base.certificates import certificate_refusal
from families.email.settings import EmailSettings

CHECK_SECONDS: Final = 10.0
"""The longest that a check of the mail server takes."""

_MAX_ANSWER: Final = 300
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")

_CAUSES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (ssl.SSLError, "failed the TLS handshake ({cause.reason}): check SMTP_PORT and SMTP_SECURE"),
    (TimeoutError, "did not answer in time"),
    (socket.gaierror, "cannot be found: its name does not resolve, check SMTP_HOST"),
    (ConnectionRefusedError, "refused the connection: check SMTP_HOST and SMTP_PORT"),
    (ConnectionError, "closed the connection"),
)
"""What errors mean, the most particular first."""


class SmtpError(Exception):
    """The mail server cannot be used now. The message says why and what to look at, without any secret."""


@dataclass(frozen=True, slots=True)
class Check:
    """What came of a conversation with the mail server."""

    ok: bool
    reason: str
    """Why it failed. Empty if it did not."""
    latency_ms: float


async def open_connection(settings: EmailSettings) -> aiosmtplib.SMTP:
    """Connects, with TLS and login as the settings say; the connection is ready for a mail.

    Raises:
      SmtpError: it could not be had.
    """
    if not settings.smtp_host:
        raise SmtpError("no mail server is configured: set SMTP_HOST")
    client = aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        use_tls=settings.smtp_secure,
        start_tls=False,
        tls_context=_tls_context(settings.smtp_tls_ca),
        local_hostname=_own_name(),
        timeout=settings.smtp_timeout_seconds,
    )
    try:
        async with asyncio.timeout(settings.smtp_timeout_seconds):
            await client.connect()
            await client.ehlo()
            if not settings.smtp_secure:
                await _start_tls(client, settings)
            if settings.smtp_user is not None:
                await _log_in(client, settings)
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        client.close()
        raise SmtpError(f"the mail server at {_place(settings)} {explain(error, settings)}") from None
    except BaseException:
        client.close()
        raise
    return client


async def check(settings: EmailSettings) -> Check:
    """Speaks with the mail server as a sender would, short of sending: connects, EHLO, TLS, login, NOOP, QUIT."""
    began = time.perf_counter()
    reason = ""
    client = None
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            client = await open_connection(settings)
            await client.noop()
            await client.quit()
    except SmtpError as error:
        reason = str(error)
    except TimeoutError:
        reason = f"the mail server at {_place(settings)} did not answer within {CHECK_SECONDS:g} s"
    except (aiosmtplib.SMTPException, OSError) as error:
        reason = f"the mail server at {_place(settings)} {explain(error, settings)}"
    finally:
        if client is not None:
            client.close()
    return Check(not reason, reason, (time.perf_counter() - began) * 1000)


def explain(error: Exception, settings: EmailSettings) -> str:
    """What went wrong, as the end of a sentence that begins with "the mail server"."""
    if isinstance(error, _Refusal):
        return str(error)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"answered {answer(error.code, error.message, settings)}"
    cause = error.__cause__ if isinstance(error, aiosmtplib.SMTPConnectError) and error.__cause__ else error
    if refused := certificate_refusal(cause, "SMTP_HOST and SMTP_TLS_CA"):
        return f"has {refused}"
    for kind, words in _CAUSES:
        if isinstance(cause, kind):
            return words.format(cause=cause)
    return f"cannot be used: {_clean(str(cause), settings)}"


def answer(code: int, text: str, settings: EmailSettings) -> str:
    """A server's answer in one line, short, and without the credentials even if the server repeats them."""
    return f"{code} {_clean(text, settings)}".strip()


class _Refusal(aiosmtplib.SMTPException):
    """Our own reason for not going on."""


async def _start_tls(client: aiosmtplib.SMTP, settings: EmailSettings) -> None:
    if settings.smtp_starttls == "never":
        return
    if client.supports_extension("starttls"):
        await client.starttls()
        await client.ehlo()
    elif settings.smtp_starttls == "required" or settings.smtp_user is not None:
        why = "SMTP_STARTTLS=required" if settings.smtp_starttls == "required" else "SMTP_USER is set"
        raise _Refusal(
            f"offers no STARTTLS, and nothing is sent in the clear because {why}: check SMTP_PORT, or set "
            "SMTP_SECURE=true for a server that speaks TLS from the first byte"
        )


async def _log_in(client: aiosmtplib.SMTP, settings: EmailSettings) -> None:
    password = settings.smtp_password.get_secret_value() if settings.smtp_password is not None else ""
    if not client.supports_extension("auth"):
        raise _Refusal("offers no login, but SMTP_USER is set: unset it, or check SMTP_HOST and SMTP_PORT")
    try:
        await client.login(settings.smtp_user or "", password)
    except aiosmtplib.SMTPAuthenticationError as error:
        said = answer(error.code, error.message, settings)
        raise _Refusal(f"refused the login: check SMTP_USER and SMTP_PASSWORD (it answered {said})") from None


@cache
def _tls_context(ca: Path | None) -> ssl.SSLContext:
    """Made once: reading the authorities takes tens of milliseconds. `ca` is trusted besides the system's."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca is not None:
        try:
            context.load_verify_locations(cafile=ca)
        except OSError as error:
            raise SmtpError(f"SMTP_TLS_CA={ca} cannot be used: {error.strerror or error}") from None
    return context


@cache
def _own_name() -> str:
    """What EHLO says: the host's name if it is a full one, else the form that stands for none. Never asks the DNS."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9.-]+", name) and "." in name else "[127.0.0.1]"


def _place(settings: EmailSettings) -> str:
    return f"{settings.smtp_host}:{settings.smtp_port}"


def _clean(text: str, settings: EmailSettings) -> str:
    line = _UNPRINTABLE.sub(" ", text)
    for secret in _secrets(settings.smtp_user, settings.smtp_password and settings.smtp_password.get_secret_value()):
        line = line.replace(secret, "•••")
    line = " ".join(line.split())
    return line if len(line) <= _MAX_ANSWER else line[: _MAX_ANSWER - 1] + "…"


@cache
def _secrets(user: str | None, password: str | None) -> tuple[str, ...]:
    """The password, and the forms in which a login sends it."""
    if not password:
        return ()
    login = user or ""
    forms = (password, f"\0{login}\0{password}", f"{login}\0{login}\0{password}")
    return (password, *(base64.b64encode(form.encode()).decode() for form in forms))
