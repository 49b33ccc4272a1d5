"""The malware scanner: a client of clamd's INSTREAM command. What is not said to be clean is not taken for clean."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

import anyio

from workers.outcomes import FailForGood

_CHUNK: Final = 256 * 1024
_CONNECT_SECONDS: Final = 10.0
_ANSWER_SECONDS: Final = 300.0
"""How long clamd may take over a file once it has it whole."""
_MAX_ANSWER: Final = 64 * 1024


class ScannerAwayError(Exception):
    """clamd cannot be reached, or broke off: the job tries again."""


class NotScannedError(FailForGood):
    """The file was not, and will not be, scanned whole."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What clamd says of a file that it scanned whole."""

    threats: tuple[str, ...]
    """Empty if it found none."""
    version: str
    """Its own and its signatures', such as "ClamAV 1.4.6/27800/…"."""


class Clamd:
    """A clamd at one address. Each file has a connection of its own."""

    def __init__(self, host: str, port: int, max_bytes: int) -> None:
        self._host = host
        self._port = port
        self._max_bytes = max_bytes

    async def scan(self, file: BinaryIO, size: int) -> Verdict:
        """Has clamd scan a file of `size` bytes.

        Raises:
          ScannerAwayError: clamd cannot be reached, or broke off.
          NotScannedError: the file is larger than clamd takes, or clamd could not scan it.
        """
        if size > self._max_bytes:
            raise NotScannedError(
                f"not scanned: the file has {size:,} bytes, CLAMAV_MAX_BYTES is {self._max_bytes:,}; to scan larger ones, "
                "raise it together with clamd's StreamMaxLength, MaxFileSize and MaxScanSize, as clamd passes over "
                "what is larger than these without a word"
            )
        version = await self._version()
        async with self._connected() as (reader, writer):
            # The answer is awaited from the start: clamd gives it before it cuts off a stream that is too long.
            answer = asyncio.create_task(_answer(reader))
            try:
                broken = await _stream(file, writer)
                said = await _said(answer, broken)
            finally:
                answer.cancel()
                with suppress(asyncio.CancelledError, ScannerAwayError):
                    await answer
        return Verdict(_threats(said), version)

    async def _version(self) -> str:
        async with self._connected() as (reader, writer):
            writer.write(b"zVERSION\0")
            return await _answer(reader)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(self._host, self._port, limit=_MAX_ANSWER)
        except (OSError, TimeoutError) as error:
            raise ScannerAwayError(
                f"not scanned: no clamd at CLAMAV_HOST {self._host}:{self._port} ({str(error) or 'no answer'})"
            ) from None
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _stream(file: BinaryIO, writer: asyncio.StreamWriter) -> bool:
    """Sends the file in pieces. Answers whether clamd cut the connection meanwhile."""
    try:
        writer.write(b"zINSTREAM\0")
        while chunk := await anyio.to_thread.run_sync(file.read, _CHUNK):
            writer.write(struct.pack("!L", len(chunk)) + chunk)
            await writer.drain()
        writer.write(struct.pack("!L", 0))
        await writer.drain()
    except OSError:
        return True
    return False


async def _said(answer: asyncio.Task[str], broken: bool) -> str:
    try:
        async with asyncio.timeout(_CONNECT_SECONDS if broken else _ANSWER_SECONDS):
            return await answer
    except TimeoutError:
        raise ScannerAwayError("not scanned: clamd gave no answer in time") from None


async def _answer(reader: asyncio.StreamReader) -> str:
    try:
        return (await reader.readuntil(b"\0"))[:-1].decode("utf-8", "replace").strip()
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise ScannerAwayError(
            "not scanned: clamd broke off without an answer; if it does so again, the file may be larger than its "
            "StreamMaxLength"
        ) from None


def _threats(said: str) -> tuple[str, ...]:
    """Of an answer such as "stream: OK" or "stream: Eicar-Signature FOUND"."""
    text = said.removeprefix("stream: ")
    if text == "OK":
        return ()
    if text.endswith(" FOUND"):
        threat = text.removesuffix(" FOUND")
        if threat.startswith("Heuristics.Limits.Exceeded"):
            raise NotScannedError(f"not scanned whole: the file goes beyond clamd's limits ({threat})")
        return (threat,)
    if "size limit exceeded" in text:
        raise NotScannedError(
            "not scanned: the file is larger than clamd's StreamMaxLength; raise it there, or lower CLAMAV_MAX_BYTES"
        )
    raise NotScannedError(f"not scanned: clamd says {text[:200]!r}")
