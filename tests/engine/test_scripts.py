"""What the loader makes of the scripts' text."""

import re
from pathlib import Path
from typing import Any

import pytest

from base.settings import PROJECT
from engine.jobs import EventKind, Outcome, State
from engine.lua_names import fold_constants, put_names
from engine.schema import ROWS, Record, Refusal
from engine.scripts import build, load_scripts, without_unused_functions
from engine.store import Store


def test_numbers_take_the_places_of_constants_and_nothing_else_changes() -> None:
    text = "local A, B_2 = 1, 20 -- two\nlocal C = {}\nlocal s = 'A' .. x.a -- A\nreturn record[B_2] + AB\n"
    assert fold_constants(text) == "local C = {}\nlocal s = 'A' .. x.a -- A\nreturn record[20] + AB\n"


def test_a_constant_of_two_values_is_refused() -> None:
    with pytest.raises(ValueError, match="STEP is 1 and 2"):
        fold_constants("local STEP = 1\nlocal STEP = 2\n")


def test_places_values_widths_and_rows_are_put_in_by_name() -> None:
    text = "if record[Record.state] == State.ACTIVE then at = #ClaimedRow end -- Record.state\n"
    text += "return 'State.ACTIVE', Change.MISSING\n"
    assert put_names(text) == ("if record[1] == 'a' then at = 9 end -- Record.state\nreturn 'State.ACTIVE', (-1)\n")


def test_a_row_is_made_in_the_order_of_its_fields_whatever_the_order_in_the_script() -> None:
    text = "x = KnownId { state = f(a, { 1, ',' }),\n  digest = State.ACTIVE, created = now[Record.state] }\n"
    assert put_names(text) == "x = { 'a', now[1], f(a, { 1, ',' }) }\n"


def test_a_record_may_lack_what_was_added_later_and_nothing_else() -> None:
    optional = set(Record._field_defaults)
    fields = [f"{name} = 0" for name in ROWS["Record"] if name not in optional]
    assert put_names(f"Record {{ {', '.join(fields)} }}") == f"{{ {', '.join('0' * len(fields))} }}"
    with pytest.raises(ValueError, match="lacks owner"):
        put_names(f"Record {{ {', '.join(field for field in fields if not field.startswith('owner'))} }}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("local x = Record.stat", "Record has no field stat"),
        ("State.RUNNING", "State has no member RUNNING"),
        ("Recrod.state", "engine/schema.py has no row Recrod"),
        ("#State", "engine/schema.py has no row State"),
        ("local x = Record", "Record is neither"),
        ("LeaseItem { id = 1 }", "LeaseItem { … } lacks fence"),
        ("LeaseItem { id = 1, fence = 2, id = 3 }", "cannot take 'id = 3'"),
        ("LeaseItem { id = 1, fense = 2 }", "cannot take 'fense = 2'"),
        ("LeaseItem { 1, fence = 2 }", "cannot take '1'"),
    ],
)
def test_a_name_that_is_not_defined_is_refused(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"lua/mistaken\.lua: .*{re.escape(said)}"):
        build("mistaken", text, tmp_path)


def test_no_script_counts_places_or_spells_letters_out() -> None:
    letters = "|".join(
        value.value for kind in (State, Outcome, EventKind, Refusal) for value in kind if value.isalpha()
    )
    for path in (PROJECT / "engine" / "lua").rglob("*.lua"):
        code = re.sub(r"--.*", "", path.read_text("utf-8"))
        assert not re.search(rf"[=(,~] ?'(?:{letters})'|\b(?:row|item|record|wanted)\[\d+\]", code), path.name


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


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Includes: a clock, what needs it, and what makes a copy of it at its first use."""
    includes = {
        "clock": "local time = redis.call('TIME')\nlocal now = time[1] * 1000\n",
        "aging": "-- KEYS: born\n--- @include clock\nlocal function age(id) return now - redis.call('HGET', born, id) end\n",
        "seldom": "--- @lazy aging: age\nlocal function old(id) return age(id) > 5 end\n",
        "finding": "-- ARGV: wanted\nlocal function found(id) return id == wanted end\n",
    }
    (tmp_path / "include").mkdir()
    for name, text in includes.items():
        (tmp_path / "include" / f"{name}.lua").write_text(text)
    return tmp_path


def test_an_include_brings_what_it_needs_before_it_and_its_keys(folder: Path) -> None:
    script = build("ages", "-- ARGV: id\n--- @include aging\nreturn age(id)\n", folder)
    assert script.source.index("local now") < script.source.index("local function age")
    assert script.source.count("redis.call('TIME')") == 1
    assert script.keys == ("born",)


def test_a_key_that_only_a_function_left_out_would_touch_is_not_passed(folder: Path) -> None:
    (folder / "include" / "both.lua").write_text(
        "-- KEYS: one two\nlocal function first() return redis.call('GET', one) end\n"
        "local function second() return redis.call('GET', two) end\n"
    )
    assert build("first", "--- @include both\nreturn first()\n", folder).keys == ("one",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("return now\n", "mistaken uses now and includes nothing that has it"),
        ("--- @include aging\nreturn age(now)\n", "mistaken uses now and includes nothing that has it"),
        ("return redis.call('GET', one)\n", "mistaken uses one and includes nothing that has it"),
        ("--- @include clock\nreturn 1\n", "mistaken includes clock and uses nothing of it"),
        ("--- @include clock\nlocal t = { now = 1 }\nreturn t.now\n", "mistaken includes clock and uses nothing of it"),
        ("--- @include clock\nlocal now = 1\nreturn now\n", "mistaken includes clock and uses nothing of it"),
        ("--- @include watch\nreturn 1\n", "there is no include watch"),
        ("--- @lazy aging: age\nreturn 1\n", "mistaken includes aging for age, which is not there or not used"),
        ("--- @lazy aging: aged\nreturn aged(1)\n", "mistaken includes aging for aged, which is not there or not used"),
        ("-- KEYS: one\nreturn 1\n", "mistaken declares one and does not use it"),
        ("-- ARGV: one\nreturn 1\n", "mistaken declares one and does not use it"),
        ("--- @include finding\nreturn found(1)\n", "an include needs the arguments wanted"),
        ("--- @include seldom\n--- @include clock\nreturn old(now)\n", "clock: include it before what makes a copy"),
    ],
)
def test_a_file_that_lacks_something_or_declares_what_it_does_not_use_is_refused(
    folder: Path, text: str, said: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(f"lua/mistaken.lua: {said}")):
        build("mistaken", text, folder)
