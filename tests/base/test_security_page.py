"""SECURITY.md points at tests that there are, and nothing but the keys of tokens is fetched from an address."""

import ast
import re
from collections.abc import Iterator

from base.settings import PROJECT

SPEAK_HTTP = {"urllib.request", "http.client", "httpx", "aiohttp", "requests", "urllib3"}


def test_every_test_that_is_named_is_there() -> None:
    page = (PROJECT / "SECURITY.md").read_text("utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)`", page)
    assert len(named) > 20
    assert [path for path in named if not (PROJECT / path).is_file()] == []
    promises = list(page.split("\n- **")[1:])
    assert [entry for entry in promises if "`tests/" not in entry] == []


def imports(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def test_only_the_keys_of_tokens_are_fetched() -> None:
    speakers = {
        path.relative_to(PROJECT).as_posix()
        for room in ("base", "engine", "service", "workers")
        for path in (PROJECT / room).rglob("*.py")
        if SPEAK_HTTP & set(imports(path.read_text("utf-8")))
    }
    assert speakers == {"service/keys.py"}
