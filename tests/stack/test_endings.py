"""How a stack ends, and that the next one on the same data goes on where it was."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from stack.ports import LOOPBACK, free_port
from tests.conftest import ValkeyServer, eventually
from tests.stack.running import PARTS, RunningStack, environment

LONG = {"steps": [{"sleep": 500}, {"progress": 10}, {"sleep": 50_000}]}


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[RunningStack]:
    stack = RunningStack(tmp_path / "data", environment(tmp_path / "data"))
    yield stack
    stack.discard()


async def test_ctrl_c_ends_a_busy_stack_in_time_and_hands_its_job_to_the_next(stack: RunningStack) -> None:
    stack.start()
    await stack.ready()
    job_id = stack.enqueue("test:work", "script", LONG)
    await eventually(lambda: stack.job("test:work", job_id)["progress"] == 10, what="the job is under way")
    pids, began = stack.pids, time.monotonic()
    stack.signal(signal.SIGINT, group=True)
    stack.signal(signal.SIGINT, group=True)  # as a terminal and make may both do
    assert await stack.ended(20) == 0, stack.said
    assert time.monotonic() - began < 20
    await stack.no_process_left(pids, 0.5)
    assert "killed" not in stack.said

    stack.start()
    await stack.ready()
    await eventually(lambda: stack.state("test:work", job_id) == "ACTIVE", what="the job runs again")
    assert stack.call("POST", f"test:work/jobs/{job_id}/cancel")[0] == 200


async def test_sigkill_of_the_supervisor_leaves_no_orphan_and_no_job_is_lost(stack: RunningStack) -> None:
    stack.start()
    await stack.ready()
    job_id = stack.enqueue("email:send", "welcome", {"user": {"email": "user@example.com"}}, delay=60_000)
    await asyncio.sleep(1.1)  # the store writes to disk once a second
    pids = stack.pids
    assert set(pids) == PARTS
    stack.signal(signal.SIGKILL)
    await stack.ended(5)
    stack.start()  # at once: it waits for what is still ending
    await stack.ready()
    await stack.no_process_left(pids)
    assert stack.state("email:send", job_id) == "DELAYED"
    pids, began = stack.pids, time.monotonic()
    stack.signal(signal.SIGTERM)
    assert await stack.ended(20) == 0
    assert time.monotonic() - began < 10  # idle
    await stack.no_process_left(pids, 0.5)


async def test_what_the_settings_name_is_not_embedded_and_no_token_is_printed(
    valkey: ValkeyServer, tmp_path: Path
) -> None:
    told = environment(
        tmp_path / "data",
        REDIS_URL=valkey.url,
        REDIS_KEY_PREFIX="up",
        SMTP_HOST=LOOPBACK,
        SMTP_PORT=free_port(),
        DATABASE_URL="postgresql://somewhere.invalid/db",
        JWT_SECRET="the-operators-own-secret-of-tokens",
    )
    stack = RunningStack(tmp_path / "data", told)
    try:
        stack.start()
        await stack.ready()
        assert set(stack.pids) == {"service-1", "worker-1", "scheduler", "envoy"}
        assert "TOKEN=ey" not in stack.said
        assert "qjobs token" in stack.said
    finally:
        stack.discard()


async def test_a_part_that_cannot_start_ends_the_stack_with_its_last_words(stack: RunningStack) -> None:
    stack.told["JOB_PLUGINS"] = "no_such_package"
    stack.start()
    assert await stack.ended(30) == 2
    assert "no_such_package" in stack.said
    await stack.no_process_left(stack.pids, 0.5)
