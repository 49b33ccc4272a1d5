"""A real mail server in the test's own event loop, which can be told how to answer."""

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, syntax

from tests.conftest import eventually

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server that says whatever it likes; its port."""
    conversations: set[asyncio.Task[Any]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        try:
            await talk(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in conversations:
            task.cancel()
        await asyncio.gather(*conversations, return_exceptions=True)
        await server.wait_closed()


@dataclass
class Taken:
    """A mail that the server took."""

    connection: int
    sender: str
    recipients: list[str]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    def _body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None, f"no {kind} part"
        return str(part.get_content()).replace("\r\n", "\n")


@dataclass
class MailServer:
    """What it has seen, and what it answers."""

    options: dict[str, Any] = field(default_factory=dict)
    """For aiosmtpd: tls_context, auth_required and so on."""
    tls: ssl.SSLContext | None = None
    """Speaks TLS from the first byte."""
    accounts: dict[str, str] = field(default_factory=dict)
    taken: list[Taken] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    mail_answers: list[str] = field(default_factory=list)
    """For the next MAIL commands, used up one by one."""
    recipient_answers: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By recipient: answers to RCPT, used up one by one; the last one stays if it ends in an ellipsis."""
    data_answers: list[str] = field(default_factory=list)
    drops_at_data: int = 0
    """How many connections to cut in the middle of the next mails."""
    drops_after_data: int = 0
    """How many to cut once the mail is complete, before it is answered."""
    seconds_for_data: float = 0
    port: int = 0
    _server: asyncio.Server | None = None
    _protocols: set["_Conversation"] = field(default_factory=set)

    async def start(self) -> "MailServer":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Conversation(self), "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self.hang_up()
            await self._server.wait_closed()
            await eventually(lambda: not self._protocols, every=0)
            self._server = None

    def hang_up(self) -> None:
        """Cuts every connection."""
        for protocol in list(self._protocols):
            transport = protocol.transport
            if transport is not None:
                cast("asyncio.Transport", transport).abort()

    @property
    def subjects(self) -> list[str]:
        return [str(mail.message["Subject"]) for mail in self.taken]

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        login, password = data.login.decode(), data.password.decode()
        self.logins.append(login)
        good = self.accounts.get(login) == password
        return AuthResult(success=good, handled=good)


class _Conversation(SMTP):
    def __init__(self, plan: MailServer) -> None:
        options: dict[str, Any] = {"hostname": "mail.test", "enable_SMTPUTF8": True, **plan.options}
        if plan.accounts:
            options["authenticator"] = plan.authenticate
        super().__init__(_Handler(plan), loop=asyncio.get_running_loop(), **options)
        self.plan = plan
        self.number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.number == 0:
            self.plan.connections += 1
            self.number = self.plan.connections
            self.plan._protocols.add(self)
            self.plan.open += 1
            self.plan.most_open = max(self.plan.most_open, self.plan.open)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self.plan._protocols:
            self.plan._protocols.discard(self)
            self.plan.open -= 1
        super().connection_lost(error)

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802  (aiosmtpd's name)
        if self.plan.drops_at_data:
            self.plan.drops_at_data -= 1
            await self.push("354 go on")
            cast("asyncio.Transport", self.transport).abort()
            return
        await super().smtp_DATA(arg)


class _Handler:
    def __init__(self, plan: MailServer) -> None:
        self.plan = plan

    async def handle_NOOP(self, _server: SMTP, _session: Session, _envelope: Envelope, _arg: str) -> str:  # noqa: N802
        self.plan.commands.append("NOOP")
        return "250 OK"

    async def handle_QUIT(self, _server: SMTP, _session: Session, _envelope: Envelope) -> str:  # noqa: N802
        self.plan.commands.append("QUIT")
        return "221 Bye"

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.plan.mail_answers:
            answer = self.plan.mail_answers.pop(0)
            if answer.startswith("421"):
                asyncio.get_running_loop().call_soon(cast("asyncio.Transport", server.transport).close)
            return answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answers = self.plan.recipient_answers[address]
        if answers:
            return answers[0].removesuffix("…") if answers[0].endswith("…") else answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.plan.seconds_for_data:
            await asyncio.sleep(self.plan.seconds_for_data)
        if self.plan.data_answers:
            return self.plan.data_answers.pop(0)
        content = cast("bytes", envelope.original_content)
        number = cast("_Conversation", server).number
        self.plan.taken.append(Taken(number, envelope.mail_from or "", list(envelope.rcpt_tos), content))
        if self.plan.drops_after_data:
            self.plan.drops_after_data -= 1
            cast("asyncio.Transport", server.transport).abort()
        return f"250 2.0.0 queued as {len(self.plan.taken)}"
