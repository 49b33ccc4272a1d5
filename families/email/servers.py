"""The mail server that a stack brings along: it delivers nothing."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from base.settings import Settings
from stack.embedded import Embedded, ServerPart
from stack.folder import DataFolder
from stack.part import Command, Stage, ask, module
from stack.ports import LOOPBACK


class MailSink(ServerPart):
    """The embedded mail server (families/email/mailsink.py)."""

    name = "mail"
    stage: ClassVar[Stage] = Stage.FRONT

    def __init__(self, folder: DataFolder, log: Path) -> None:
        self._folder = folder
        self._log = log
        self.port = folder.port(self.name)

    @property
    def environment(self) -> dict[str, str]:
        """Where the workers find it."""
        return {"SMTP_HOST": LOOPBACK, "SMTP_PORT": str(self.port)}

    async def prepare(self) -> Command:
        return Command(
            (*module("families.email.mailsink"), self._folder.outbox, str(self.port)), self._log, environment=os.environ
        )

    async def check(self, process: asyncio.subprocess.Process) -> None:  # noqa: ARG002  (it has a port to ask)
        await ask(LOOPBACK, self.port, b"QUIT\r\n", b"220 ")


def _welcome(settings: Settings) -> Sequence[tuple[str, str]]:
    return (("Mail", f"is kept in {settings.data_dir}/outbox and goes nowhere else"),)


SERVERS: Final = (
    Embedded(
        name=MailSink.name,
        variable="SMTP_HOST",
        start=MailSink,
        foreign=("SMTP_USER", "SMTP_PASSWORD", "SMTP_SECURE", "SMTP_STARTTLS", "SMTP_TLS_CA"),
        before_services=False,
        welcome=_welcome,
    ),
)
