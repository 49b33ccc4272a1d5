"""What operators do, done at the board; and what a role may not do is not offered."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.system.board.backstage import Backstage
from tests.system.board.conftest import Enter
from tests.system.board.visit import Visit, token

pytestmark = pytest.mark.system

LONG = {"sleep": 60_000}


def stands(visit: Visit, state: str) -> None:
    expect(visit.page.locator(".page-head .badge")).to_have_text(state)


def test_a_queue_is_paused_and_resumed_where_it_stands_in_the_list(admin: Visit, backstage: Backstage) -> None:
    admin.button("Pause test:serial").click()
    admin.told("test:serial is paused")
    expect(admin.page.get_by_role("row", name="test:serial").get_by_text("paused")).to_be_visible()
    assert backstage.call("GET", "queue/test:serial/stats")["paused"] is True
    admin.button("Resume test:serial").click()
    admin.told("test:serial runs again")


def test_limits_are_set_and_taken_away(admin: Visit, backstage: Backstage) -> None:
    admin.open("queues/test:work", "test:work")
    for active, shown in (("7", "7 active at once"), ("0", "none")):
        admin.button("Limits…").click()
        admin.page.get_by_label("Most jobs active at once").fill(active)
        admin.button("Set limits").click()
        admin.told("The limits of test:work are set")
        expect(admin.page.locator(".figures")).to_contain_text(shown)
    assert backstage.call("GET", "queue/test:work/stats")["limits"]["maxActive"] == 0


def test_a_job_is_followed_to_its_end_without_a_reload(admin: Visit, backstage: Backstage, tmp_path: Path) -> None:
    job_id = backstage.script({"progress": 40}, {"log": "half way there"}, {"sleep": 2000}, {"answer": 10})
    admin.open(f"queues/test:work/jobs/{job_id}", "script job")
    expect(admin.page.get_by_role("progressbar", name="Progress of this job")).to_have_attribute("value", "40")
    expect(admin.page.get_by_role("region", name="Log lines")).to_contain_text("half way there")
    stands(admin, "completed")
    with admin.page.expect_download() as download:
        admin.button("Download result").click()
    saved = tmp_path / "result"
    download.value.save_as(saved)
    assert "x" * 10 in saved.read_text()


def test_a_running_job_is_cancelled_with_a_reason_and_run_again(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.script(LONG)
    backstage.until(job_id, ["ACTIVE"])
    admin.open(f"queues/test:work/jobs/{job_id}", "script job")
    admin.button("Cancel").click()
    admin.page.get_by_label("Reason").fill("the customer asked")
    admin.button("Cancel job").click()
    admin.told("The job is cancelled")
    stands(admin, "cancelled")
    expect(admin.page.get_by_text("the customer asked").first).to_be_visible()
    admin.button("Retry").click()
    admin.told("The job waits to run again")
    backstage.until(job_id, ["ACTIVE"])
    stands(admin, "active")
    backstage.call("POST", f"queue/test:work/jobs/{job_id}/cancel", {})


def test_a_delayed_job_is_promoted_and_an_ended_one_deleted(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.enqueue("noop", {}, delay=3_600_000)
    admin.open(f"queues/test:work/jobs/{job_id}", "noop job")
    stands(admin, "delayed")
    admin.button("Promote").click()
    stands(admin, "completed")
    admin.button("Delete").click()
    admin.button("Delete job").click()
    admin.told(f"Job {job_id} is deleted")
    expect(admin.heading("test:work")).to_be_visible()


def test_jobs_are_found_and_steered_in_bulk_after_a_count(admin: Visit, backstage: Backstage) -> None:
    ids = [backstage.script({"log": "bulk-needle"}, delay=3_600_000) for _ in range(3)]
    admin.open("queues/test:work?state=delayed", "test:work")
    admin.page.get_by_label("Id, payload or failure").fill("bulk-needle")
    admin.button("Search").click()
    rows = admin.page.get_by_role("region", name="Jobs of test:work").locator("tbody tr")
    expect(rows).to_have_count(3)
    assert "q=bulk-needle" in admin.page.url
    for verb, past in (("Promote", "promoted"), ("Remove", "removed")):
        admin.button(f"{verb} all…").click()
        dialog = admin.page.get_by_role("dialog")
        expect(dialog).to_contain_text(f"3 can be {past}")
        dialog.get_by_role("button", name=f"{verb} 3 jobs").click()
        expect(dialog).to_contain_text(f"3 jobs of 3 {past}")
        dialog.get_by_role("button", name="Close").last.click()
        for job_id in ids if verb == "Promote" else ():
            backstage.until(job_id, ["COMPLETED"])
        if verb == "Promote":
            admin.page.get_by_role("button", name=re.compile("^completed")).click()
            expect(rows).to_have_count(3)


def test_a_job_is_found_by_its_id_from_everywhere(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.enqueue("noop", {})
    admin.page.keyboard.press("/")
    admin.page.keyboard.insert_text(job_id)
    admin.page.keyboard.press("Enter")
    expect(admin.heading("noop job")).to_be_visible()


def test_a_mistake_is_told_in_words(admin: Visit) -> None:
    admin.open("queues/test:work/jobs/nobody", "Job")
    expect(admin.page.get_by_role("alert")).to_contain_text("nobody")


def test_a_user_sees_own_jobs_and_is_offered_nothing_that_is_refused(enter: Enter, backstage: Backstage) -> None:
    mine = Backstage(backstage.port, token("user")).enqueue("noop", {}, delay=3_600_000)
    foreign = backstage.enqueue("noop", {}, delay=3_600_000)
    visit = enter("user")
    expect(visit.page.get_by_role("button", name=re.compile("^(Pause|Resume)"))).to_have_count(0)
    visit.open("queues/test:work", "test:work")
    for name in ("Limits…", "Clean…", "Pause test:work"):
        expect(visit.button(name)).to_have_count(0)
    expect(visit.page.get_by_text("All that match:")).to_have_count(0)
    expect(visit.page.get_by_title(mine)).to_have_count(1)
    expect(visit.page.get_by_title(foreign)).to_have_count(0)
    visit.open(f"queues/test:work/jobs/{foreign}", "Job")
    expect(visit.page.get_by_role("alert")).to_be_visible()
    visit.open(f"queues/test:work/jobs/{mine}", "noop job")
    for name in ("Promote", "Delete", "Retry"):
        expect(visit.button(name)).to_have_count(0)
    visit.button("Cancel").click()
    visit.button("Cancel job").click()
    stands(visit, "cancelled")


def test_secrets_are_masked_and_only_a_super_admin_may_ask_for_them(enter: Enter, backstage: Backstage) -> None:
    job_id = backstage.enqueue("secret", {"token": "hush-hush", "name": "open"}, delay=3_600_000)
    admin = enter("admin")
    admin.open(f"queues/test:work/jobs/{job_id}", "secret job")
    expect(admin.page.get_by_text("hush-hush")).to_have_count(0)
    expect(admin.button("Show sensitive values (logged)")).to_have_count(0)
    above = enter("super_admin")
    above.open(f"queues/test:work/jobs/{job_id}", "secret job")
    expect(above.page.get_by_text("hush-hush")).to_have_count(0)
    above.button("Show sensitive values (logged)").click()
    expect(above.page.get_by_text("hush-hush").first).to_be_visible()


def test_a_token_that_ends_leads_back_to_the_same_view(enter: Enter) -> None:
    visit = enter("")
    visit.sign_in(token("admin", seconds=4))
    visit.page.goto(f"{visit.address}#/queues/test:work")
    expect(visit.heading("Sign in")).to_be_visible()
    expect(visit.page.get_by_role("alert").first).to_contain_text("expired")
    visit.page.get_by_label("Token").fill(token("admin"))
    visit.button("Sign in").click()
    expect(visit.heading("test:work")).to_be_visible()


def test_a_job_is_enqueued_by_a_form_that_knows_the_contracts_rules(admin: Visit, backstage: Backstage) -> None:
    admin.open("enqueue?queue=email:send&type=welcome", "Enqueue a job")
    admin.page.get_by_role("textbox", name=re.compile("^email")).fill("not an address")
    admin.button("Enqueue job").click()
    expect(admin.page.get_by_role("textbox", name=re.compile("^email"))).to_have_attribute("aria-invalid", "true")
    expect(admin.page.get_by_text("is not written as it must be")).to_be_visible()
    admin.page.get_by_role("textbox", name=re.compile("^email")).fill("ada@example.com")
    admin.page.get_by_label("Delay in seconds").fill("3600")
    admin.button("Enqueue job").click()
    expect(admin.heading("welcome job")).to_be_visible()
    job_id = admin.page.url.rpartition("/")[2]
    assert backstage.job(job_id, "email:send")["payload"]["emailWelcome"]["user"]["email"] == "ada@example.com"


def test_a_schedule_is_made_triggered_paused_and_deleted(admin: Visit, backstage: Backstage) -> None:
    admin.open("schedules/_new", "New schedule")
    admin.page.get_by_label("Name").fill("made-at-the-board")
    admin.page.get_by_label("Cron expression").fill("15 4 * * 1")
    expect(admin.page.get_by_text("At 04:15, only on Monday")).to_be_visible()
    admin.page.get_by_label("Job type").select_option(label="test:work / noop")
    admin.button("Save schedule").click()
    expect(admin.heading("made-at-the-board")).to_be_visible()
    admin.button("Trigger made-at-the-board").click()
    expect(admin.page.get_by_role("region", name="Latest runs").get_by_text("completed")).to_be_visible()
    admin.button("Pause made-at-the-board").click()
    expect(admin.page.locator(".page-head").get_by_text("paused")).to_be_visible()
    assert backstage.call("GET", "schedules/made-at-the-board")["schedule"]["paused"] is True
    admin.button("Delete").click()
    admin.page.get_by_role("dialog").get_by_role("button", name=re.compile("^Delete")).click()
    expect(admin.heading("Schedules")).to_be_visible()
    expect(admin.page.get_by_text("made-at-the-board", exact=True)).to_have_count(0)


def test_dead_letters_are_run_again_from_their_own_page(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.script({"fail_times": 1}, attempts=1)
    backstage.until(job_id, ["FAILED"])
    admin.open("dead-letters", "Dead letters")
    row = admin.page.get_by_role("row", name=re.compile("script"))
    row.get_by_role("button", name=re.compile("^Retry all")).click()
    dialog = admin.page.get_by_role("dialog")
    dialog.get_by_role("button", name=re.compile(r"^Retry \d+ job")).click()
    expect(dialog).to_contain_text("retried")
    backstage.until(job_id, ["COMPLETED", "FAILED"])
