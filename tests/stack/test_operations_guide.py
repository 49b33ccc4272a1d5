"""What docs/operations.md says to type when something is wrong, pasted on a stack that runs."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.settings import PROJECT
from tests.conftest import eventually
from tests.stack.running import RunningStack, environment, ports_in_a_row

GUIDE = (PROJECT / "docs" / "operations.md").read_text("utf-8")
ELSEWHERE = ("docker ", "kubectl ")
"""What asks an orchestrator that is not here."""
SECTIONS = ("Alerts", "Troubleshooting")


def commands() -> list[str]:
    found = []
    for heading in SECTIONS:
        section = GUIDE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
        for block in re.findall(r"```bash\n(.*?)```", section, re.DOTALL):
            found += [line for line in block.splitlines() if not line.startswith(ELSEWHERE)]
    return list(dict.fromkeys(found))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """With LOG_LEVEL=debug, as the guide has it, and a dead letter."""
    home = tmp_path_factory.mktemp("guide") / "data"
    started = RunningStack(home, environment(home, LOG_LEVEL="debug"))
    started.told["METRICS_PORT"] = str(ports_in_a_row(3, started.told.values()))
    started.start()
    asyncio.run(started.ready())
    yield started
    started.discard()


def paste(stack: RunningStack, line: str) -> subprocess.CompletedProcess[str]:
    first = int(stack.told["METRICS_PORT"])
    line = line.replace("localhost:5000", f"127.0.0.1:{stack.told['REST_PORT']}").replace("curl ", "curl -sf ")
    port = first + 2 if line.endswith("scheduler") else first
    told = {**stack.told, "TOKEN": stack.token, "METRICS_PORT": str(port)}
    told["PATH"] = f"{Path(sys.executable).parent}:{told['PATH']}"
    return subprocess.run(["bash", "-c", line], env=told, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("line", commands())
def test_what_is_pasted_is_answered(stack: RunningStack, line: str) -> None:
    done = paste(stack, line)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_failed_mail_is_found_and_run_again_as_the_guide_says(stack: RunningStack) -> None:
    job_id = stack.enqueue("test:work", "script", {"steps": [{"failForGood": "told to"}]})
    asyncio.run(ended(stack, job_id))
    listed = paste(stack, "qjobs dead list --after 1h")
    assert job_id in listed.stdout
    assert "told to" in listed.stdout
    assert paste(stack, "qjobs dead retry --type script --yes").returncode == 0


async def ended(stack: RunningStack, job_id: str) -> None:
    await eventually(lambda: stack.state("test:work", job_id) == "FAILED", what="the job failed")


def test_debug_tells_of_starts(stack: RunningStack) -> None:
    job_id = stack.enqueue("test:work", "noop", {})
    log = stack.home / "logs" / "worker.log"

    def told() -> bool:
        return any("job_started" in line and job_id in line for line in log.read_text().splitlines())

    asyncio.run(eventually(told, what="the start is in the log"))
