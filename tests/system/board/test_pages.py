"""Every page shows itself: to screen readers and to the eye, in light and dark, on a narrow screen, by keyboard alone."""

import pytest
from playwright.sync_api import expect

from tests.system.board.backstage import Backstage
from tests.system.board.conftest import Enter
from tests.system.board.visit import Visit, token

pytestmark = pytest.mark.system

PAGES = {
    "queues": ("", "Queues"),
    "queue": ("queues/test:work", "test:work"),
    "failed": ("queues/test:work?state=failed", "test:work"),
    "job": ("queues/test:work/jobs/{completed}", "script job"),
    "job-failed": ("queues/test:work/jobs/{failed}", "script job"),
    "job-delayed": ("queues/email:send/jobs/{delayed}", "welcome job"),
    "dead-letters": ("dead-letters", "Dead letters"),
    "schedules": ("schedules", "Schedules"),
    "schedule-new": ("schedules/_new", "New schedule"),
    "workers": ("workers", "Workers"),
    "enqueue": ("enqueue?queue=email:send&type=welcome", "Enqueue a job"),
    "api": ("api", "API"),
    "nothing": ("no/such/page", "There is no such page"),
}


@pytest.fixture(scope="module")
def jobs(backstage: Backstage) -> dict[str, str]:
    """Jobs that pages are about."""
    mail = {"user": {"email": "ada@example.com", "username": "ada"}}
    made = {
        "completed": backstage.script({"log": "half way"}, {"progress": 50}, {"answer": 20}),
        "failed": backstage.script({"fail_times": 5}, attempts=2),
        "delayed": backstage.enqueue("welcome", mail, queue="email:send", delay=3_600_000),
    }
    backstage.until(made["completed"], ["COMPLETED"])
    backstage.until(made["failed"], ["FAILED"])
    return made


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_every_page_is_accessible(enter: Enter, jobs: dict[str, str], name: str, theme: str) -> None:
    visit = enter("admin", color_scheme=theme, reduced_motion="reduce")
    path, heading = PAGES[name]
    visit.open(path.format(**jobs), heading)
    visit.picture(f"{name}-{theme}")
    visit.accessible()


@pytest.mark.parametrize("name", PAGES)
def test_every_page_fits_a_narrow_screen(enter: Enter, jobs: dict[str, str], name: str) -> None:
    visit = enter("admin", viewport={"width": 360, "height": 740})
    path, heading = PAGES[name]
    visit.open(path.format(**jobs), heading)
    visit.picture(f"{name}-narrow")
    visit.fits()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_to_sign_in_is_accessible(enter: Enter, theme: str) -> None:
    visit = enter("", color_scheme=theme)
    visit.page.goto(visit.address)
    expect(visit.heading("Sign in")).to_be_visible()
    visit.picture(f"sign-in-{theme}")
    visit.accessible()
    visit.fits()


def test_the_whole_way_from_signing_in_to_a_paused_queue_goes_by_keyboard(enter: Enter, backstage: Backstage) -> None:
    visit = enter("")
    keys = visit.page.keyboard
    visit.page.goto(visit.address)
    keys.press("Tab")
    keys.insert_text(token("admin"))
    keys.press("Enter")
    expect(visit.heading("Queues")).to_be_visible()
    visit.button("Pause test:serial").focus()
    keys.press("Enter")
    visit.told("test:serial is paused")
    expect(visit.button("Resume test:serial")).to_be_focused()
    keys.press("Enter")
    visit.told("test:serial runs again")
    keys.press("/")
    expect(visit.page.get_by_role("searchbox").first).to_be_focused()
    assert backstage.call("GET", "queue/test:serial/stats")["paused"] is False


def test_a_dialog_keeps_the_focus_and_gives_it_back(admin: Visit) -> None:
    admin.open("queues/test:work", "test:work")
    admin.button("Limits…").press("Enter")
    dialog = admin.page.get_by_role("dialog", name="Limits of test:work")
    expect(dialog).to_be_visible()
    admin.accessible()
    admin.page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(admin.button("Limits…")).to_be_focused()


def test_the_api_describes_itself_call_by_call(admin: Visit) -> None:
    admin.open("api", "API")
    admin.page.get_by_label("Find a call").fill("cancel")
    expect(admin.page.get_by_role("status").filter(has_text="with “cancel”")).to_be_visible()
    admin.page.get_by_text("/api/v1/queue/{queueName}/jobs/{jobId}/cancel").click()
    call = admin.page.locator("details.call[open]")
    expect(call).to_contain_text("It stays cancelled.")
    expect(call.get_by_role("row", name="queueName")).to_contain_text("1 to 128 characters")
    call.locator("details.below > summary").first.click()
    expect(call).to_contain_text("The job's id, unique in its queue.")
    admin.picture("api-call")
    admin.accessible()
