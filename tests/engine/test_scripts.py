"""What the loader makes of the scripts' text."""

import re

import pytest

from engine.scripts import fold_constants, load_scripts


def test_numbers_take_the_places_of_constants_and_nothing_else_changes() -> None:
    text = "local A, B_2 = 1, 20 -- two\nlocal C = {}\nlocal s = 'A' .. x.a -- A\nreturn record[B_2] + AB\n"
    assert fold_constants(text) == "local C = {}\nlocal s = 'A' .. x.a -- A\nreturn record[20] + AB\n"


def test_a_constant_of_two_values_is_refused() -> None:
    with pytest.raises(ValueError, match="STEP is 1 and 2"):
        fold_constants("local STEP = 1\nlocal STEP = 2\n")


def test_no_script_has_a_name_of_a_constant_left() -> None:
    for script in load_scripts().values():
        code = re.sub(r"'(?:[^'\\]|\\.)*'|--.*", "''", script.source.partition("\n")[2])
        defined = set(re.findall(r"^local ([\w, ]+) =", code, re.MULTILINE))
        names = {name for group in defined for name in group.split(", ")}
        assert set(re.findall(r"\b[A-Z][A-Z0-9_]*\b", code)) <= names | {"KEYS", "ARGV"}, script.name
