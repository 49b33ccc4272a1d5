"""A stand-in for clamd that speaks its protocol: it finds one word in what it is sent. `make test-system` has the real one."""

import asyncio
import contextlib
import struct
from dataclasses import dataclass, field
from typing import Any

MALWARE = (
    b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTI" + b"VIRUS-TEST-FILE!$H+H*"
)  # in parts, as scanners read too
VERSION = "ClamAV 1.4.6/27000/Mon Nov 24 07:00:00 2025"


@dataclass
class ClamdStandIn:
    """Takes VERSION and INSTREAM on a loopback port."""

    stream_max_length: int = 10_000_000
    answer: str | None = None
    """What it says of every stream, in place of having looked."""
    break_off: bool = False
    """Cuts the connection where it would answer."""
    streams: list[bytes] = field(default_factory=list)
    port: int = 0
    _server: Any = None

    async def start(self) -> "ClamdStandIn":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                command = await reader.readuntil(b"\0")
                if command == b"zVERSION\0":
                    writer.write(VERSION.encode() + b"\0")
                elif not self.break_off:
                    writer.write(await self._take(reader) + b"\0")
                await writer.drain()
        finally:
            writer.close()

    async def _take(self, reader: asyncio.StreamReader) -> bytes:
        content = b""
        while size := struct.unpack("!L", await reader.readexactly(4))[0]:
            if len(content) + size > self.stream_max_length:
                return b"INSTREAM size limit exceeded. ERROR"  # and the rest is not read, as clamd does
            content += await reader.readexactly(size)
        self.streams.append(content)
        if self.answer is not None:
            return self.answer.encode()
        return b"stream: Eicar-Signature FOUND" if MALWARE in content else b"stream: OK"
