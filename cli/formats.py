"""The formats for scripts. Lists are written item by item, so that any number of them takes the same memory."""

import json
from typing import Final, Protocol

from cli.mapping import Json
from cli.untrusted import harmless_json, is_harmful


class Formatter(Protocol):
    """How things are written, singly or in a list."""

    def single(self, value: Json) -> str: ...
    def item(self, value: Json, *, first: bool) -> str: ...
    def end(self, *, empty: bool) -> str: ...


class _Json:
    """An indented value; a list is an array."""

    def single(self, value: Json) -> str:
        return harmless_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n"

    def item(self, value: Json, *, first: bool) -> str:
        text = harmless_json(json.dumps(value, indent=2, ensure_ascii=False)).replace("\n", "\n  ")
        return ("[\n  " if first else ",\n  ") + text

    def end(self, *, empty: bool) -> str:
        return "[]\n" if empty else "\n]\n"


class _JsonLines:
    """One line for each value."""

    def single(self, value: Json) -> str:
        return harmless_json(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) + "\n"

    def item(self, value: Json, *, first: bool) -> str:  # noqa: ARG002  (every line is the same)
        return self.single(value)

    def end(self, *, empty: bool) -> str:  # noqa: ARG002  (as above)
        return ""


class _Yaml:
    """A document; a list is a sequence."""

    def single(self, value: Json) -> str:
        return _yaml(value)

    def item(self, value: Json, *, first: bool) -> str:  # noqa: ARG002  (a sequence has no brackets)
        return _yaml([value])

    def end(self, *, empty: bool) -> str:
        return "[]\n" if empty else ""


_FORMATTERS: Final[dict[str, Formatter]] = {"json": _Json(), "jsonl": _JsonLines(), "yaml": _Yaml()}


def formatter(name: str) -> Formatter:
    return _FORMATTERS[name]


def _yaml(value: object) -> str:
    import yaml  # noqa: PLC0415  (for those who ask for it)

    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120)
    if any(is_harmful(line) for line in text.splitlines()):
        # YAML can escape in quotes alone, and PyYAML quotes for this alone where it may write no letter beyond ASCII.
        text = yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=120)
    return text
