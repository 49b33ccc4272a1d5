"""Who is signed in, and that nobody is offered what the service would refuse."""

import re

import pytest
from playwright.sync_api import expect

from tests.system.board.backstage import Backstage
from tests.system.board.conftest import Enter
from tests.system.board.visit import token

pytestmark = pytest.mark.system

MANAGING = re.compile("^(Pause|Resume|Trigger|Retry|Promote|Delete|Edit|Clean|Limits|New schedule)")


def test_a_token_that_ends_leads_back_to_the_same_view(enter: Enter) -> None:
    visit = enter("")
    visit.sign_in(token("admin", seconds=4))
    visit.page.goto(f"{visit.address}#/queues/test:work")
    expect(visit.heading("Sign in")).to_be_visible()
    expect(visit.page.get_by_role("alert").first).to_contain_text("expired")
    visit.page.get_by_label("Token").fill(token("admin"))
    visit.button("Sign in").click()
    expect(visit.heading("test:work")).to_be_visible()


def test_what_is_no_token_is_told_before_the_service_is_asked(enter: Enter) -> None:
    visit = enter("")
    visit.page.goto(visit.address)
    for text, told in (("hello", "three parts"), ("a.b.c", "cannot be read"), (token("admin", seconds=-5), "expired")):
        visit.page.get_by_label("Token").fill(text)
        visit.button("Sign in").click()
        expect(visit.page.get_by_role("alert")).to_contain_text(told)


def test_a_token_that_the_service_refuses_ends_the_session(enter: Enter) -> None:
    visit = enter("")
    visit.page.goto(visit.address)
    visit.page.get_by_label("Token").fill(token("admin")[:-4] + "AAAA")
    visit.button("Sign in").click()
    expect(visit.page.get_by_role("alert").first).to_contain_text("You were signed out.")
    expect(visit.heading("Sign in")).to_be_visible()


def test_signing_out_forgets_the_token(enter: Enter) -> None:
    visit = enter("admin")
    visit.page.get_by_text("Admin admin").click()
    visit.button("Sign out").click()
    expect(visit.heading("Sign in")).to_be_visible()
    assert visit.page.evaluate("sessionStorage.length") == 0
    visit.page.reload()
    expect(visit.heading("Sign in")).to_be_visible()


def test_a_user_sees_own_jobs_and_may_cancel_them_alone(enter: Enter, backstage: Backstage) -> None:
    mine = Backstage(backstage.port, token("user")).enqueue("noop", {}, delay=3_600_000)
    foreign = backstage.enqueue("noop", {}, delay=3_600_000)
    visit = enter("user")
    visit.open("queues/test:work", "test:work")
    expect(visit.page.get_by_text("All that match:")).to_have_count(0)
    expect(visit.page.get_by_title(mine)).to_have_count(1)
    expect(visit.page.get_by_title(foreign)).to_have_count(0)
    visit.open(f"queues/test:work/jobs/{foreign}", "Job")
    expect(visit.page.get_by_role("alert")).to_be_visible()
    visit.open(f"queues/test:work/jobs/{mine}", "noop job")
    expect(visit.page.get_by_role("button", name=MANAGING)).to_have_count(0)
    visit.button("Cancel").click()
    visit.button("Cancel job").click()
    visit.stands("cancelled")


@pytest.mark.parametrize("role", ["user", "service"])
def test_nothing_that_is_for_administrators_is_offered_to_others(enter: Enter, backstage: Backstage, role: str) -> None:
    """The same pages that offer it to an administrator, so that nothing is missing for want of a subject."""
    backstage.until(backstage.script({"fail_times": 1}, attempts=1), ["FAILED"])
    backstage.until(Backstage(backstage.port, token(role)).enqueue("noop", {}), ["COMPLETED"])
    pages = {
        "": "Queues",
        "queues/test:work": "test:work",
        "dead-letters": "Dead letters",
        "schedules": "Schedules",
        "schedules/daily-cleanup": "daily-cleanup",
    }
    above, below = enter("admin"), enter(role)
    for path, heading in pages.items():
        above.open(path, heading)
        below.open(path, heading)
        for visit, offered in ((above, True), (below, False)):
            tools = visit.page.locator("main").get_by_role("button", name=MANAGING)
            links = visit.page.locator("main").get_by_role("link", name=re.compile("^(Edit|New schedule)"))
            assert (tools.count() + links.count() > 0) is offered, f"{role} at {heading}: {tools.all_inner_texts()}"


def test_only_types_that_the_role_admits_are_offered(enter: Enter) -> None:
    visit = enter("user")
    visit.open("enqueue", "Enqueue a job")
    types = visit.page.get_by_label("Job type").locator("option")
    expect(types.filter(has_text="export:data / form-submissions")).to_have_count(1)
    for refused in ("system:backup / backup", "email:send / welcome", "test:work / script"):
        expect(types.filter(has_text=refused)).to_have_count(0)


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
