"""A server that a stack brings along for greetings."""

import asyncio
import os
import sys
from pathlib import Path
from typing import ClassVar, Final

from stack.embedded import Embedded, ServerPart
from stack.folder import DataFolder
from stack.part import Command, Stage, ask
from stack.ports import LOOPBACK

PROGRAM: Final = """
import socketserver, sys
class Greeter(socketserver.StreamRequestHandler):
    def handle(self): self.wfile.write(b"Hello")
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("127.0.0.1", int(sys.argv[1])), Greeter).serve_forever()
"""


class GreetingServer(ServerPart):
    """Says Hello to whoever connects."""

    name = "greeter"
    stage: ClassVar[Stage] = Stage.STORE

    def __init__(self, folder: DataFolder, log: Path) -> None:
        self._log = log
        self.port = folder.port(self.name)

    @property
    def environment(self) -> dict[str, str]:
        return {"GREETING_SERVER": f"{LOOPBACK}:{self.port}"}

    async def prepare(self) -> Command:
        return Command((sys.executable, "-c", PROGRAM, str(self.port)), self._log, environment=os.environ)

    async def check(self, process: asyncio.subprocess.Process) -> None:
        await ask(LOOPBACK, self.port, b"\n", b"Hello")


SERVERS: Final = (
    Embedded(
        name=GreetingServer.name,
        variable="GREETING_SERVER",
        start=GreetingServer,
        welcome=lambda _settings: (("Greeter", "says Hello"),),
    ),
)
