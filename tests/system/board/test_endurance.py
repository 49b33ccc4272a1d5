"""The board with a hundred thousand jobs in a queue, and while the gateway is away."""

import os
import re
import signal
import time

import pytest
from playwright.sync_api import expect

from tests.stack.running import RunningStack
from tests.system.board.backstage import Backstage
from tests.system.board.visit import Visit

pytestmark = pytest.mark.system

JOBS = 100_000
BATCH = 1000
SHOWN_MS = 1000
STATES = ("waiting", "delayed", "active", "completed", "failed", "cancelled")
PAGES = (
    "",
    "queues/test:serial",
    *(f"queues/test:serial?state={state}" for state in STATES),
    "queues/test:serial?state=delayed&size=200",
    "queues/test:serial?state=delayed&type=serial&after=2020-01-01T00:00:00.000Z",
    "queues/test:serial/jobs/{job}",
    "dead-letters",
    "schedules",
    "schedules/daily-cleanup",
    "schedules/_new",
    "workers",
    "enqueue?queue=email:send&type=welcome",
    "api",
)

SEARCH = "queues/test:serial?q=nowhere"
"""A text that is nowhere is looked for by itself to the end: in bounded calls, each of which looks at thousands of jobs."""
SEARCH_CALLS = 20


NOTICE = """
new MutationObserver(() => {
  if (document.body.innerText.includes("Connection lost.")) document.body.dataset.wasTold = "yes";
}).observe(document.body, {childList: true, subtree: true});
"""
"""Remembers that the page told of it, however short."""


def shown(visit: Visit, path: str) -> tuple[float, int]:
    """Milliseconds from following a link to a view until it is there, and the calls that it made.

    The shortest of three times, as the machine is shared.
    """
    times, calls = [], []
    for _ in range(3):
        visit.page.evaluate("location.hash = '#/nowhere'")
        expect(visit.heading("There is no such page")).to_be_visible()
        asked = len(visit.calls)
        began = time.monotonic()
        visit.page.evaluate(f"location.hash = '#/{path}'")
        expect(visit.heading("There is no such page")).to_have_count(0)
        visit.settled()
        times.append((time.monotonic() - began) * 1000)
        calls.append(len(visit.calls) - asked)
    return min(times), min(calls)


def test_no_page_takes_longer_or_asks_for_more_with_a_hundred_thousand_jobs(admin: Visit, backstage: Backstage) -> None:
    job = {"queueName": "test:serial", "jobType": "serial", "data": {}, "options": {"delay": 86_400_000}}
    pages = [path.format(job=backstage.call("POST", "queue/jobs", job)["jobId"]) for path in PAGES]
    before = {path: shown(admin, path) for path in pages}
    for _ in range(JOBS // BATCH):
        backstage.call("POST", "queue/jobs:batch", {"jobs": [job] * BATCH})
    assert backstage.call("GET", "queue/test:serial/stats")["counts"]["delayed"] >= JOBS
    after = {path: shown(admin, path) for path in pages}
    admin.picture("queue-full")
    for path in pages:
        assert after[path][0] < SHOWN_MS, (path, before[path], after[path])
        # One call that a view puts off for a moment, such as a preview, is counted or not by chance.
        assert after[path][1] <= before[path][1] + 1, (path, before[path], after[path])
    _, calls = shown(admin, SEARCH)
    assert calls <= SEARCH_CALLS


@pytest.mark.parametrize("path", ["", "queues/test:serial", "dead-letters"])
def test_an_open_page_asks_no_more_than_its_refresh_wants(admin: Visit, path: str) -> None:
    """The queue holds its hundred thousand jobs by now."""
    admin.open(path)
    asked = len(admin.calls)
    admin.page.wait_for_timeout(11_000)  # the board looks every 5 seconds
    assert len(admin.calls) - asked <= 6, admin.calls[asked:]


@pytest.mark.parametrize("part", ["envoy", "service-1"])
def test_a_lost_connection_is_told_and_mended_without_a_reload(
    admin: Visit, backstage: Backstage, stack: RunningStack, part: str
) -> None:
    job_id = backstage.script({"sleep": 5000}, {"progress": 100})
    admin.open(f"queues/test:work/jobs/{job_id}", "script job")
    admin.stands("active")
    admin.page.evaluate(NOTICE)
    os.kill(stack.pids[part], signal.SIGKILL)  # the supervisor starts it again at once
    expect(admin.page.locator("body[data-was-told]")).to_be_attached()
    expect(admin.page.get_by_text("Connection lost.")).to_have_count(0)
    admin.stands("completed")
    expect(admin.page.locator("body[data-was-told]")).to_be_attached()  # the page is still the same
    admin.problems[:] = [problem for problem in admin.problems if not re.search(r"net::ERR_|status of 503", problem)]
