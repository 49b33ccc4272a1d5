"""The worker's one way to the mail server: pooled, rate-limited over all workers, and clear about what went wrong."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

import aiosmtplib

from base.resources import provides
from base.settings import Settings
from base.telemetry import tracing
from base.telemetry.instruments import Instruments
from base.telemetry.spans import Kind, Span, Value
from contract.errors import RateLimitedError, StoreUnavailableError
from engine.rates import RateLimit
from families.email import transaction
from families.email.connections import Connection, Connections
from families.email.failures import MailDelayedError, MailRefusedError, MailServerAwayError
from families.email.metrics import MailMetrics
from families.email.settings import EmailSettings
from families.email.smtp import answer, explain
from workers.outcomes import Snooze

RATE_PATIENCE: Final = 20.0
"""Seconds that a job waits for its turn under SMTP_RATE_LIMIT while it holds its place in the worker."""

_SLOWEST: Final = 32 * 1024
"""Bytes a second below which handing over a mail counts as stuck."""
_PERMANENT: Final = 500
_BROKEN: Final = frozenset({421, -1})
"""The server is about to hang up, or what it says is no SMTP: nothing more can be done on this connection."""
_LOGIN_CODES: Final = frozenset({530, 534, 535, 538})
"""Refusals that speak of us and not of the mail: login or TLS is needed or was not good enough."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A mail ready to be handed over."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delivery:
    """For whom the server took a mail."""

    response: str
    accepted: tuple[str, ...]
    refused: dict[str, str]
    """Recipients that it will never take, with its answers."""
    deferred: dict[str, str]
    """Recipients that it did not take now."""


