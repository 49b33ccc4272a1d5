"""What a process opens once and shares."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from base import resources
from base.resources import open_resources, provides
from base.settings import Settings


class Boat:
    pass


class Bell:
    pass


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A boat and a bell alone are provided; what becomes of them is told here."""
    monkeypatch.setattr(resources, "_provided", {})
    said: list[str] = []

    @provides(Boat)
    async def boat(_settings: Settings, store: Any) -> AsyncIterator[Boat]:
        said.append(f"boat opened on {store}")
        try:
            yield Boat()
        finally:
            said.append("boat closed")

    @provides(Bell)
    async def bell(_settings: Settings, store: Any) -> AsyncIterator[Bell]:
        said.append(f"bell opened on {store}")
        try:
            yield Bell()
        finally:
            said.append("bell closed")

    assert [boat.kind, bell.kind] == [Boat, Bell]
    return said


async def test_each_is_opened_once_and_the_last_is_closed_first(settings: Settings, told: list[str]) -> None:
    async with open_resources(settings, "store") as opened:
        assert opened[Boat] is opened[Boat]
        assert [type(each) for each in opened] == [Boat, Bell]
    assert told == ["boat opened on store", "bell opened on store", "bell closed", "boat closed"]


async def test_only_those_asked_for_are_opened(settings: Settings, told: list[str]) -> None:
    async with open_resources(settings, "store", [Bell]) as opened:
        assert isinstance(opened[Bell], Bell)
    assert told == ["bell opened on store", "bell closed"]


async def test_what_is_open_is_closed_when_another_fails_to_open(settings: Settings, told: list[str]) -> None:
    @provides(str)
    async def broken(_settings: Settings, store: Any) -> AsyncIterator[str]:
        if store:
            raise OSError("no")
        yield ""

    assert broken.kind is str
    with pytest.raises(OSError, match="no"):
        async with open_resources(settings, "store"):
            pass
    assert told[-2:] == ["bell closed", "boat closed"]


@pytest.mark.usefixtures("told")
async def test_what_nothing_provides_is_named_with_the_remedy(settings: Settings) -> None:
    with pytest.raises(LookupError, match=r"nothing provides int: import the module whose function has `@provides`"):
        async with open_resources(settings, None, [Boat, int]):
            pass


@pytest.mark.usefixtures("told")
def test_two_sources_of_a_kind_are_refused() -> None:
    async def another(_settings: Settings, _store: Any) -> AsyncIterator[Boat]:
        yield Boat()

    with pytest.raises(RuntimeError, match=r"Boat has two sources: .*\.boat and .*\.another"):
        provides(Boat)(another)
