"""The data folder of a stack (DATA_DIR): who holds it, and what is remembered there from one start to the next."""

import contextlib
import fcntl
import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from stack.errors import StackError
from stack.ports import LOOPBACK, free_port, is_free

ORPHANS_SECONDS: Final = 20.0
"""How long the processes of an earlier stack may take to end before they are killed."""
LOOK_SECONDS: Final = 0.05
"""Between two looks at a lock: the system has no wait for one that ends by itself."""


class DataFolder:
    """One stack at a time holds it. What is secret lies under `run`, which its owner alone may enter."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.run = self.root / "run"
        self.outbox = self.root / "outbox"
        self._members = -1
        self._spoken_for: frozenset[int] = frozenset()

    @contextlib.contextmanager
    def held(self, say: Callable[[str], None]) -> Iterator[None]:
        """Holds the folder, once no process of an earlier stack is left in it.

        Two locks: `supervisor.lock` is this process's alone, `members.lock` is handed on to every process of the stack,
        so that the kernel keeps it until the last of them is gone.

        Raises:
          StackError: another stack holds it, or it cannot be written to.
        """
        with contextlib.ExitStack() as stack:
            try:
                self._prepare()
                own = stack.enter_context((self.run / "supervisor.lock").open("a+"))
                members = stack.enter_context((self.run / "members.lock").open("a"))
            except OSError as error:
                raise StackError(f"DATA_DIR: {error}. Set DATA_DIR to a folder that can be written to.") from None
            self._take_own(own.fileno(), (self.run / "supervisor.lock"))
            self._wait_for_orphans(members.fileno(), say)
            self._members = members.fileno()
            yield

    @property
    def members_lock(self) -> int:
        """The file descriptor that every process of the stack keeps open."""
        return self._members

    def _prepare(self) -> None:
        # Others may pass through, as PostgreSQL under its own user must, and look into what is theirs alone.
        if not self.root.exists():
            self.root.mkdir(mode=0o711, parents=True)
        for folder in (self.run, self.outbox):
            folder.mkdir(mode=0o700, exist_ok=True)

    def _take_own(self, descriptor: int, path: Path) -> None:
        if not _locked(descriptor):
            raise StackError(
                f"A stack runs on {self.root} already (process {path.read_text().strip() or 'unknown'}). Stop it, or "
                "set DATA_DIR, REST_PORT, GRPC_PORT and ENVOY_ADMIN_PORT to run a second one beside it."
            )
        os.ftruncate(descriptor, 0)
        os.write(descriptor, str(os.getpid()).encode())

    def _wait_for_orphans(self, descriptor: int, say: Callable[[str], None]) -> None:
        deadline = time.monotonic() + ORPHANS_SECONDS
        told = killed = False
        while not _locked(descriptor):
            left = _holders(self.run / "members.lock")
            if not told:
                say(f"waiting for an earlier stack to end (processes {', '.join(map(str, left)) or 'unknown'})")
                told = True
            if time.monotonic() > deadline:
                if killed or not left:
                    raise StackError(f"Processes of an earlier stack still use {self.root}: end them first ({left}).")
                for process in left:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(process, signal.SIGKILL)
                killed, deadline = True, time.monotonic() + 5
            time.sleep(LOOK_SECONDS)

    def secret(self, name: str, *, size: int = 32) -> str:
        """A random word of `size` random bytes, made at the first call and kept."""
        kept = self.kept_secret(name)
        if kept is None:
            kept = secrets.token_urlsafe(size)
            self.write_private(self._secret_path(name), kept)
        return kept

    def kept_secret(self, name: str) -> str | None:
        """The same, where it was made before."""
        path = self._secret_path(name)
        return path.read_text("utf-8") if path.exists() else None

    def _secret_path(self, name: str) -> Path:
        return self.run / f"{name}.secret"

    def write_private(self, path: Path, text: str) -> None:
        """Writes a file that its owner alone may read, whole or not at all."""
        new = path.with_name(f"{path.name}.new")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
        new.replace(path)

    def keep_off(self, ports: Iterable[int]) -> None:
        """Gives none of these to an embedded server: others of the stack are about to listen there."""
        self._spoken_for = frozenset(ports)

    def port(self, name: str) -> int:
        """The port of one of the embedded servers: the one it had before where that is free, else a new one."""
        path = self.run / "ports.json"
        known: dict[str, int] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        if name not in known or known[name] in self._spoken_for or not is_free(LOOPBACK, known[name]):
            known[name] = free_port(avoid={*known.values(), *self._spoken_for})
            self.write_private(path, json.dumps(known))
        return known[name]


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holders(path: Path) -> list[int]:
    """The other processes that have the file open, as far as this system tells."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        if int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            if any(Path(link).resolve() == path for link in (entry / "fd").iterdir()):
                found.append(int(entry.name))
    return found
