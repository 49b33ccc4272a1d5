"""Loads the Lua scripts: one operation a file, whose header declares its keys and arguments."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

_HEADER = re.compile(r"^-- (KEYS|ARGV|FLAGS): (.+)$", re.MULTILINE)
_INCLUDE = re.compile(r"^--- @include (\w+)\n", re.MULTILINE)
_CONSTANTS = re.compile(r"^local ([A-Z][A-Z0-9_]*(?:, [A-Z][A-Z0-9_]*)*) = (\d+(?:, \d+)*)(?: --.*)?\n", re.MULTILINE)
_TOKEN = re.compile(r"--[^\n]*|'(?:[^'\\\n]|\\.)*'|\b[A-Z][A-Z0-9_]*\b")


@dataclass(frozen=True, slots=True)
class Script:
    """A script ready to run: `source` names its keys and arguments, so that no body counts places."""

    name: str
    keys: tuple[str, ...]
    """Names of the keys it touches, all under one hash tag; see engine/keys.py."""
    arguments: tuple[str, ...]
    source: str
    sha: str


def _header(text: str, kind: str) -> tuple[str, ...]:
    return tuple(word for found, words in _HEADER.findall(text) if found == kind for word in words.split())


def _expand(text: str, folder: resources.abc.Traversable, seen: list[str], keys: list[str]) -> str:
    """Puts each include in place once, and gathers the keys that they need."""
    keys.extend(key for key in _header(text, "KEYS") if key not in keys)

    def put(match: re.Match[str]) -> str:
        name = match[1]
        if name in seen:
            return ""
        seen.append(name)
        return _expand((folder / "include" / f"{name}.lua").read_text("utf-8"), folder, seen, keys)

    return _INCLUDE.sub(put, text)


def fold_constants(text: str) -> str:
    """Puts the numbers that the text names by constants in their places.

    A constant that stayed a local would be bound to each function that uses it, anew in each call of the script: a third of
    what a call costs before it does anything.

    Raises:
      ValueError: a constant has two values.
    """
    numbers: dict[str, str] = {}
    for names, values in _CONSTANTS.findall(text):
        for name, value in zip(names.split(", "), values.split(", "), strict=True):
            if numbers.setdefault(name, value) != value:
                raise ValueError(f"{name} is {numbers[name]} and {value}")
    return _TOKEN.sub(lambda found: numbers.get(found[0], found[0]), _CONSTANTS.sub("", text))


def _build(name: str, text: str, folder: resources.abc.Traversable) -> Script:
    keys: list[str] = []
    body = fold_constants(_expand(text, folder, [], keys))
    arguments = _header(text, "ARGV")
    flags = ",".join(_header(text, "FLAGS"))
    # The shebang lets a cluster refuse a key of another slot, and a full server refuse what lacks allow-oom.
    lines = [f"#!lua flags={flags}" if flags else "#!lua"]
    lines += [f"local {key} = KEYS[{place}]" for place, key in enumerate(keys, 1)]
    lines += [f"local {argument} = ARGV[{place}]" for place, argument in enumerate(arguments, 1)]
    code = "\n".join(line for line in body.splitlines() if line.strip() and not line.lstrip().startswith("--"))
    source = "\n".join([*lines, code, ""])
    return Script(name, tuple(keys), arguments, source, hashlib.sha1(source.encode()).hexdigest())  # noqa: S324  (Redis names scripts so)


@cache
def load_scripts() -> dict[str, Script]:
    """Every script by its file's name."""
    folder = resources.files("engine") / "lua"
    return {
        path.name.removesuffix(".lua"): _build(path.name.removesuffix(".lua"), path.read_text("utf-8"), folder)
        for path in folder.iterdir()
        if path.name.endswith(".lua")
    }
