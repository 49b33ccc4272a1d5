"""Many tabs at once: browsers open six connections to one origin by HTTP/1.1, for all tabs together."""

import pytest
from playwright.sync_api import Request, expect

from tests.conftest import until
from tests.system.board.backstage import Backstage
from tests.system.board.visit import Visit, token

pytestmark = pytest.mark.system

TABS = 8
CAN_HIDE = """
Object.defineProperty(Document.prototype, "hidden", {get: () => window.isHidden === true});
window.hide = hidden => { window.isHidden = hidden; document.dispatchEvent(new Event("visibilitychange")); };
"""
"""The driver keeps every tab visible to its page, so the pages are told that they are not."""


class Tab(Visit):
    """A tab that can be hidden, and knows which of its streams are open."""

    streams: set[Request]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.streams = set()
        self.page.add_init_script(CAN_HIDE)
        self.page.on("request", lambda request: self.streams.add(request) if "/events" in request.url else None)
        self.page.on("requestfinished", self._ended)
        self.page.on("requestfailed", self._ended)

    def _ended(self, request: Request) -> None:
        self.streams.discard(request)

    def hide(self) -> None:
        """Which ends its streams."""
        self.page.evaluate("hide(true)")
        until(lambda: self.page.title() and not self.streams, what=lambda: f"no stream: {self.streams}")

    def show(self) -> None:
        self.page.evaluate("hide(false)")


def test_of_eight_tabs_the_one_that_is_seen_works(admin: Visit, backstage: Backstage) -> None:
    job_id = backstage.script({"sleep": 600_000})
    backstage.until(job_id, ["ACTIVE"])
    tabs: list[Tab] = []
    for _ in range(TABS):
        tab = Tab(admin.page.context.new_page(), admin.address)
        tab.sign_in(token("admin"))
        tab.open(f"queues/test:work/jobs/{job_id}", "script job")
        tab.stands("active")
        tab.hide()
        tabs.append(tab)
    first, last = tabs[0], tabs[-1]

    last.show()
    last.button("Cancel").click()
    last.button("Cancel job").click()
    last.stands("cancelled")
    first.stands("active")  # it was not told, as nobody looks

    last.hide()
    first.show()
    first.stands("cancelled")
    expect(first.page.get_by_text("Connection lost.")).to_have_count(0)
    assert [tab.problems for tab in tabs] == [[]] * TABS
