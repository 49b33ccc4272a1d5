"""docs/configuration.md has every setting, with the default that it has, and none that there is not."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from base.settings import PROJECT, settings_class

ROWS = re.findall(
    r"^\| ([A-Z][A-Z0-9_, ]+) \| ([^|]+) \|", (PROJECT / "docs" / "configuration.md").read_text(), re.MULTILINE
)
TOLD = {
    name: default.strip()
    for names, defaults in ROWS
    for name, default in zip(
        names.split(", "),
        defaults.split(", ") if defaults.count(", ") == names.count(", ") else [defaults] * (names.count(", ") + 1),
        strict=True,
    )
}


@pytest.mark.families
def test_every_setting_is_documented_and_no_other() -> None:
    assert set(TOLD) == {name.upper() for name in settings_class().model_fields}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Path):
        return str(value.relative_to(PROJECT) if value.is_absolute() else f"./{value}")
    return str(value)


PLAIN = [
    name
    for name, field in settings_class().model_fields.items()
    if field.default is not None and field.default != () and not isinstance(field.default, SecretStr)
]


@pytest.mark.parametrize("name", PLAIN)
def test_the_default_is_the_documented_one(name: str) -> None:
    assert TOLD[name.upper()].startswith(_shown(settings_class().model_fields[name].default))
