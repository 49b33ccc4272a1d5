"""What the loader makes of the scripts' text."""

import re
from pathlib import Path
from typing import Any

import pytest

from engine.scripts import build, fold_constants, load_scripts, without_unused_functions
from engine.store import Store


def test_numbers_take_the_places_of_constants_and_nothing_else_changes() -> None:
    text = "local A, B_2 = 1, 20 -- two\nlocal C = {}\nlocal s = 'A' .. x.a -- A\nreturn record[B_2] + AB\n"
    assert fold_constants(text) == "local C = {}\nlocal s = 'A' .. x.a -- A\nreturn record[20] + AB\n"


def test_a_constant_of_two_values_is_refused() -> None:
    with pytest.raises(ValueError, match="STEP is 1 and 2"):
        fold_constants("local STEP = 1\nlocal STEP = 2\n")


def test_no_script_has_a_name_of_a_constant_left() -> None:
    for script in load_scripts().values():
        code = re.sub(r"'(?:[^'\\]|\\.)*'|--.*", "''", script.source.partition("\n")[2])
        defined = set(re.findall(r"^ *local ([\w, ]+) =", code, re.MULTILINE))
        names = {name for group in defined for name in group.split(", ")}
        assert set(re.findall(r"\b[A-Z][A-Z0-9_]*\b", code)) <= names | {"KEYS", "ARGV"}, script.name


def test_functions_that_a_script_never_names_are_left_out_and_so_are_those_that_only_they_name() -> None:
    text = (
        "local function inner(a) return a end\n"
        "local function outer(a)\n  return inner(a)\nend\n"
        "local function used()\n  return used\nend\n"
        "return used()\n"
    )
    assert without_unused_functions(text) == "local function used()\n  return used\nend\nreturn used()\n"


async def test_what_a_lazy_include_defines_is_made_at_its_first_use_and_keeps_its_state(
    store: Store, tmp_path: Path
) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "counting.lua").write_text(
        "-- KEYS: counter\nlocal STEP = 2\nredis.call('INCR', counter)\nlocal count = 0\n"
        "local function count_on(by)\n  count = count + by * STEP\n  return count\nend\n"
    )
    lazy = "--- @lazy counting: count_on\n"
    unused = build("unused", f"{lazy}local function idle() return count_on(1) end\nreturn 0\n", tmp_path)
    twice = build("twice", f"{lazy}count_on(3)\nreturn count_on(4)\n", tmp_path)
    client: Any = store.client
    key = store.keys("scripts")["counter"]

    assert "INCR" not in unused.source
    assert await client.eval(twice.source, 1, key) == (3 + 4) * 2
    assert await client.get(key) == b"1"
