"""The README's tour, pasted."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.settings import PROJECT
from tests.stack.running import RunningStack, environment

MISTAKE = "REQUEST_INVALID"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[RunningStack]:
    home = tmp_path / "data"
    started = RunningStack(home, environment(home))
    started.start()
    asyncio.run(started.ready())
    yield started
    started.discard()


def blocks(heading: str) -> list[str]:
    """The shell blocks below a heading of the README."""
    text = (PROJECT / "README.md").read_text("utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"```bash\n(.*?)```", section, re.DOTALL)


def paste(stack: RunningStack, block: str) -> str:
    """What a shell says to it, which stops at the first command that fails. Only the places differ from the README's."""
    places = {
        "localhost:5000": f"127.0.0.1:{stack.told['REST_PORT']}",
        "localhost:50051": f"127.0.0.1:{stack.told['GRPC_PORT']}",
        "var/outbox": str(stack.home / "outbox"),
        "curl -s": r"curl -s -w '\nstatus=%{http_code}\n'",
        ". .venv/bin/activate": f"PATH={Path(sys.executable).parent}:$PATH",
    }
    for documented, here in places.items():
        block = block.replace(documented, here)
    script = f"set -euo pipefail\nexport TOKEN={stack.token}\n{block}"
    shell = subprocess.run(
        ["bash", "-c", script], env=os.environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert shell.returncode == 0, shell.stdout + shell.stderr
    return shell.stdout


def test_the_tour_works_when_it_is_pasted(stack: RunningStack) -> None:
    start, rest, _, by_buf = blocks("A tour")
    assert start == "make up\n"
    said = paste(stack, rest)
    refused = [part for part in said.split("status=") if MISTAKE in part]
    assert len(refused) == 1
    assert "data.user.emial" in refused[0]
    statuses = re.findall(r"^status=(\d+)$", said, re.MULTILINE)
    assert sorted(set(statuses)) == ["200", "400"], said
    assert statuses.count("400") == 1
    assert "JOB_STATE_COMPLETED" in said
    assert '"jobId"' in paste(stack, by_buf)
