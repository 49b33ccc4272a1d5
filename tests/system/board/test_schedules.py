"""Recurring jobs, made, changed and steered at the board."""

import re

import pytest
from playwright.sync_api import expect

from tests.system.board.backstage import Backstage
from tests.system.board.visit import Visit

pytestmark = pytest.mark.system


def test_a_schedule_is_made_triggered_paused_resumed_and_deleted(admin: Visit, backstage: Backstage) -> None:
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
    admin.button("Resume made-at-the-board").click()
    admin.told("made-at-the-board fires again")
    admin.button("Delete").click()
    admin.page.get_by_role("dialog").get_by_role("button", name=re.compile("^Delete")).click()
    expect(admin.heading("Schedules")).to_be_visible()
    expect(admin.page.get_by_text("made-at-the-board", exact=True)).to_have_count(0)


def schedule(backstage: Backstage, name: str, data: object, job_type: str = "noop") -> None:
    job = {"queueName": "test:work", "jobType": job_type, "data": data, "options": {"priority": 3}}
    backstage.call("POST", "schedules", {"name": name, "cron": "0 3 * * *", "timezone": "UTC", "job": job})


def test_when_a_schedule_fires_is_changed_and_its_job_stays_secrets_and_all(admin: Visit, backstage: Backstage) -> None:
    schedule(backstage, "edited", {"token": "hush-hush", "name": "open"}, "secret")
    before = backstage.call("GET", "schedules/edited")["schedule"]
    admin.open("schedules/edited", "edited")
    admin.page.get_by_role("link", name="Edit").click()
    expect(admin.page.get_by_label("Name")).to_be_disabled()
    admin.page.get_by_label("Cron expression").fill("30 6 * * 1")
    admin.page.get_by_label("Time zone").fill("Asia/Tokyo")
    expect(admin.page.get_by_text("At 06:30, only on Monday")).to_be_visible()
    expect(admin.page.get_by_text("06:30:00 GMT+9").first).to_be_visible()
    admin.button("Save schedule").click()
    expect(admin.heading("edited")).to_be_visible()
    expect(admin.page.get_by_text("At 06:30, only on Monday")).to_be_visible()
    after = backstage.call("GET", "schedules/edited")["schedule"]
    assert (after["cron"], after["timezone"]) == ("30 6 * * 1", "Asia/Tokyo")
    assert (after["payload"], after["options"]) == (before["payload"], before["options"])
    backstage.call("POST", "schedules/edited/trigger", {})
    (run,) = backstage.call("GET", "schedules/edited/runs")["runs"]
    backstage.until(run["job"]["jobId"], ["COMPLETED"])  # it fails without its secret
    backstage.call("DELETE", "schedules/edited")


def test_the_job_of_a_schedule_is_changed_from_what_it_is(admin: Visit, backstage: Backstage) -> None:
    schedule(backstage, "other-job", {"pad": "before"})
    admin.open("schedules/other-job/edit", "Edit other-job")
    admin.button("Change the job").click()
    expect(admin.page.get_by_label("pad")).to_have_value("before")
    admin.page.get_by_label("pad").fill("after")
    admin.button("Save schedule").click()
    expect(admin.heading("other-job")).to_be_visible()
    after = backstage.call("GET", "schedules/other-job")["schedule"]
    assert after["payload"]["custom"]["pad"] == "after"
    assert after["options"]["priority"] == 3
    backstage.call("DELETE", "schedules/other-job")


def test_a_cron_expression_that_is_none_is_told_while_it_is_typed(admin: Visit) -> None:
    admin.open("schedules/_new", "New schedule")
    admin.page.get_by_label("Cron expression").fill("61 * * * *")
    expect(admin.page.get_by_role("status").filter(has_text="cron")).to_be_visible()
