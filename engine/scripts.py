"""Loads the Lua scripts: one operation a file, whose header declares its keys and arguments."""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from importlib import resources
from textwrap import indent

from engine.lua_files import INCLUDE, LAZY, LuaFile
from engine.lua_names import fold_constants, put_names

_COMMENT = re.compile(r"^[ \t]*--.*\n|[ \t]+--[^\n']*$", re.MULTILINE)
_FUNCTION = re.compile(r"^local function (\w+)\((?:[^\n]*\bend\n|.*?^end\n)", re.MULTILINE | re.DOTALL)

_WORD = re.compile(r"\w+")
_parsed = cache(LuaFile.parse)

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


class _Assembly:
    """Puts a script's includes in place: each once, behind those that it includes itself.

    `--- @include NAME` declares that a file uses what another one defines. `--- @lazy NAME: FUNCTION` includes a file of which
    FUNCTION alone is used, and seldom: what the file defines is made when FUNCTION is first called. Making a function costs
    each call of a script about as much as a command does.
    """

    def __init__(self, folder: resources.abc.Traversable) -> None:
        self._folder = folder
        self._files: dict[str, LuaFile] = {}
        self._eager: list[str] = []
        self._copied: set[str] = set()

    def text_of(self, script: LuaFile) -> str:
        """Raises ValueError where a file lacks something, or declares what it does not use."""
        text = self._expand(script, self._eager)
        if twice := self._copied.intersection(self._eager):
            raise ValueError(f"{', '.join(sorted(twice))}: include it before what makes a copy of it at its first use")
        self._check_arguments(script)
        return text

    def keys(self, script: LuaFile) -> tuple[str, ...]:
        return tuple(dict.fromkeys(key for file in (script, *self._files.values()) for key in file.keys))

    def _check_arguments(self, script: LuaFile) -> None:
        needed = {argument for file in self._files.values() for argument in file.arguments}
        if lacking := needed.difference(script.arguments):
            raise ValueError(f"an include needs the arguments {', '.join(sorted(lacking))}")
        if idle := set(script.arguments) - needed - script.used:
            raise ValueError(f"{script.name} declares {', '.join(sorted(idle))} and does not use it")

    def _file(self, name: str) -> LuaFile:
        if name not in self._files:
            path = self._folder / "include" / f"{name}.lua"
            if not path.is_file():
                raise ValueError(f"there is no include {name}")
            self._files[name] = _parsed(name, path.read_text("utf-8"))
        return self._files[name]

    def _expand(self, file: LuaFile, seen: list[str]) -> str:
        names = [*file.includes, *(name for name, _ in file.lazy)]
        file.check({name: self._file(name) for name in names})

        def put(match: re.Match[str]) -> str:
            return "" if match[1] in seen else self._read(match[1], seen)

        def put_lazily(match: re.Match[str]) -> str:
            name, function = match.groups()
            own = list(seen)
            text = without_unused_functions(f"{self._read(name, own)}made_{function} = {function}\n")
            self._copied.update(own[len(seen) + 1 :])
            return _LAZILY.format(function=function, text=indent(text, " "))

        # Eager includes first: a lazy one uses what is there by then, and has copies of its own of everything else.
        return LAZY.sub(put_lazily, INCLUDE.sub(put, file.text))

    def _read(self, name: str, seen: list[str]) -> str:
        seen.append(name)
        return self._expand(self._file(name), seen)


def without_unused_functions(text: str) -> str:
    """The script without the functions that it never names, as includes bring them."""
    while True:
        named = Counter(_WORD.findall(text))
        functions = list(_FUNCTION.finditer(text))
        unused = [one for one in functions if named[one[1]] == _WORD.findall(one[0]).count(one[1])]
        if not unused:
            return text
        for one in reversed(unused):
            text = text[: one.start()] + text[one.end() :]


def build(name: str, text: str, folder: resources.abc.Traversable) -> Script:
    """The script that a file's text makes; `folder` has the includes.

    Raises:
      ValueError: a file of it names what there is not, lacks an include, or declares what it does not use.
    """
    script, assembly = LuaFile.parse(name, text), _Assembly(folder)
    try:
        body = without_unused_functions(fold_constants(put_names(_COMMENT.sub("", assembly.text_of(script)))))
    except ValueError as error:
        raise ValueError(f"lua/{name}.lua: {error}") from error
    keys = tuple(key for key in assembly.keys(script) if re.search(rf"\b{key}\b", body))
    flags = ",".join(script.flags)
    # The shebang lets a cluster refuse a key of another slot, and a full server refuse what lacks allow-oom.
    lines = [f"#!lua flags={flags}" if flags else "#!lua"]
    lines += [f"local {key} = KEYS[{place}]" for place, key in enumerate(keys, 1)]
    lines += [f"local {argument} = ARGV[{place}]" for place, argument in enumerate(script.arguments, 1)]
    # In a function of its own, so that keys and arguments are upvalues of the body: a function that is made there copies
    # these, but searches a list for each local of the function around it.
    code = "\n".join(line for line in body.splitlines() if line.strip())
    source = "\n".join([*lines, "return (function()", code, "end)()", ""])
    return Script(name, keys, script.arguments, source, hashlib.sha1(source.encode()).hexdigest())  # noqa: S324  (Redis names scripts so)


@cache
def load_scripts() -> dict[str, Script]:
    """Every script by its file's name."""
    folder = resources.files("engine") / "lua"
    return {
        path.name.removesuffix(".lua"): build(path.name.removesuffix(".lua"), path.read_text("utf-8"), folder)
        for path in folder.iterdir()
        if path.name.endswith(".lua")
    }
