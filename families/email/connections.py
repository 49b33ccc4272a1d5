"""The worker's connections to the mail server: a few, reused, and renewed before they wear out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

import aiosmtplib

from base.settings import Settings
from base.telemetry import tracing
from base.telemetry.pools import PoolState
from base.telemetry.spans import Kind
from base.telemetry.tallies import Counts
from families.email.failures import MailDelayedError, MailRefusedError, MailServerAwayError
from families.email.settings import EmailSettings
from families.email.smtp import SmtpError, open_connection

IDLE_SECONDS: Final = 30.0
"""How long a connection waits for its next mail before it is closed."""
_QUIT_SECONDS: Final = 2.0


@dataclass(eq=False, slots=True)
class Connection:
    """One conversation with the server."""

    client: aiosmtplib.SMTP
    sent: int = 0
    """Mails that it has carried, or tried to."""
    expiry: asyncio.TimerHandle | None = None


class Connections:
    """At most SMTP_MAX_CONNECTIONS of them."""

    def __init__(self, settings: Settings, opened: Counts) -> None:
        self._settings = EmailSettings.of(settings)
        self._opened = opened
        self._slots = asyncio.Semaphore(self._settings.smtp_max_connections)
        self._busy = 0
        self._idle: list[Connection] = []
        self._farewells: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def one(self, *, fresh: bool = False) -> AsyncIterator[Connection]:
        """Lends a connection, a new one if it must be `fresh`. It is used again unless it broke.

        Raises:
          MailServerAwayError: there is none to be had.
        """
        async with self._slots:
            connection = None if fresh else self._take_idle()
            if connection is None:
                connection = await self._open()
            self._busy += 1
            try:
                yield connection
            except (MailDelayedError, MailRefusedError):
                self._put_back(connection)
                raise
            except BaseException:
                connection.client.close()
                raise
            finally:
                self._busy -= 1
            self._put_back(connection)

    def pool(self) -> PoolState:
        return PoolState(self._busy, len(self._idle), self._settings.smtp_max_connections)

    async def aclose(self) -> None:
        """Takes leave of the server on every idle connection."""
        while self._idle:
            self._retire(self._idle[-1])
        if self._farewells:
            await asyncio.wait(self._farewells)

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.expiry is not None:
                connection.expiry.cancel()
            if connection.client.is_connected:
                return connection
        return None

    async def _open(self) -> Connection:
        try:
            with tracing.begin("smtp connect", Kind.CLIENT, {"network.protocol.name": "smtp"}):
                client = await open_connection(self._settings)
        except SmtpError as error:
            self._opened.add(("failed",))
            raise MailServerAwayError(str(error)) from None
        self._opened.add(("opened",))
        return Connection(client)

    def _put_back(self, connection: Connection) -> None:
        if not connection.client.is_connected:
            return
        self._idle.append(connection)
        if connection.sent >= self._settings.smtp_max_messages:
            self._retire(connection)
        else:
            connection.expiry = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._retire, connection)

    def _retire(self, connection: Connection) -> None:
        self._idle.remove(connection)
        if connection.expiry is not None:
            connection.expiry.cancel()
        farewell = asyncio.create_task(_quit(connection.client))
        self._farewells.add(farewell)
        farewell.add_done_callback(self._farewells.discard)


async def _quit(client: aiosmtplib.SMTP) -> None:
    with suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=_QUIT_SECONDS)
    client.close()
