"""The plain text of an HTML document, with its links shown."""

import html
import re
from typing import Final

from inscriptis import get_text
from inscriptis.model.config import ParserConfig

_CONFIG: Final = ParserConfig(display_links=True)
_TAG: Final = re.compile(r"<(style|script|head)\b.*?(?:</\1\s*>|\Z)|<[^>]*(?:>|\Z)", re.IGNORECASE | re.DOTALL)
_BARE_LINK: Final = re.compile(r"\[(\S+)\]\((?:mailto:)?\1\)")
_GAP: Final = re.compile(r"\n{3,}")


def to_text(document: str) -> str:
    """Paragraphs, lists and tables as text; a link as `[text](address)`."""
    try:
        text = get_text(document, _CONFIG)
    except (RecursionError, ValueError, AssertionError):
        text = ""
    if not text.strip():
        # A document that is no tree, or one nested too deep for a parser.
        text = html.unescape(_TAG.sub(" ", document))
    lines = "\n".join(line.rstrip() for line in _BARE_LINK.sub(r"\1", text).splitlines())
    return _GAP.sub("\n\n", lines).strip() + "\n"
