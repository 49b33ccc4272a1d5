"""Many jobs at once, and whole queues: counted before, reported after."""

import re

import pytest
from playwright.sync_api import Locator, expect

from tests.conftest import until
from tests.system.board.backstage import Backstage
from tests.system.board.visit import Visit

pytestmark = pytest.mark.system

NEEDLES = 3


def rows(visit: Visit, queue: str = "test:work") -> Locator:
    return visit.page.get_by_role("region", name=f"Jobs of {queue}").locator("tbody tr")


def look_for(visit: Visit, text: str) -> None:
    visit.page.get_by_label("Id, payload or failure").fill(text)
    visit.button("Search").click()


def steer(visit: Visit, button: str, count: str, act: str, report: str) -> None:
    """Asks for it, reads the count, does it, reads the report."""
    visit.button(button).click()
    dialog = visit.page.get_by_role("dialog")
    expect(dialog).to_contain_text(count)
    dialog.get_by_role("button", name=re.compile(act)).click()
    expect(dialog).to_contain_text(report)
    dialog.get_by_role("button", name="Close").last.click()


def delayed(backstage: Backstage, needle: str) -> list[str]:
    return [backstage.script({"log": needle}, delay=3_600_000) for _ in range(NEEDLES)]


def test_all_that_match_a_search_are_promoted_and_removed(admin: Visit, backstage: Backstage) -> None:
    ids = delayed(backstage, "needle-all")
    admin.open("queues/test:work?state=delayed", "test:work")
    look_for(admin, "needle-all")
    expect(rows(admin)).to_have_count(NEEDLES)
    steer(admin, "Promote all…", "3 can be promoted", "Promote 3 jobs", "3 jobs of 3 promoted")
    for job_id in ids:
        backstage.until(job_id, ["COMPLETED"])
    admin.page.get_by_role("button", name=re.compile("^completed")).click()
    expect(rows(admin)).to_have_count(NEEDLES)
    steer(admin, "Remove all…", "3 can be removed", "Remove 3 jobs", "3 jobs of 3 removed")
    expect(admin.page.get_by_text("No jobs.")).to_be_visible()


def test_of_the_rows_that_are_chosen_all_are_cancelled_and_retried_and_no_other(
    admin: Visit, backstage: Backstage
) -> None:
    one, other, third = delayed(backstage, "needle-some")
    admin.open("queues/test:work?state=delayed&q=needle-some", "test:work")
    for job_id in (one, other):
        admin.page.get_by_label(f"Select job {job_id}").check()
    expect(admin.page.get_by_text("2 jobs selected:")).to_be_visible()
    steer(admin, "Cancel selected…", "Of 2 selected jobs, 2 can be cancelled", "Cancel 2 jobs", "2 jobs of 2 cancelled")
    assert [backstage.job(each)["state"][10:] for each in (one, other, third)] == ["CANCELLED", "CANCELLED", "DELAYED"]

    admin.open("queues/test:work?state=cancelled&q=needle-some", "test:work")
    admin.page.get_by_label("Select all jobs of this page").check()
    admin.page.get_by_label(f"Select job {other}").uncheck()
    steer(admin, "Retry selected…", "1 can be retried", "Retry 1 job", "1 job of 1 retried")
    backstage.until(one, ["COMPLETED"])
    assert backstage.job(other)["state"] == "JOB_STATE_CANCELLED"


def test_a_choice_ends_with_the_page_that_it_was_made_on(admin: Visit, backstage: Backstage) -> None:
    (job_id, *_) = delayed(backstage, "needle-choice")
    admin.open("queues/test:work?state=delayed&q=needle-choice", "test:work")
    admin.page.get_by_label(f"Select job {job_id}").check()
    admin.page.get_by_role("button", name=re.compile("^all")).click()
    expect(admin.page.get_by_text("All that match:")).to_be_visible()


def test_a_queue_is_cleaned_of_what_is_old_enough(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.enqueue("serial", {}, queue="test:serial")
    backstage.until(job_id, ["COMPLETED"], "test:serial")
    waits = backstage.enqueue("serial", {}, queue="test:serial", delay=3_600_000)
    admin.open("queues/test:serial", "test:serial")
    admin.button("Clean…").click()
    admin.page.get_by_label("Age", exact=True).fill("1")
    admin.button("Remove them").click()
    admin.told("0 jobs removed")  # it is younger than a day
    assert backstage.job(job_id, "test:serial")["state"] == "JOB_STATE_COMPLETED"

    admin.button("Clean…").click()
    admin.page.get_by_label("Age", exact=True).fill("0")
    admin.page.get_by_label("Unit").select_option("minutes")
    admin.button("Remove them").click()
    admin.told("1 job removed: 1 completed, 0 failed, 0 cancelled")
    assert backstage.call("GET", "queue/test:serial/stats")["counts"]["completed"] == 0
    assert backstage.job(waits, "test:serial")["state"] == "JOB_STATE_DELAYED"


def test_limits_are_set_and_taken_away(admin: Visit, backstage: Backstage) -> None:
    admin.open("queues/test:work", "test:work")
    for active, rate, shown in (("7", "90", "7 active at once, 90 starts in 1 min"), ("0", "0", "none")):
        admin.button("Limits…").click()
        admin.page.get_by_label("Most jobs active at once").fill(active)
        admin.page.get_by_label("Most jobs started in each period").fill(rate)
        admin.button("Set limits").click()
        admin.told("The limits of test:work are set")
        expect(admin.page.locator(".figures")).to_contain_text(shown)
    assert backstage.call("GET", "queue/test:work/stats")["limits"]["maxActive"] == 0


def dead_letter(backstage: Backstage) -> tuple[str, str]:
    """A job that failed for good, and when."""
    job_id = backstage.script({"fail_times": 1}, attempts=1)
    return job_id, backstage.until(job_id, ["FAILED"])["endTime"]


def failed_again(backstage: Backstage, job_id: str, before: str) -> None:
    until(lambda: backstage.until(job_id, ["FAILED"])["endTime"] > before, what=f"{job_id} ran again")


def test_dead_letters_are_looked_at_by_their_type_and_run_again(admin: Visit, backstage: Backstage) -> None:
    job_id, ended = dead_letter(backstage)
    admin.open("dead-letters", "Dead letters")
    expect(admin.page.get_by_role("row", name=re.compile("script"))).to_contain_text("attempt 1 was told to fail")
    admin.button("Inspect test:work script").click()
    letters = admin.page.get_by_role("region", name="Failed script jobs of test:work")
    expect(letters.get_by_title(job_id)).to_be_visible()
    steer(admin, "Retry all script of test:work", "of type “script”", r"^Retry \d+ job", "retried")
    failed_again(backstage, job_id, ended)


def test_dead_letters_of_a_whole_queue_are_run_again(admin: Visit, backstage: Backstage) -> None:
    job_id, ended = dead_letter(backstage)
    admin.open("dead-letters", "Dead letters")
    steer(admin, "Retry all of test:work", "all failed jobs", r"^Retry \d+ job", "retried")
    failed_again(backstage, job_id, ended)
