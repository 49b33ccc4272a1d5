"""Somebody at the board: a tab of Chromium that takes note of everything that should not happen."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from axe_playwright_python.base import AXE_FILE_PATH
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, expect

from base.settings import PROJECT
from stack.ports import LOOPBACK
from stack.tokens import sign

SECRET: Final = "a-secret-of-the-board-tests"
PICTURES: Final = PROJECT / "build" / "board-pictures"
CSP: Final = (
    "addEventListener('securitypolicyviolation', e => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`))"
)
EXPECTED: Final = re.compile(r"Failed to load resource: the server responded with a status of 4\d\d")
"""The browser's own note of an answer that the board shows in words."""


def token(role: str, subject: str = "", seconds: int = 3600) -> str:
    return sign(SECRET, subject=subject or f"{role}-1", role=role, name=role.title(), seconds=seconds)


@dataclass
class Visit:
    """One tab."""

    page: Page
    address: str
    problems: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """What the page has asked of the API, streams too."""

    def __post_init__(self) -> None:
        self.page.add_init_script(CSP)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("dialog", lambda dialog: self.problems.append(f"a script ran: {dialog.message}"))
        self.page.on("console", self._note)
        self.page.on("request", self._count)

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not EXPECTED.match(message.text):
            self.problems.append(f"{message.type}: {message.text}")

    def _count(self, request: Request) -> None:
        if "/api/" in request.url:
            self.calls.append(request.url)

    def sign_in(self, bearer: str) -> None:
        self.page.goto(self.address)
        self.page.get_by_label("Token").fill(bearer)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.heading("Queues")).to_be_visible()

    def open(self, path: str, heading: str | None = None) -> None:
        """A view of the board, once its heading is there and nothing loads any more."""
        self.page.goto(f"{self.address}#/{path}")
        if heading is not None:
            expect(self.heading(heading)).to_be_visible()
        self.settled()

    def settled(self) -> None:
        expect(self.page.locator("main [aria-busy=true]")).to_have_count(0)

    def heading(self, text: str) -> Locator:
        return self.page.get_by_role("heading", level=1, name=text, exact=True)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def told(self, text: str) -> None:
        """A report says so."""
        expect(self.page.get_by_role("status", name="Reports")).to_contain_text(text)

    def stands(self, state: str) -> None:
        """The job whose page this is."""
        expect(self.page.locator(".page-head .badge")).to_have_text(state)

    def accessible(self) -> None:
        """Axe finds nothing to object to."""
        self.page.evaluate(Path(AXE_FILE_PATH).read_text("utf-8"))
        found: Any = self.page.evaluate("axe.run().then(result => result.violations)")
        objections = [f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:5]}" for one in found]
        assert not objections, "\n".join(objections)

    def fits(self) -> None:
        """Nothing needs to be scrolled sideways to be read."""
        width = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert width[0] <= width[1], f"{width[0]} px wide on a screen of {width[1]} px"

    def picture(self, name: str) -> None:
        """For people to look at."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}.png", full_page=True)


@contextmanager
def visiting(browser: Browser, port: int, **options: Any) -> Iterator[Visit]:
    """A tab of its own, in which nothing may have gone wrong by the end."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(15_000)
    visit = Visit(context.new_page(), f"http://{LOOPBACK}:{port}/")
    try:
        yield visit
        assert visit.problems == []
    finally:
        context.close()
