"""A mail server that takes everything and keeps nothing, quick enough not to be what is measured: `SINK_PORT`."""

import asyncio
import os
from typing import Final, cast

from stack.ports import LOOPBACK

_ANSWERS: Final = {
    b"EHLO": b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 50000000\r\n",
    b"HELO": b"250 sink\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
_END: Final = b"\r\n.\r\n"


class Sink(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._in_mail = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 sink ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        answers = []
        while True:
            part, end, rest = self._buffer.partition(_END if self._in_mail else b"\r\n")
            if not end:
                break
            self._buffer = rest
            if self._in_mail:
                self._in_mail = False
                answers.append(b"250 taken\r\n")
                continue
            command = part[:4].upper()
            self._in_mail = command == b"DATA"
            answers.append(_ANSWERS.get(command, b"250 ok\r\n"))
        if answers:
            self._transport.write(b"".join(answers))


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, LOOPBACK, port)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(os.environ["SINK_PORT"])))
