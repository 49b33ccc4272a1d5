"""Tests that need more than the environment of all others: a browser, and the packages of requirements-system.txt."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Other runs do not have those packages, so they do not even import these tests."""
    return None if config.getoption("markexpr") in {"", "system"} else True
