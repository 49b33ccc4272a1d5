"""ARCHITECTURE.md tells the truth about the code: its rooms, its paths, and which modules a plugin may have."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from base.plugins import HOOKS
from base.settings import PROJECT

TEXT = (PROJECT / "ARCHITECTURE.md").read_text("utf-8")
STEP = re.compile(r"`([\w./-]+\.(?:py|lua))`(?: `([\w.]+)`)?")


def section(title: str) -> str:
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def table() -> dict[str, set[str]]:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section("The rooms"), re.MULTILINE)
    return {room: set(re.findall(r"`(\w+)`", imports.split(" (")[0])) for room, imports in rows}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_the_table_of_rooms_is_what_they_import() -> None:
    told = table()
    found: dict[str, set[str]] = defaultdict(set)
    for room in told:
        for path in (PROJECT / room).rglob("*.py"):
            found[room] |= {name.partition(".")[0] for name in imported(path)} & told.keys() - {room}
    assert told == {room: found[room] for room in told}


def test_the_table_of_a_plugins_modules_has_all_and_no_other() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", section("A family is a plugin"), re.MULTILINE))
    assert named == {*HOOKS, "client"}


@pytest.mark.parametrize(("file", "name"), sorted(set(STEP.findall(section("The paths")))))
def test_a_step_of_a_path_is_there(file: str, name: str) -> None:
    text = (PROJECT / file).read_text("utf-8")
    for part in name.split(".") if name else ():
        assert re.search(rf"\b(?:class|def|local function) {part}\b", text), f"{file} has no {part}"


def test_every_path_is_told() -> None:
    assert re.findall(r"^\*\*(\w+)\*\*$", section("The paths"), re.MULTILINE) == ["Enqueue", "Run", "Watch", "Schedule"]
    assert len(STEP.findall(section("The paths"))) > 20
