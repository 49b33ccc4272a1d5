"""Where log lines go: a thread writes them to a file descriptor and a rotated file, away from the event loop."""

import atexit
import contextlib
import fcntl
import os
import select
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

MAX_PENDING: Final = 50_000
"""Lines that wait to be written before further ones are dropped, and counted."""
GATHER_SECONDS: Final = 0.02
"""How long lines gather before they are written in one go."""
STALLED_SECONDS: Final = 1.0
"""How long a full pipe is waited for."""
MAX_FILE_BYTES: Final = 10 * 1024 * 1024
KEPT_FILES: Final = 5


class RotatedFile:
    """A file that becomes `<name>.1` at 10 MB, in time `.5`. Processes may share it: each follows the others."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = self._open()

    @classmethod
    def open(cls, path: Path) -> tuple[Self | None, str]:
        """The file, or None and the reason."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return cls(path), ""
        except OSError as error:
            return None, str(error)

    def write(self, data: bytes) -> None:
        """Appends. Raises OSError where the disk refuses."""
        if not self._is_current():
            self._reopen()
        if os.fstat(self._fd).st_size + len(data) > MAX_FILE_BYTES:
            self._rotate()
        _write_all(self._fd, data)

    def close(self) -> None:
        os.close(self._fd)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def _reopen(self) -> None:
        os.close(self._fd)
        self._fd = self._open()

    def _is_current(self) -> bool:
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self._fd))
        except FileNotFoundError:
            return False

    def _rotate(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            if self._is_current():
                for number in range(KEPT_FILES, 0, -1):
                    source = self._path if number == 1 else self._numbered(number - 1)
                    with contextlib.suppress(FileNotFoundError):
                        source.replace(self._numbered(number))
            self._reopen()
        finally:
            os.close(folder)

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


class LogSink:
    """Takes lines from any thread and returns at once; drops them, and says how many, when nobody takes them off."""

    def __init__(self, fd: int, file: RotatedFile | None) -> None:
        self._fd = fd
        self._file = file
        self._lines: deque[tuple[bytes, bytes]] = deque()
        self._dropped = 0
        self._some = threading.Event()
        self._writing = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, file_line: bytes, screen_line: bytes) -> None:
        if len(self._lines) >= MAX_PENDING:
            self._dropped += 1
            return
        self._lines.append((file_line, screen_line))
        if not self._some.is_set():
            self._some.set()

    def flush(self) -> None:
        """Returns once everything taken so far is written."""
        with self._writing:
            lines = self._take()
            if not lines:
                return
            _write_or_give_up(self._fd, b"".join(screen for _, screen in lines))
            if self._file is not None:
                # A full disk must not end the process: stderr has the lines.
                with contextlib.suppress(OSError):
                    self._file.write(b"".join(line for line, _ in lines))

    def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        self._some.set()
        self._thread.join(timeout=2 * STALLED_SECONDS)
        self.flush()
        if self._file is not None:
            self._file.close()
        atexit.unregister(self.close)

    def _run(self) -> None:
        while not self._closed.is_set():
            self._some.wait()
            self._closed.wait(GATHER_SECONDS)
            self._some.clear()
            self.flush()

    def _take(self) -> Sequence[tuple[bytes, bytes]]:
        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            notice = b'{"event":"log_lines_dropped","level":"warning","count":%d}\n' % dropped
            lines.append((notice, notice))
        return lines


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _write_or_give_up(fd: int, data: bytes) -> None:
    """Writes to a pipe that may be full or gone: the rest is dropped once nothing moved for `STALLED_SECONDS`."""
    view = memoryview(data)
    while view:
        try:
            if not select.select([], [fd], [], STALLED_SECONDS)[1]:
                return
            view = view[os.write(fd, view[: select.PIPE_BUF]) :]
        except BlockingIOError:
            continue
        except OSError:
            return