class MailSender:
    """Hands mails to the server. One for each worker process."""

    def __init__(self, settings: Settings, limit: RateLimit) -> None:
        self._settings = EmailSettings.of(settings)
        self._limit = limit
        self._metrics = MailMetrics()
        self._connections = Connections(settings, self._metrics.opened)

    async def send(self, mail: Outgoing) -> Delivery:
        """Hands the mail over for all recipients that the server takes, which may be none.

        Raises:
          MailDelayedError: it did not take the mail, and may later; MailServerAwayError where that holds for any mail.
          MailRefusedError: it never will, whoever it is for.
          Snooze: SMTP_RATE_LIMIT is used up for longer than a job should wait.
        """
        with self._metrics.conversation() as conversation, self._span(mail) as span:
            await self._take_turn()
            try:
                async with self._connections.one() as connection:
                    delivery = await self._hand_over(connection, mail)
            except _StaleConnectionError:
                # The server had hung up on a connection that lay idle, or was worn out. Nothing was handed over yet.
                async with self._connections.one(fresh=True) as connection:
                    delivery = await self._hand_over(connection, mail)
            accepted, refused, deferred = len(delivery.accepted), len(delivery.refused), len(delivery.deferred)
            conversation.ended(accepted=accepted, refused=refused, deferred=deferred)
            span.note({"qjobs.mail.accepted": accepted, "qjobs.mail.refused": refused, "qjobs.mail.deferred": deferred})
        return delivery

    def expose(self, instruments: Instruments) -> None:
        self._metrics.expose(instruments)
        instruments.pools.add("smtp", self._connections.pool)

    async def aclose(self) -> None:
        await self._connections.aclose()

    def _span(self, mail: Outgoing) -> Span:
        attributes: dict[str, Value] = {
            "network.protocol.name": "smtp",
            "server.address": self._settings.smtp_host or "",
            "server.port": self._settings.smtp_port,
            "qjobs.mail.recipients": len(mail.recipients),
            "qjobs.mail.bytes": len(mail.content),
        }
        return tracing.begin("smtp send", Kind.CLIENT, attributes)

    async def _take_turn(self) -> None:
        try:
            wait = await self._limit.reserve(RATE_PATIENCE)
        except RateLimitedError as error:
            raise Snooze(error.retry_after or RATE_PATIENCE, "SMTP_RATE_LIMIT is used up") from None
        except StoreUnavailableError as error:
            raise MailServerAwayError(f"SMTP_RATE_LIMIT cannot be asked: {error.message}") from None
        if wait:
            await asyncio.sleep(wait)

    async def _hand_over(self, connection: Connection, mail: Outgoing) -> Delivery:
        client = connection.client
        used_before = connection.sent > 0
        connection.sent += 1
        refused: dict[str, str] = {}
        deferred: dict[str, str] = {}
        try:
            await self._announce(client, mail, refused, deferred)
        except aiosmtplib.SMTPSenderRefused as error:
            await _reset(client)
            raise self._rejection(error, f"the sender {mail.sender}") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            if used_before and isinstance(error, aiosmtplib.SMTPServerDisconnected | _BrokenError):
                raise _StaleConnectionError from error
            raise MailServerAwayError(f"the mail server {explain(error, self._settings)}") from None
        accepted = tuple(mailbox for mailbox in mail.recipients if mailbox not in refused and mailbox not in deferred)
        if not accepted:
            await _reset(client)
            return Delivery("", (), refused, deferred)
        return Delivery(await self._transmit(client, mail), accepted, refused, deferred)

    async def _announce(
        self, client: aiosmtplib.SMTP, mail: Outgoing, refused: dict[str, str], deferred: dict[str, str]
    ) -> None:
        """MAIL and RCPT: whom the mail is from and for. Recipients that are not taken end up in one of the two."""
        options, encoding = self._options(client, mail)
        try:
            await transaction.mail_from(client, mail.sender, options, encoding)
        except aiosmtplib.SMTPSenderRefused as error:
            _stop_if_broken(error)
            raise
        for mailbox in mail.recipients:
            try:
                await transaction.recipient(client, mailbox, encoding)
            except aiosmtplib.SMTPRecipientRefused as error:
                _stop_if_broken(error)
                refusals = refused if _is_permanent(error) else deferred
                refusals[mailbox] = answer(error.code, error.message, self._settings)

    def _options(self, client: aiosmtplib.SMTP, mail: Outgoing) -> tuple[list[str], str]:
        options = [f"SIZE={len(mail.content)}"] if client.supports_extension("size") else []
        if all(mailbox.isascii() for mailbox in (mail.sender, *mail.recipients)):
            return options, "ascii"
        if not client.supports_extension("smtputf8"):
            raise MailRefusedError(
                "an address has letters beyond ASCII before its @, and the mail server takes no such"
            )
        return [*options, "SMTPUTF8"], "utf-8"

    async def _transmit(self, client: aiosmtplib.SMTP, mail: Outgoing) -> str:
        """DATA. If the connection breaks, nobody knows whether it was taken; the Message-ID tells a repetition."""
        timeout = self._settings.smtp_timeout_seconds + len(mail.content) / _SLOWEST
        try:
            response = await transaction.data(client, mail.content, timeout)
        except aiosmtplib.SMTPResponseException as error:
            if error.code in _BROKEN:
                client.close()
            else:
                await _reset(client)
            raise self._rejection(error, "the mail") from None
        except (aiosmtplib.SMTPException, OSError) as error:
            client.close()
            raise MailDelayedError(f"the mail server {explain(error, self._settings)} while it took the mail") from None
        return answer(response.code, response.message, self._settings)

    def _rejection(self, error: aiosmtplib.SMTPResponseException, what: str) -> Exception:
        said = answer(error.code, error.message, self._settings)
        if error.code in _LOGIN_CODES:
            return MailServerAwayError(
                f"the mail server does not let us send: check SMTP_USER and SMTP_PASSWORD (it answered {said})"
            )
        if _is_permanent(error):
            return MailRefusedError(f"the mail server refused {what}: {said}")
        return MailDelayedError(f"the mail server does not take {what} now: {said}")


class _StaleConnectionError(Exception):
    """The connection ended before the mail was begun."""


class _BrokenError(aiosmtplib.SMTPResponseException):
    """The server's answer ends the connection."""


def _stop_if_broken(error: aiosmtplib.SMTPResponseException) -> None:
    if error.code in _BROKEN:
        raise _BrokenError(error.code, error.message) from None


async def _reset(client: aiosmtplib.SMTP) -> None:
    """Makes the connection ready for the next mail; one that cannot be is closed."""
    try:
        await client.rset()
    except (aiosmtplib.SMTPException, OSError):
        client.close()


def _is_permanent(error: aiosmtplib.SMTPResponseException) -> bool:
    return error.code >= _PERMANENT and error.code not in _LOGIN_CODES


@provides(MailSender)
async def mail_sender(settings: Settings, store: Any) -> AsyncIterator[MailSender]:
    """The worker's sender."""
    sender = MailSender(settings, RateLimit(store, "mail", EmailSettings.of(settings).smtp_rate_limit))
    yield sender
    await sender.aclose()
