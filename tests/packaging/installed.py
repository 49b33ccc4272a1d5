"""The wheel, installed as a user installs it: in an environment that has its declared dependencies and nothing else."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from base.settings import PROJECT, settings_class

OURS = "qcollector-jobs"
SECONDS = 60


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel in it."""

    folder: Path
    elsewhere: Path
    """A working directory with modules of the user's own, under names that the project uses too."""

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def qjobs(self) -> Path:
        return self.folder / "bin" / "qjobs"

    @property
    def packages(self) -> Path:
        return packages_of(self.folder)

    def run(self, *command: str | Path) -> str:
        """What it prints."""
        done = subprocess.run(
            command,
            cwd=self.elsewhere,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def environment() -> dict[str, str]:
    """That of the tests without what leads to the checkout, or is a setting."""
    known = {name.upper() for name in settings_class().model_fields} | {"PYTHONPATH", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in known}


def build_wheel(folder: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True, timeout=SECONDS)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path, extras: set[str]) -> Installed:
    """An environment of its own; what the wheel depends on is linked into it from the environment of the tests."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=SECONDS)
    # The environment of the tests has no pip; the Python that it was made from has.
    pip = (Path(sys.base_exec_prefix) / "bin" / f"python3.{sys.version_info.minor}", "-m", "pip")
    offline = ("install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check")
    command = [*pip, "--python", folder / "bin" / "python", *offline, wheel]
    subprocess.run(command, check=True, timeout=SECONDS, env=environment())
    packages = packages_of(folder)
    (ours,) = distributions(path=[str(packages)])
    for needed in _needed(ours, extras, set()):
        for name in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
            if not (packages / name).exists():
                (packages / name).symlink_to(needed.locate_file(name))
    return Installed(folder, _elsewhere(folder.with_name(f"{folder.name}-elsewhere")))


def packages_of(folder: Path) -> Path:
    return folder / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"


def _needed(of: Distribution, extras: set[str], seen: set[tuple[str, str]]) -> Iterator[Distribution]:
    for line in of.requires or ():
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        wanted = [
            extra for extra in extras | {""} if not requirement.marker or requirement.marker.evaluate({"extra": extra})
        ]
        asked = {(name, extra) for extra in requirement.extras | {""}} - seen
        if not wanted or not asked:
            continue
        seen |= asked
        found = of if name == OURS else distribution(name)
        if found is not of:
            yield found
        yield from _needed(found, requirement.extras, seen)


def _elsewhere(folder: Path) -> Path:
    folder.mkdir()
    for name in ("base", "client", "contract", "families", "service", "stack", "workers"):
        (folder / f"{name}.py").write_text('raise ImportError("a module of the working directory was imported")\n')
    return folder
