"""Fills in the mail templates: Jinja2 in a sandbox, styles inlined, links limited."""

import html
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, NoReturn

from css_inline import CSSInliner
from jinja2 import (
    ChainableUndefined,
    Environment,
    FileSystemLoader,
    Template,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
    pass_eval_context,
    select_autoescape,
)
from jinja2.exceptions import SecurityError
from jinja2.loaders import split_template_path
from jinja2.nodes import EvalContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from families.email.bidirectional import isolated
from families.email.filters import template_filters
from families.email.links import neutralised
from families.email.plaintext import to_text
from families.email.sanitizing import sanitize
from families.email.template_files import OWN_FOLDER

MAX_OUTPUT: Final = 2_000_000
"""Characters that a template may become."""

_FAULTS: Final = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What templates raise that ask for the impossible."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_HANDLEBARS: Final = re.compile(r"\{\{[#/^>]|\{\{else\}\}")
_FROM_HANDLEBARS: Final = (
    ". It is written for Handlebars, and templates here are Jinja2: the table “From Handlebars” in README.md beside the "
    "templates has each construct's counterpart"
)
_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)


class TemplateFaultError(Exception):
    """A template that cannot be used; the message names the file and the fault, for its author."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a template became."""

    subject: str
    """The HTML's title; empty if it has none."""
    html: str
    text: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a rendering depends on besides the template and its variables."""

    folder: Path
    locale: str
    zone: str
    app_url: str


def render(around: Surroundings, name: str, variables: Mapping[str, Any]) -> Rendered:
    """Fills in `NAME.html.j2` and `NAME.txt.j2`. Text that is missing is derived from the HTML.

    Raises:
      TemplateFaultError: there is no such template, or it cannot be filled in.
    """
    if not _NAME.fullmatch(name):
        raise TemplateFaultError(f"{name[:80]!r} is not a template's name: lower-case letters, digits, hyphens")
    page = _fill(around, f"{name}.html.j2", variables)
    text = _fill(around, f"{name}.txt.j2", variables)
    if page is None:
        if text is None:
            raise TemplateFaultError(f"there is no template {name!r}: put {name}.html.j2 into {around.folder}")
        return Rendered("", "", text)
    page = neutralised(_inliner().inline(page))
    return Rendered(_subject(page), page, to_text(page) if text is None else text)


def _fill(around: Surroundings, file: str, variables: Mapping[str, Any]) -> str | None:
    """The file filled in; None if there is none."""
    try:
        return _bounded(_environment(around).get_template(file), variables)
    except TemplateNotFound as error:
        if error.name == file:
            return None
        raise TemplateFaultError(f"{file} needs {error.name}, which is not there") from None
    except TemplateSyntaxError as error:
        hint = _FROM_HANDLEBARS if _HANDLEBARS.search(error.source or "") else ""
        raise TemplateFaultError(f"{error.name or file}, line {error.lineno}: {error.message}{hint}") from None
    except _FAULTS as error:
        raise TemplateFaultError(f"{file} cannot be filled in: {error}") from None


def _bounded(template: Template, variables: Mapping[str, Any]) -> str:
    pieces, size = [], 0
    for piece in template.generate(variables):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_OUTPUT:
            raise TemplateFaultError(f"{template.name} becomes longer than {MAX_OUTPUT:,} characters")
    return "".join(pieces)


def _subject(page: str) -> str:
    title = _TITLE.search(page)
    return " ".join(html.unescape(title[1]).split()) if title is not None else ""


class _Folders(FileSystemLoader):
    """Folders of which the first that has a file counts, also when the file was put there only now."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, file, unchanged = super().get_source(environment, template)
        parts = split_template_path(template)
        before = [Path(folder, *parts) for folder in self.searchpath]
        before = before[: before.index(Path(file))]
        return source, file, lambda: unchanged() and not any(path.is_file() for path in before)


class _Sandbox(ImmutableSandboxedEnvironment):
    def unsafe_undefined(self, obj: Any, attribute: str) -> NoReturn:
        """Jinja2 itself would answer an undefined value, which shows as nothing here: the author is to know."""
        raise SecurityError(f"access to attribute {attribute!r} of a {type(obj).__name__} is unsafe")

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        if switch := tree.find(nodes.EvalContextModifier):
            told = "{% autoescape %} cannot be used; a value's own HTML is shown, sanitized, by {{ value|safe }}"
            raise TemplateSyntaxError(told, switch.lineno, name, filename)
        return tree


@pass_eval_context
def _safe(context: EvalContext, value: Any) -> Any:
    """Jinja2's own filter trusts the value. Here it is shown as HTML, but with nothing in it that a mail may not hold."""
    if not context.autoescape or isinstance(value, Markup):
        return value
    return Markup(sanitize(str(value)))  # noqa: S704  (which is the point)


@lru_cache(maxsize=4)
def _environment(around: Surroundings) -> ImmutableSandboxedEnvironment:
    """Files are looked at again at each use, so that a changed template holds at once."""
    folders = [around.folder] if around.folder == OWN_FOLDER else [around.folder, OWN_FOLDER]
    environment = _Sandbox(
        loader=_Folders(folders),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default_for_string=False),
        undefined=ChainableUndefined,
        finalize=isolated,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(template_filters(around.locale, around.zone))
    environment.filters["safe"] = _safe
    environment.globals["appUrl"] = around.app_url.rstrip("/")
    return environment


@lru_cache(maxsize=1)
def _inliner() -> CSSInliner:
    """What cannot be inlined, such as rules for dark screens, stays; nothing is fetched."""
    return CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)
