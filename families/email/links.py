"""Which links a mail may hold: http, https and mailto, and pictures that travel with it."""

import html
import re
from typing import Final

HARMLESS: Final = "#"
"""What stands in place of a link that may not be."""

_LINK_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_SOURCE_SCHEMES: Final = frozenset({"http", "https", "cid"})
_LINKS: Final = frozenset({"href", "xlink:href", "action", "formaction", "data"})
_SOURCES: Final = frozenset({"src", "srcset", "background", "poster"})

_IGNORED: Final = re.compile(r"[\t\r\n]")
_SCHEME: Final = re.compile(r"[\x00-\x20]*([A-Za-z][A-Za-z0-9+.-]*):")
_PICTURE: Final = re.compile(r"\s*data:image/(?:png|gif|jpeg|webp|avif)[;,]", re.IGNORECASE)

_ATTRIBUTE: Final = r"""[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z)|[^\s>"'][^\s>]*+|))?+"""
# HTML's own way to cut a document into tags. Nothing in it backs up, so that no document takes longer than its length.
_MARKUP: Final = re.compile(
    r"<!--(?:-?>|.*?(?:--!?>|\Z))"
    r"|<(title|style|script|textarea)(?=[\s/>]).*?(?:</\1(?=[\s/>])|\Z)"
    rf"|<[a-z](?>[^\s/>]*+)(?>(?:[\s/]++|{_ATTRIBUTE})*+)(?:>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTES: Final = re.compile(
    r"""(?P<name>[^\s/>=][^\s/>=]*+)(?P<gap>\s*+=\s*+)(?P<value>"[^"]*+"?|'[^']*+'?|[^\s>"'][^\s>]*+)"""
)

_SUSPECT: Final = {
    stem: re.compile(rf"""{stem}(?:set)?\s*+=\s*+["']?+(?!https?://|mailto:|#)""")
    for stem in ("href", "action", "data", "src", "background", "poster")
}
"""What is to be looked at more closely, by how the names above end. Most mails have nothing of it."""


def safe_url(url: object) -> str:
    """The link, if it is an absolute one that a mail may hold; else `#`."""
    text = _IGNORED.sub("", str(url)).strip()
    scheme = _SCHEME.match(text)
    return text if scheme is not None and scheme[1].lower() in _LINK_SCHEMES else HARMLESS


def neutralised(document: str) -> str:
    """The HTML with every link and source of another scheme, such as `javascript:`, replaced by `#`."""
    lowered = document.lower()
    if not any(name in lowered and suspect.search(lowered) for name, suspect in _SUSPECT.items()):
        return document
    return _MARKUP.sub(_clean_tag, document)


def _clean_tag(match: re.Match[str]) -> str:
    tag = match[0]
    if (":" not in tag and "&" not in tag) or tag.startswith("<!") or match[1]:
        return tag
    return _ATTRIBUTES.sub(_clean_attribute, tag)


def _clean_attribute(match: re.Match[str]) -> str:
    name, value = match["name"].lower(), match["value"].strip("\"'")
    if name in _LINKS:
        allowed = _LINK_SCHEMES
    elif name in _SOURCES:
        allowed = _SOURCE_SCHEMES
        if _PICTURE.match(value):
            return match[0]
    else:
        return match[0]
    scheme = _SCHEME.match(_IGNORED.sub("", html.unescape(value)))
    if scheme is None or scheme[1].lower() in allowed:
        return match[0]
    return f'{match["name"]}{match["gap"]}"{HARMLESS}"'
