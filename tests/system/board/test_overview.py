"""What is seen without doing anything: queues, health, workers, and jobs that are looked for."""

import re

import pytest
from playwright.sync_api import expect

from tests.system.board.backstage import Backstage
from tests.system.board.visit import Visit

pytestmark = pytest.mark.system


def test_a_queue_is_paused_and_resumed_where_it_stands_in_the_list(admin: Visit, backstage: Backstage) -> None:
    admin.button("Pause test:serial").click()
    admin.told("test:serial is paused")
    expect(admin.page.get_by_role("row", name="test:serial").get_by_text("paused")).to_be_visible()
    assert backstage.call("GET", "queue/test:serial/stats")["paused"] is True
    admin.button("Resume test:serial").click()
    admin.told("test:serial runs again")


def test_figures_and_graphs_follow_without_a_reload(admin: Visit, backstage: Backstage) -> None:
    admin.open("", "Queues")
    held = admin.page.locator(".card", has_text="delayed").locator("dd")
    before = int(held.inner_text().replace(",", ""))
    job_id = backstage.enqueue("noop", {}, delay=3_600_000)
    expect(held).to_have_text(f"{before + 1:,}")
    backstage.call("DELETE", f"queue/test:work/jobs/{job_id}")
    expect(held).to_have_text(f"{before:,}")
    graph = admin.page.locator(".chart", has_text="Jobs a second")
    with backstage.busy():
        expect(graph).to_contain_text(re.compile(r"completed [1-9]"))
    expect(graph).to_contain_text("completed 0/s")


def test_health_tells_of_all_that_jobs_stand_on(admin: Visit) -> None:
    admin.open("", "Queues")
    checks = admin.page.get_by_role("listitem")
    for name in ("Redis or Valkey", "database", "mail", "workers", "scheduler", "storage"):
        expect(checks.filter(has_text=name)).to_contain_text("healthy")


def test_workers_tell_where_they_run_and_what_they_do(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.script({"sleep": 60_000})
    backstage.until(job_id, ["ACTIVE"])
    (worker,) = backstage.call("GET", "queue/workers")["workers"]
    admin.open("workers", "Workers")
    row = admin.page.get_by_role("row", name=worker["id"])
    for told in (worker["host"], str(worker["pid"]), worker["version"], "MiB", "ago", "test:work"):
        expect(row).to_contain_text(told)
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-label", re.compile(r"^[1-9]\d* of \d+ slots busy"))
    backstage.call("POST", f"queue/test:work/jobs/{job_id}/cancel", {})


def test_jobs_are_found_by_every_part_of_a_search_which_is_a_link(admin: Visit, backstage: Backstage) -> None:
    mine = backstage.enqueue("noop", {"pad": "needle-search"}, delay=3_600_000)
    other = backstage.script({"log": "needle-search"}, delay=3_600_000)
    admin.open("queues/test:work?state=delayed&q=needle-search", "test:work")
    jobs = admin.page.get_by_role("region", name="Jobs of test:work").locator("tbody tr")
    expect(jobs).to_have_count(2)
    admin.page.get_by_role("combobox", name="Type").select_option("noop")
    expect(jobs).to_have_count(1)
    expect(jobs.get_by_title(mine)).to_be_visible()
    link = admin.page.url
    admin.page.get_by_label("Id, payload or failure").fill(other)
    admin.button("Search").click()
    expect(admin.page.get_by_text("No jobs.")).to_be_visible()
    admin.button("Clear").click()
    admin.page.get_by_label("Id, payload or failure").fill(other)
    admin.page.get_by_label("Created from").fill("2020-01-01T00:00:00")
    admin.button("Search").click()
    expect(jobs.get_by_title(other)).to_be_visible()
    admin.page.get_by_label("Created from").fill("2100-01-01T00:00:00")
    admin.button("Search").click()
    expect(admin.page.get_by_text("No jobs.")).to_be_visible()
    admin.page.goto(link)
    admin.page.reload()
    expect(jobs).to_have_count(1)
    expect(jobs.get_by_title(mine)).to_be_visible()


def test_pages_of_jobs_are_turned_forward_and_back(admin: Visit, backstage: Backstage) -> None:
    for _ in range(25):
        backstage.enqueue("noop", {"pad": "needle-pages"}, delay=3_600_000)
    admin.open("queues/test:work?state=delayed&q=needle-pages", "test:work")
    jobs = admin.page.get_by_role("region", name="Jobs of test:work").locator("tbody tr")
    expect(jobs).to_have_count(25)
    admin.page.get_by_label("Page size").select_option("20")
    expect(jobs).to_have_count(20)
    first = jobs.first.get_by_role("link").get_attribute("title")
    admin.button("Next").click()
    expect(jobs).to_have_count(5)
    admin.button("Previous").click()
    expect(jobs).to_have_count(20)
    assert jobs.first.get_by_role("link").get_attribute("title") == first
    assert "size=20" in admin.page.url


def test_a_job_is_found_by_its_id_from_everywhere(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.enqueue("noop", {})
    admin.page.keyboard.press("/")
    admin.page.keyboard.insert_text(job_id)
    admin.page.keyboard.press("Enter")
    expect(admin.heading("noop job")).to_be_visible()


def test_a_failure_is_told_until_its_page_is_left(admin: Visit) -> None:
    admin.open("queues/test:work", "test:work")
    find = admin.page.get_by_label("Find a job by its id")
    find.fill("nobody")
    find.press("Enter")
    admin.told("No queue holds a job nobody")
    admin.page.get_by_role("link", name="Workers").click()
    expect(admin.page.get_by_text("No queue holds a job nobody")).to_have_count(0)
