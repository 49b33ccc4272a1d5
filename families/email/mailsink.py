"""A mail server that delivers nothing and keeps every message as a file, so that a stack sends no mail by accident.

Run as `python -m families.email.mailsink FOLDER PORT`.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from stack.ports import LOOPBACK

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024


class Outbox:
    """Numbered files `<n>.eml`, each there as a whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._last = max((int(path.stem) for path in folder.glob("*.eml") if path.stem.isdigit()), default=0)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  (its name)
        """Keeps one message, below the lines that say whom the conversation named, as Bcc is in no header."""
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        header = f"X-Envelope-From: {envelope.mail_from}\r\nX-Envelope-To: {', '.join(envelope.rcpt_tos)}\r\n"
        self._last += 1
        new = self._folder / f"{self._last}.new"
        new.write_bytes(header.encode("utf-8", "surrogateescape") + content)
        new.rename(new.with_suffix(".eml"))
        return f"250 Kept as {self._last}.eml"


async def serve(folder: Path, port: int) -> None:
    """Takes mails until SIGTERM."""
    loop = asyncio.get_running_loop()
    outbox = Outbox(folder)
    server = await loop.create_server(
        lambda: SMTP(outbox, hostname="localhost", data_size_limit=MAX_MESSAGE_BYTES, enable_SMTPUTF8=True, loop=loop),
        LOOPBACK,
        port,
    )
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    server.close()  # open conversations are cut: whatever was answered with 250 is kept


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
