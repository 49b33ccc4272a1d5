"""The board's sources hold apart from a browser: style, types, their own tests, and the contract's types are today's."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from stack import board, node

pytestmark = pytest.mark.system


def run(what: str, command: Sequence[str | Path], seconds: float, path: str = os.environ["PATH"]) -> None:
    ran = subprocess.run(
        command,
        cwd=board.SOURCES,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert ran.returncode == 0, f"{what}: {ran.stdout}{ran.stderr}"


@pytest.fixture(scope="module")
def installed() -> node.Node:
    """Node, with the packages that the sources want."""
    found = node.find(board.SOURCES / "package.json", run)
    run("npm ci", (*found.npm, *board.INSTALL), board.INSTALL_SECONDS, found.path)
    return found


@pytest.mark.parametrize("script", ["check", "test", "gen:check"])
def test_the_sources_hold(installed: node.Node, script: str) -> None:
    run(script, (*installed.npm, "run", script), 120, installed.path)
