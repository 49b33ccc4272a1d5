"""Text that users control is text: no script in it runs, wherever the board shows it."""

import pytest
from playwright.sync_api import Route, expect

from stack.tokens import sign
from tests.system.board.backstage import Backstage
from tests.system.board.conftest import Enter
from tests.system.board.visit import SECRET, Visit

pytestmark = pytest.mark.system

EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><svg onload=alert(3)>{{7*7}}javascript:alert(4)"
"""Whatever of it runs, opens a dialog or offends the policy, which fails the visit."""


def shows(visit: Visit, path: str, times: int = 1) -> None:
    visit.open(path)
    expect(visit.page.get_by_text("<script>alert(1)</script>").nth(times - 1)).to_be_attached()
    assert visit.page.locator("main script, main img, main [onerror], main [onload]").count() == 0


def test_payloads_logs_results_reasons_and_callers(enter: Enter, backstage: Backstage) -> None:
    evil_token = sign(SECRET, subject=EVIL, role="admin", name=EVIL, seconds=600)
    caller = Backstage(backstage.port, evil_token)
    good = caller.script({"checkpoint": EVIL}, {"log": EVIL})
    bad = caller.script({"log": EVIL}, {"fail_for_good": EVIL}, attempts=1)
    backstage.until(good, ["COMPLETED"])
    backstage.until(bad, ["FAILED"])
    visit = enter("admin")
    shows(visit, f"queues/test:work/jobs/{good}", 2)
    shows(visit, f"queues/test:work/jobs/{bad}", 4)
    shows(visit, "queues/test:work?state=failed")
    shows(visit, "dead-letters")


def test_reasons_of_cancellation_and_names_in_mails(enter: Enter, backstage: Backstage) -> None:
    mail = {"user": {"email": "ada@example.com", "username": EVIL[:100]}}
    job_id = backstage.enqueue("welcome", mail, queue="email:send", delay=3_600_000)
    backstage.call("POST", f"queue/email:send/jobs/{job_id}/cancel", {"reason": EVIL})
    visit = enter("admin")
    shows(visit, f"queues/email:send/jobs/{job_id}", 2)


def test_schedules(enter: Enter, backstage: Backstage) -> None:
    job = {"queueName": "email:send", "jobType": "welcome", "data": {"user": {"email": "a@b.c", "username": EVIL}}}
    backstage.call("POST", "schedules", {"name": "evil", "description": EVIL, "cron": "0 3 * * *", "job": job})
    visit = enter("admin")
    shows(visit, "schedules/evil", 2)
    visit.open("schedules")
    backstage.call("DELETE", "schedules/evil")


def test_addresses_that_somebody_was_lured_to(enter: Enter) -> None:
    visit = enter("admin")
    for path in (
        f"queues/{EVIL}",
        f"queues/test:work?q={EVIL}&state={EVIL}&page={EVIL}",
        EVIL,
        "queues/test:work/jobs/%00%FF",
    ):
        visit.open(path)
        assert visit.page.locator("main script, main img").count() == 0


def test_what_is_typed_into_searches(enter: Enter) -> None:
    typed = f"{EVIL} which no job holds"
    visit = enter("admin")
    find = visit.page.get_by_label("Find a job by its id")
    find.fill(typed)
    find.press("Enter")
    expect(visit.page.get_by_role("status", name="Reports")).to_contain_text("<script>alert(1)</script>")
    visit.open("queues/test:work", "test:work")
    visit.page.get_by_label("Id, payload or failure").fill(typed)
    visit.button("Search").click()
    expect(visit.page.get_by_text("No jobs.")).to_be_visible()
    visit.button("Remove all…").click()
    expect(visit.page.get_by_role("dialog")).to_contain_text("<script>alert(1)</script>")
    visit.button("Keep as they are").click()
    visit.open("api", "API")
    visit.page.get_by_label("Find a call").fill(typed)
    expect(visit.page.locator("main").get_by_text("<script>alert(1)</script>")).to_be_visible()
    assert visit.page.locator("main script, main img").count() == 0


def test_what_workers_say_of_themselves(enter: Enter) -> None:
    """No host of this machine can have such a name, so it is put into the answer on its way."""

    def renamed(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        for worker in body["workers"]:
            worker |= {"id": EVIL, "host": EVIL, "version": EVIL}
        route.fulfill(response=answer, json=body)

    visit = enter("admin")
    visit.page.route("**/api/v1/queue/workers", renamed)
    shows(visit, "workers", 3)


def test_the_name_in_a_token(enter: Enter) -> None:
    visit = enter("")
    visit.sign_in(sign(SECRET, subject="evil", role="admin", name=EVIL, seconds=600))
    expect(visit.page.get_by_text("<script>alert(1)</script>").first).to_be_visible()


def test_a_signed_in_tab_leaks_nothing_to_others(enter: Enter) -> None:
    visit = enter("admin")
    assert "board.token" not in visit.page.evaluate("Object.keys(localStorage).join()")
    visit.page.reload()
    expect(visit.heading("Queues")).to_be_visible()
    other = visit.page.context.new_page()
    other.goto(visit.address)
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
