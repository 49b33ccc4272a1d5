"""Every page shows itself: to screen readers and to the eye, in light and dark, on a narrow screen, by keyboard alone."""

import pytest
from playwright.sync_api import Locator, expect

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
    "job-active": ("queues/test:work/jobs/{active}", "script job"),
    "job-export": ("queues/export:data/jobs/{export}", "form-submissions job"),
    "job-delayed": ("queues/email:send/jobs/{delayed}", "welcome job"),
    "dead-letters": ("dead-letters", "Dead letters"),
    "schedules": ("schedules", "Schedules"),
    "schedule": ("schedules/daily-cleanup", "daily-cleanup"),
    "schedule-edit": ("schedules/daily-cleanup/edit", "Edit daily-cleanup"),
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
    export = {"formId": "f0000000-0000-4000-8000-000000000001", "format": "csv"}
    made = {
        "completed": backstage.script({"log": "half way"}, {"progress": 50}, {"answer": 20}),
        "active": backstage.script({"log": "a long one"}, {"progress": 40}, {"sleep": 900_000}, timeout=1_000_000),
        "export": backstage.enqueue("form-submissions", export, queue="export:data"),
        "failed": backstage.script({"fail_times": 5}, attempts=2),
        "delayed": backstage.enqueue("welcome", mail, queue="email:send", delay=3_600_000),
    }
    backstage.until(made["completed"], ["COMPLETED"])
    backstage.until(made["failed"], ["FAILED"])
    backstage.until(made["export"], ["COMPLETED"], "export:data")
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


def walk_to(visit: Visit, target: Locator) -> None:
    """By the Tab key alone."""
    expect(target).to_be_visible()
    for _ in range(200):
        if target.evaluate("element => element === document.activeElement"):
            return
        visit.page.keyboard.press("Tab")
    raise AssertionError(f"no way by keyboard to {target}")


def test_the_whole_way_from_signing_in_to_a_paused_queue_goes_by_keyboard(enter: Enter, backstage: Backstage) -> None:
    visit = enter("")
    keys = visit.page.keyboard
    visit.page.goto(visit.address)
    keys.press("Tab")
    keys.insert_text(token("admin"))
    keys.press("Enter")
    expect(visit.heading("Queues")).to_be_visible()
    walk_to(visit, visit.button("Pause test:serial"))
    keys.press("Enter")
    visit.told("test:serial is paused")
    expect(visit.button("Resume test:serial")).to_be_focused()
    keys.press("Enter")
    visit.told("test:serial runs again")
    keys.press("/")
    expect(visit.page.get_by_role("searchbox").first).to_be_focused()
    assert backstage.call("GET", "queue/test:serial/stats")["paused"] is False


def test_jobs_are_chosen_and_removed_by_keyboard(enter: Enter, backstage: Backstage) -> None:
    job_id = backstage.enqueue("noop", {}, delay=3_600_000)
    visit = enter("admin")
    keys = visit.page.keyboard
    walk_to(visit, visit.page.get_by_role("rowheader", name="test:work").get_by_role("link"))
    keys.press("Enter")
    expect(visit.heading("test:work")).to_be_visible()
    walk_to(visit, visit.page.get_by_label(f"Select job {job_id}"))
    keys.press("Space")
    visit.page.get_by_role("main").get_by_role("heading").first.focus()
    walk_to(visit, visit.button("Remove selected…"))
    keys.press("Enter")
    walk_to(visit, visit.button("Remove 1 job"))
    keys.press("Enter")
    expect(visit.page.get_by_role("dialog")).to_contain_text("1 job of 1 removed")
    keys.press("Escape")
    expect(visit.page.get_by_role("dialog")).to_have_count(0)
    expect(visit.page.get_by_label(f"Select job {job_id}")).to_have_count(0)


def test_a_theme_that_is_chosen_stays(admin: Visit) -> None:
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = admin.page.evaluate(ground)
    admin.page.get_by_text("Admin admin").click()
    admin.page.get_by_label("Theme").select_option("dark")
    dark = admin.page.evaluate(ground)
    admin.page.reload()
    expect(admin.heading("Queues")).to_be_visible()
    assert light != dark == admin.page.evaluate(ground)


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
