"""Another host, which is cut off or has a clock of its own, and a disk that fills up. They need root, and Debian packages."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stack.ports import LOOPBACK

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
_NOBODY = "02:00:00:00:00:01"
_DISK_BYTES = 48 * 1024 * 1024


class MissingError(Exception):
    """Something is not here; the message says what to install or to be."""


@dataclass(eq=False)
class Host:
    """Where members run. `here` is where what they call listens for them; `there` is where they listen themselves."""

    wrapped: Sequence[str] = ()
    here: str = LOOPBACK
    there: str = field(default_factory=lambda: f"127.213.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}")
    """Of the loopback network, and this run's own: what is dead for a moment must not lose its port to somebody else."""
    skew_seconds: float = 0.0

    @property
    def variables(self) -> dict[str, str]:
        """What sets its clock, where that is another one."""
        if not self.skew_seconds:
            return {}
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME": f"{self.skew_seconds:+g}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "CHAOS_CLOCK_AHEAD": str(self.skew_seconds),
        }

    def open(self) -> None:
        if self.skew_seconds and not FAKETIME.exists():
            raise MissingError(f"{FAKETIME} is missing: apt-get install faketime")

    def close(self) -> None:
        """Takes everything back."""


@dataclass(eq=False)
class NamespaceHost(Host):
    """A network namespace, joined to this one by a pair of interfaces."""

    name: str = ""

    def __post_init__(self) -> None:
        number = os.getpid() % 250
        self.name = f"chaos-{os.getpid()}"
        self._outer, self._inner = f"cho{os.getpid()}", f"chi{os.getpid()}"
        self.here, self.there = f"10.213.{number}.1", f"10.213.{number}.2"
        self.wrapped = ("ip", "netns", "exec", self.name)

    def open(self) -> None:
        super().open()
        _need_root("network namespaces")
        if shutil.which("ip") is None:
            raise MissingError("the command ip is missing: apt-get install iproute2")
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", self._outer, "type", "veth", "peer", "name", self._inner)
        _run("ip", "link", "set", self._inner, "netns", self.name)
        _run("ip", "addr", "add", f"{self.here}/30", "dev", self._outer)
        _run("ip", "link", "set", self._outer, "up")
        _run("ip", "-n", self.name, "addr", "add", f"{self.there}/30", "dev", self._inner)
        _run("ip", "-n", self.name, "link", "set", self._inner, "up")
        _run("ip", "-n", self.name, "link", "set", "lo", "up")

    def part(self) -> None:
        """Nothing passes any more, in either direction, and nobody is told: each side has a wrong address of the other.

        To take an interface down would be told at once, and take its route away, too.
        """
        for command in self._neighbours("replace"):
            _run(*command, "lladdr", _NOBODY, "nud", "permanent")

    def join(self) -> None:
        for command in self._neighbours("del"):
            _run(*command)

    def _neighbours(self, act: str) -> tuple[tuple[str, ...], ...]:
        return (
            ("ip", "neigh", act, self.there, "dev", self._outer),
            ("ip", "-n", self.name, "neigh", act, self.here, "dev", self._inner),
        )

    def close(self) -> None:
        subprocess.run(["ip", "link", "del", self._outer], check=False, capture_output=True)
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)


class SmallDisk:
    """A folder on a file system of its own, which can be full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def open(self) -> None:
        _need_root("a file system of its own")
        self.folder.mkdir(parents=True, exist_ok=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={_DISK_BYTES}", "tmpfs", str(self.folder))

    def fill(self) -> None:
        """Until nothing more can be written."""
        block = bytes(64 * 1024)
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while file.write(block):
                    pass
            except OSError:
                pass

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)


def _need_root(what: str) -> None:
    if os.geteuid() != 0:
        raise MissingError(f"{what} can be made by root alone: run this as root, or leave these faults out by --faults")


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        raise MissingError(f"{' '.join(command)}: {done.stderr.strip()}")
