"""Loads the Lua scripts: one operation a file, whose header declares its keys and arguments."""

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from textwrap import indent

from engine.lua_names import fold_constants, put_names

_HEADER = re.compile(r"^-- (KEYS|ARGV|FLAGS): (.+)$", re.MULTILINE)
_INCLUDE = re.compile(r"^--- @include (\w+)\n", re.MULTILINE)
_LAZY = re.compile(r"^--- @lazy (\w+): (\w+)\n", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*--.*\n|[ \t]+--[^\n']*$", re.MULTILINE)
_FUNCTION = re.compile(r"^local function (\w+)\((?:[^\n]*\bend\n|.*?^end\n)", re.MULTILINE | re.DOTALL)

_LAZILY = """\
local made_{function}
local function {function}(...)
 if not made_{function} then
{text} end
 return made_{function}(...)
end
"""


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
    """Puts each include in place once, and gathers the keys that they need.

    `--- @lazy NAME: FUNCTION` includes a file of which only FUNCTION is used, and seldom: what the file defines is made when
    FUNCTION is first called. Making a function costs each call of a script about as much as a command does.
    """
    keys.extend(key for key in _header(text, "KEYS") if key not in keys)

    def read(name: str, seen: list[str]) -> str:
        seen.append(name)
        return _expand((folder / "include" / f"{name}.lua").read_text("utf-8"), folder, seen, keys)

    def put(match: re.Match[str]) -> str:
        return "" if match[1] in seen else read(match[1], seen)

    def put_lazily(match: re.Match[str]) -> str:
        name, function = match.groups()
        text = without_unused_functions(f"{read(name, list(seen))}made_{function} = {function}\n")
        return _LAZILY.format(function=function, text=indent(text, " "))

    # Eager includes first: a lazy one uses what is there by then, and has copies of its own of everything else.
    return _LAZY.sub(put_lazily, _INCLUDE.sub(put, text))


def without_unused_functions(text: str) -> str:
    """The script without the functions that it never names, as includes bring them."""
    while True:
        for found in _FUNCTION.finditer(text):
            if not re.search(rf"\b{found[1]}\b", text[: found.start()] + text[found.end() :]):
                text = text[: found.start()] + text[found.end() :]
                break
        else:
            return text


def build(name: str, text: str, folder: resources.abc.Traversable) -> Script:
    """The script that a file's text makes; `folder` has the includes."""
    keys: list[str] = []
    try:
        body = fold_constants(put_names(_COMMENT.sub("", _expand(text, folder, [], keys))))
    except ValueError as error:
        raise ValueError(f"lua/{name}.lua: {error}") from error
    arguments = _header(text, "ARGV")
    flags = ",".join(_header(text, "FLAGS"))
    # The shebang lets a cluster refuse a key of another slot, and a full server refuse what lacks allow-oom.
    lines = [f"#!lua flags={flags}" if flags else "#!lua"]
    lines += [f"local {key} = KEYS[{place}]" for place, key in enumerate(keys, 1)]
    lines += [f"local {argument} = ARGV[{place}]" for place, argument in enumerate(arguments, 1)]
    # In a function of its own, so that keys and arguments are upvalues of the body: a function that is made there copies
    # these, but searches a list for each local of the function around it.
    code = "\n".join(line for line in without_unused_functions(body).splitlines() if line.strip())
    source = "\n".join([*lines, "return (function()", code, "end)()", ""])
    return Script(name, tuple(keys), arguments, source, hashlib.sha1(source.encode()).hexdigest())  # noqa: S324  (Redis names scripts so)


@cache
def load_scripts() -> dict[str, Script]:
    """Every script by its file's name."""
    folder = resources.files("engine") / "lua"
    return {
        path.name.removesuffix(".lua"): build(path.name.removesuffix(".lua"), path.read_text("utf-8"), folder)
        for path in folder.iterdir()
        if path.name.endswith(".lua")
    }
