"""What a file of Lua declares, includes, uses and defines; and the check that these agree."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Self

_HEADER: Final = re.compile(r"^-- (KEYS|ARGV|FLAGS): (.+)$", re.MULTILINE)
INCLUDE: Final = re.compile(r"^--- @include (\w+)\n", re.MULTILINE)
LAZY: Final = re.compile(r"^--- @lazy (\w+): (\w+)\n", re.MULTILINE)
_TEXT: Final = re.compile(r"--[^\n]*|'(?:[^'\\\n]|\\.)*'")
_NAMES: Final = r"(\w+(?:, \w+)*)"
_TOP: Final = re.compile(rf"^local (?:function (\w+)|(?!function\b){_NAMES})", re.MULTILINE)
_LOCALS: Final = re.compile(rf"\blocal (?!function\b){_NAMES}|\bfor {_NAMES}|\bfunction\b ?(\w*)\((?:{_NAMES})?\)")
_WORD: Final = re.compile(r"[{}]|(?<![\w.:])([A-Za-z_]\w*)(\s*=(?!=))?")
_LANGUAGE: Final = (
    "and break do else elseif end false for function if in local nil not or repeat return then true until while "
    "redis cmsgpack string table math unpack pairs ipairs tonumber tostring pcall type select"
)
_KNOWN: Final = frozenset(_LANGUAGE.split(" "))
_SCHEMA: Final = re.compile(r"[A-Z]+[a-z]")
"""How the names of engine/schema.py begin, unlike those of constants."""


@dataclass(frozen=True, slots=True)
class LuaFile:
    """A script, or a file that scripts include."""

    name: str
    text: str
    keys: tuple[str, ...]
    arguments: tuple[str, ...]
    flags: tuple[str, ...]
    includes: tuple[str, ...]
    lazy: tuple[tuple[str, str], ...]
    """Included files of which one function is used, and that function."""
    used: frozenset[str]
    """Names that it uses and does not make itself."""
    defined: frozenset[str]
    """Names that it makes, and that are there for whoever includes it."""

    @classmethod
    def parse(cls, name: str, text: str) -> Self:
        code = _TEXT.sub("''", text)
        own = {word for found in _LOCALS.finditer(code) for word in _words(found)}
        return cls(
            name,
            text,
            keys=_declared(text, "KEYS"),
            arguments=_declared(text, "ARGV"),
            flags=_declared(text, "FLAGS"),
            includes=tuple(INCLUDE.findall(text)),
            lazy=tuple(LAZY.findall(text)),
            used=frozenset(word for word in _mentioned(code) if word not in own and word not in _KNOWN),
            defined=frozenset(word for found in _TOP.finditer(code) for word in _words(found)),
        )

    def check(self, includes: Mapping[str, "LuaFile"]) -> None:
        """Holds what it uses against what it declares; `includes` has the files that it includes, by name.

        Raises:
          ValueError: it lacks something, or declares what it does not use. A script may take arguments for its includes.
        """
        there = {*self.keys, *self.arguments, *(function for _, function in self.lazy)}
        for name in self.includes:
            if not includes[name].defined & self.used:
                raise ValueError(f"{self.name} includes {name} and uses nothing of it")
            there |= includes[name].defined
        for name, function in self.lazy:
            if function not in includes[name].defined or function not in self.used:
                raise ValueError(f"{self.name} includes {name} for {function}, which is not there or not used")
        if lacking := self.used - there:
            raise ValueError(f"{self.name} uses {', '.join(sorted(lacking))} and includes nothing that has it")
        if idle := set(self.keys) - self.used:
            raise ValueError(f"{self.name} declares {', '.join(sorted(idle))} and does not use it")


def _declared(text: str, kind: str) -> tuple[str, ...]:
    return tuple(word for found, words in _HEADER.findall(text) if found == kind for word in words.split())


def _words(found: re.Match[str]) -> Iterator[str]:
    return (word for group in found.groups() if group for word in group.split(", "))


def _mentioned(code: str) -> Iterator[str]:
    """Every name but those of fields, which stand behind a dot, or before `=` in braces."""
    depth = 0
    for found in _WORD.finditer(code):
        if found[1] is None:
            depth += 1 if found[0] == "{" else -1
        elif not (found[2] and depth) and not _SCHEMA.match(found[1]):
            yield found[1]
