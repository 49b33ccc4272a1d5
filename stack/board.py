"""Builds the board's pages out of dashboard/, when they have changed."""

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from base.settings import PROJECT, Settings
from stack import node
from stack.errors import StackError
from stack.part import Command, tethered
from stack.served_files import has_board

SOURCES: Final = PROJECT / "dashboard"
NO_SOURCES: Final = frozenset({"node_modules", "dist"})
WORK: Final = PROJECT / "build" / "board-work"
"""A copy of the sources, so that a build neither disturbs nor is disturbed by whoever works on them."""
LOG: Final = PROJECT / "build" / "board.log"
BUILT: Final[Path] = Settings.model_fields["board_dir"].default
"""Another BOARD_DIR is the user's own, who built what is there."""
MARK: Final = ".built-from"
"""The file in a build that says of which sources it is made."""
INSTALL_SECONDS: Final = 180
BUILD_SECONDS: Final = 180
INSTALL: Final = (
    *("ci", "--include=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"),
    *("--fetch-timeout=15000", "--fetch-retries=1"),
)


def build_for_stack(settings: Settings, say: Callable[[str], None]) -> None:
    """Has the board of this source tree built where the stack serves it. What keeps it from that is said in one line."""
    if not settings.board_enabled or settings.board_dir != BUILT or not SOURCES.exists():
        return
    try:
        build(settings.board_dir, say)
    except (StackError, OSError) as error:
        then = "serves the board as it was built before" if has_board(settings) else "goes on without the board"
        say(f"{then}: {' '.join(str(error).split())}")


def build(into: Path, say: Callable[[str], None]) -> None:
    """Builds the board into a folder, whole or not at all, unless it is there already.

    Raises:
      StackError: this is no source tree, no Node can be had, or the build failed.
    """
    if not SOURCES.exists():
        raise StackError(
            f"There is no {SOURCES}: the board is built where its sources are. Set BOARD_DIR to a build of it."
        )
    LOG.parent.mkdir(parents=True, exist_ok=True)
    with LOG.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sources = _digest(SOURCES)
        if _mark(into) == sources:
            return
        say(f"building the board's pages (once; the log is {LOG})")
        LOG.unlink(missing_ok=True)
        _copy_sources()
        _run_build(node.find(WORK / "package.json", _Runs(WORK.parent).run))
        (WORK / "dist" / MARK).write_text(sources, "utf-8")
        _replace(into, WORK / "dist")


def _run_build(found: node.Node) -> None:
    runs = _Runs(WORK, {"PATH": found.path})
    installed = WORK / "node_modules" / ".installed"
    wanted = hashlib.sha256((WORK / "package-lock.json").read_bytes()).hexdigest()
    if not installed.exists() or installed.read_text("utf-8") != wanted:
        runs.run("npm ci", (*found.npm, *INSTALL), INSTALL_SECONDS)
        installed.write_text(wanted, "utf-8")
    shutil.rmtree(WORK / "dist", ignore_errors=True)
    runs.run("npm run build", (*found.npm, "run", "build"), BUILD_SECONDS)


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        if entry.name in NO_SOURCES:
            continue
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for file in _files(folder):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _mark(built: Path) -> str:
    file = built / MARK
    return file.read_text("utf-8") if file.exists() else ""


def _copy_sources() -> None:
    """The packages installed there stay."""
    WORK.mkdir(parents=True, exist_ok=True)
    for entry in WORK.iterdir():
        if entry.is_dir() and entry.name != "node_modules":
            shutil.rmtree(entry)
        elif entry.is_file():
            entry.unlink()
    for file in _files(SOURCES):
        copy = WORK / file.relative_to(SOURCES)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, copy)


def _replace(target: Path, built: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    old = target.with_name(f"{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    built.rename(target)
    shutil.rmtree(old, ignore_errors=True)


@dataclass(frozen=True)
class _Runs:
    """Runs the programs of a build in a folder."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, what: str, command: Sequence[str | Path], seconds: float) -> None:
        """Runs `what` to its end, with what it prints in the log.

        Raises:
          StackError: it failed, or its time was over.
        """
        with LOG.open("ab") as log, self._started(command, log.fileno()) as process:
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                raise StackError(f"{what} did not end within {seconds:.0f} s; see {LOG}.") from None
        if code:
            raise StackError(f"{what} failed; see {LOG}.")

    @contextmanager
    def _started(self, command: Sequence[str | Path], log: int) -> Iterator[subprocess.Popen[bytes]]:
        """It ends with the block, and with this process, whatever becomes of that; what it started, too."""
        process = subprocess.Popen(  # noqa: S603  (the project's own scripts)
            tethered(Command(command, LOG)),
            cwd=self.folder,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
