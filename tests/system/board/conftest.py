"""One stack with a built board and one Chromium for all tests of the board; a tab for each."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.stack.running import RunningStack, environment
from tests.system.board.backstage import Backstage
from tests.system.board.visit import SECRET, Visit, token, visiting

Enter = Callable[..., Visit]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    home = tmp_path_factory.mktemp("board") / "data"
    running = RunningStack(home, environment(home, BOARD_ENABLED="true", SAMPLE_DATA="true", JWT_SECRET=SECRET))
    running.start()
    asyncio.run(running.ready(seconds=300))  # it may have to build the board first
    for problem in ("without the board", "built before"):
        assert problem not in running.said, running.said
    yield running
    running.discard()


@pytest.fixture(scope="session")
def backstage(stack: RunningStack) -> Backstage:
    return Backstage(int(stack.told["REST_PORT"]), token("admin"))


@pytest.fixture(scope="session")
def browser(stack: RunningStack) -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    assert chromium, "Debian's chromium is not installed"
    expect.set_options(timeout=15_000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def enter(browser: Browser, stack: RunningStack) -> Iterator[Enter]:
    """Opens the board as somebody of a role; nobody with an empty one."""
    with ExitStack() as tabs:

        def open_tab(role: str = "admin", **options: Any) -> Visit:
            tab: AbstractContextManager[Visit] = visiting(browser, int(stack.told["REST_PORT"]), **options)
            visit = tabs.enter_context(tab)
            if role:
                visit.sign_in(token(role))
            return visit

        yield open_tab


@pytest.fixture
def admin(enter: Enter) -> Visit:
    return enter("admin")
