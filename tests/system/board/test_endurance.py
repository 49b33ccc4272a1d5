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
PAGES = (
    "",
    "queues/test:serial",
    "queues/test:serial?state=delayed",
    "queues/test:serial?q=nowhere",
    "dead-letters",
    "workers",
    "schedules",
)


NOTICE = """
new MutationObserver(() => {
  if (document.body.innerText.includes("Connection lost.")) document.body.dataset.wasTold = "yes";
}).observe(document.body, {childList: true, subtree: true});
"""
"""Remembers that the page told of it, however short."""


def milliseconds(visit: Visit, path: str) -> float:
    """From following a link to a view until it is there; the shortest of three times, as the machine is shared."""
    taken = []
    for _ in range(3):
        visit.page.evaluate("location.hash = '#/nowhere'")
        expect(visit.heading("There is no such page")).to_be_visible()
        began = time.monotonic()
        visit.page.evaluate(f"location.hash = '#/{path}'")
        expect(visit.heading("There is no such page")).to_have_count(0)
        visit.settled()
        taken.append((time.monotonic() - began) * 1000)
    return min(taken)


def test_no_page_takes_longer_for_a_hundred_thousand_jobs(admin: Visit, backstage: Backstage) -> None:
    before = {path: milliseconds(admin, path) for path in PAGES}
    job = {"queueName": "test:serial", "jobType": "serial", "data": {}, "options": {"delay": 86_400_000}}
    for _ in range(JOBS // BATCH):
        backstage.call("POST", "queue/jobs:batch", {"jobs": [job] * BATCH})
    assert backstage.call("GET", "queue/test:serial/stats")["counts"]["delayed"] >= JOBS
    after = {path: milliseconds(admin, path) for path in PAGES}
    admin.picture("queue-full")
    for path in PAGES:
        assert after[path] < max(1000, 3 * before[path]), (path, before, after)
    requests: list[str] = []
    admin.page.on("request", lambda request: requests.append(request.url))
    admin.page.wait_for_timeout(6000)
    assert len(requests) < 12, requests


@pytest.mark.parametrize("part", ["envoy", "service"])
def test_a_lost_connection_is_told_and_mended_without_a_reload(
    admin: Visit, backstage: Backstage, stack: RunningStack, part: str
) -> None:
    job_id = backstage.script({"sleep": 5000}, {"progress": 100})
    admin.open(f"queues/test:work/jobs/{job_id}", "script job")
    expect(admin.page.locator(".page-head .badge")).to_have_text("active")
    admin.page.evaluate(NOTICE)
    os.kill(stack.pids[part], signal.SIGKILL)  # the supervisor starts it again at once
    expect(admin.page.locator("body[data-was-told]")).to_be_attached()
    expect(admin.page.get_by_text("Connection lost.")).to_have_count(0)
    expect(admin.page.locator(".page-head .badge")).to_have_text("completed")
    expect(admin.page.locator("body[data-was-told]")).to_be_attached()  # the page is still the same
    admin.problems[:] = [problem for problem in admin.problems if not re.search(r"net::ERR_|status of 503", problem)]
