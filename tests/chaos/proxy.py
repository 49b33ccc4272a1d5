"""A TCP proxy between two processes, which cuts, holds up and swallows what passes."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from stack.ports import LOOPBACK


class Way(StrEnum):
    """What becomes of bytes."""

    OPEN = "open"
    DELAYED = "delayed"
    BLACK_HOLE = "black hole"
    """They are taken and never arrive. New connections are taken, too."""
    REFUSED = "refused"
    """New connections are reset."""


@dataclass(eq=False)
class _Link:
    """One connection through the proxy."""

    caller: asyncio.StreamWriter
    server: asyncio.StreamWriter
    asked: int = 0
    """How often the caller spoke last, without an answer since."""
    deaf: bool = False
    """Half-open: nothing passes any more, and neither side is told."""
    pumps: list[asyncio.Task[None]] = field(default_factory=list)


class Proxy:
    """Passes on what comes to its port to `port` at `host`."""

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self.target = (host, port)
        self.way = Way.OPEN
        self.seconds = 0.0
        """By which bytes are delayed, in each direction."""
        self.port = 0
        self._links: set[_Link] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def open(self, host: str = LOOPBACK) -> Self:
        self._server = await asyncio.start_server(self._serve, host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        pumps = list(self._pumps)
        self.cut()
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    @property
    def calls(self) -> int:
        """Connections on which somebody waits for an answer."""
        return sum(1 for link in self._links if link.asked and not link.deaf)

    def cut(self) -> int:
        """Resets all connections; how many."""
        links = list(self._links)
        for link in links:
            self._reset(link)
        return len(links)

    def halve(self) -> int:
        """Makes all connections half-open: both sides keep them, and nothing passes; how many."""
        for link in self._links:
            link.deaf = True
        return len(self._links)

    def _reset(self, link: _Link) -> None:
        """Ends it as a host does that knows nothing of the connection."""
        self._links.discard(link)
        for writer in (link.caller, link.server):
            if not writer.transport.is_closing():
                with contextlib.suppress(OSError, ValueError):  # closed by the other side meanwhile
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
        for pump in link.pumps:
            pump.cancel()

    def _end(self, link: _Link) -> None:
        """Ends it as one side has."""
        self._links.discard(link)
        link.caller.close()
        link.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.way is Way.REFUSED:
            writer.transport.abort()
            return
        try:
            ahead_reader, ahead = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(writer, ahead)
        self._links.add(link)
        link.pumps = [
            asyncio.create_task(self._pump(link, reader, ahead, asks=True)),
            asyncio.create_task(self._pump(link, ahead_reader, writer, asks=False)),
        ]
        for pump in link.pumps:
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(
        self, link: _Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, asks: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                link.asked = link.asked + 1 if asks else 0
                if self.way is Way.DELAYED:
                    await asyncio.sleep(self.seconds)
                if link.deaf or self.way is Way.BLACK_HOLE:
                    link.deaf = True  # bytes are missing: it is of no use any more
                    continue
                writer.write(data)
                await writer.drain()
        except (OSError, RuntimeError, asyncio.CancelledError):  # uvloop's transports raise the second
            pass
        finally:
            # A half-open connection stays as it is also when one side goes.
            if not link.deaf:
                self._end(link)
