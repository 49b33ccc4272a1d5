"""What is done to one job, or makes one."""

import re
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import expect

from tests.system.board.backstage import Backstage
from tests.system.board.visit import Visit

pytestmark = pytest.mark.system

LONG = {"sleep": 60_000}


def test_a_job_is_followed_to_its_end_without_a_reload(admin: Visit, backstage: Backstage, tmp_path: Path) -> None:
    job_id = backstage.script({"progress": 40}, {"log": "half way there"}, {"sleep": 2000}, {"answer": 10})
    admin.open(f"queues/test:work/jobs/{job_id}", "script job")
    expect(admin.page.get_by_role("progressbar", name="Progress of this job")).to_have_attribute("value", "40")
    expect(admin.page.get_by_role("region", name="Log lines")).to_contain_text("half way there")
    admin.stands("completed")
    with admin.page.expect_download() as download:
        admin.button("Download result").click()
    saved = tmp_path / "result"
    download.value.save_as(saved)
    assert "x" * 10 in saved.read_text()


def done(visit: Visit, action: str, reason: str) -> str:
    """Does it to the job that is shown; the reason that was sent."""
    visit.button(action).click()
    visit.page.get_by_label("Reason").fill(reason)
    with visit.page.expect_request(lambda request: request.method in {"POST", "DELETE"}) as sent:
        visit.button(f"{action} job").click()
    body, query = sent.value.post_data_json, parse_qs(urlsplit(sent.value.url).query)
    return str(body["reason"] if body else query["reason"][0])


def test_a_running_job_is_cancelled_with_a_reason_and_run_again(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.script(LONG)
    backstage.until(job_id, ["ACTIVE"])
    admin.open(f"queues/test:work/jobs/{job_id}", "script job")
    assert done(admin, "Cancel", "the customer asked") == "the customer asked"
    admin.told("The job is cancelled")
    admin.stands("cancelled")
    expect(admin.page.get_by_text("the customer asked").first).to_be_visible()
    assert done(admin, "Retry", "the server is up") == "the server is up"
    admin.told("The job waits to run again")
    backstage.until(job_id, ["ACTIVE"])
    admin.stands("active")
    backstage.call("POST", f"queue/test:work/jobs/{job_id}/cancel", {})


def test_a_delayed_job_is_promoted_and_an_ended_one_deleted(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.enqueue("noop", {}, delay=3_600_000)
    admin.open(f"queues/test:work/jobs/{job_id}", "noop job")
    admin.stands("delayed")
    assert done(admin, "Promote", "it is urgent") == "it is urgent"
    admin.stands("completed")
    assert done(admin, "Delete", "it was a test") == "it was a test"
    admin.told(f"Job {job_id} is deleted")
    expect(admin.heading("test:work")).to_be_visible()


def test_a_mistake_is_told_in_words(admin: Visit) -> None:
    admin.open("queues/test:work/jobs/nobody", "Job")
    expect(admin.page.get_by_role("alert")).to_contain_text("nobody")


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


def test_a_job_is_only_checked_where_that_is_asked(admin: Visit, backstage: Backstage) -> None:
    before = backstage.call("GET", "queue/email:send/stats")["counts"]
    admin.open("enqueue?queue=email:send&type=welcome", "Enqueue a job")
    admin.page.get_by_role("textbox", name=re.compile("^email")).fill("ada@example.com")
    admin.page.get_by_label("Attempts").fill("1000")
    admin.button("Check only").click()
    expect(admin.page.get_by_label("Attempts")).to_have_attribute("aria-invalid", "true")
    admin.page.get_by_label("Attempts").fill("2")
    admin.button("Check only").click()
    expect(admin.page.get_by_text("The service would take this job.")).to_be_visible()
    assert backstage.call("GET", "queue/email:send/stats")["counts"] == before


def test_a_form_says_what_the_contract_says_of_its_fields(admin: Visit) -> None:
    admin.open("enqueue?queue=export:data&type=form-submissions", "Enqueue a job")
    expect(admin.page.get_by_label("form id")).to_have_accessible_description(
        re.compile(r"form.*At most 64 characters\.")
    )


def test_a_job_is_duplicated_without_its_secrets(admin: Visit, backstage: Backstage) -> None:
    parts = [{"pin": "1234", "label": "first"}]
    old = backstage.enqueue("secret", {"token": "hush-hush", "name": "open", "parts": parts}, delay=3_600_000)
    admin.open(f"queues/test:work/jobs/{old}", "secret job")
    admin.page.get_by_role("link", name="Duplicate").click()
    expect(admin.heading("Enqueue a job")).to_be_visible()
    expect(admin.page.get_by_label("name", exact=True)).to_have_value("open")
    expect(admin.page.get_by_label("label")).to_have_value("first")
    expect(admin.page.get_by_label("token")).to_have_value("")
    expect(admin.page.get_by_label("pin")).to_have_value("")
    admin.page.get_by_label("token").fill("another")
    admin.page.get_by_label("pin").fill("4321")
    admin.button("Enqueue job").click()
    expect(admin.heading("secret job")).to_be_visible()
    new = admin.page.url.rpartition("/")[2]
    assert new != old
    backstage.until(new, ["COMPLETED"])  # it fails without its secrets


def test_every_failed_attempt_is_told(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.script({"log": "trying"}, {"fail_times": 3}, attempts=3)
    backstage.until(job_id, ["FAILED"])
    admin.open(f"queues/test:work/jobs/{job_id}", "script job")
    attempts = admin.page.locator(".attempts li")
    expect(attempts).to_have_count(3)
    for place in range(3):
        expect(attempts.nth(place)).to_contain_text(f"attempt {place + 1} was told to fail")
    expect(admin.page.locator(".timeline")).to_contain_text("Failed for good")


def test_a_payload_is_told_in_words_and_units(admin: Visit, backstage: Backstage) -> None:
    data = {"formId": "f0000000-0000-4000-8000-000000000001", "format": "csv"}
    job_id = backstage.enqueue("form-submissions", data, queue="export:data")
    backstage.until(job_id, ["COMPLETED"], "export:data")
    admin.open(f"queues/export:data/jobs/{job_id}", "form-submissions job")
    fields = admin.page.locator(".fields")
    expect(fields.filter(has_text="form id").first).to_contain_text("csv")
    expect(admin.page.get_by_text(re.compile(r"^[\d.]+ KiB$"))).to_be_visible()
    said = " ".join(fields.all_inner_texts())
    assert not re.search(r"[A-Z]+_[A-Z]+_|undefined|NaN", said), said
