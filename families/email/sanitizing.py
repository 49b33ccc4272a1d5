"""Keeps of a caller's HTML what a mail may show: no scripts, event handlers, forms or frames."""

import asyncio
from functools import cached_property
from typing import Final

import nh3
from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from families.email.links import neutralised
from workers.child import memory_bound

SANITIZE_SECONDS: Final = 15.0
"""The longest that sanitizing one mail may take."""
CHEAP: Final = 3000
"""Tags and entities up to which sanitizing takes some 30 ms at most. The time grows with the square of the nesting."""

_PROCESSES: Final = 2
_MEMORY: Final = 256 * 1024 * 1024
"""What sanitizing may take beyond what the process has already."""
_LAYOUT: Final = {
    *("style", "class", "id", "dir", "lang", "title", "align", "valign", "bgcolor", "background", "border", "color"),
    *("width", "height", "role", "cellpadding", "cellspacing", "colspan", "rowspan", "face", "size"),
}
_CLEANER: Final = nh3.Cleaner(
    tags=nh3.ALLOWED_TAGS | {"style", "font", "center", "big", "tt", "section", "main"},
    clean_content_tags={"script", "title", "noscript", "template"},
    attributes={
        "*": _LAYOUT,
        "a": {"href", "name", "target"},
        "img": {"src", "alt"},
        "ol": {"start", "type"},
        "col": {"span"},
        "th": {"scope"},
    },
    # `neutralised` decides about links; it lets pictures through that travel with the mail.
    url_schemes={"http", "https", "mailto", "cid", "data"},
    generic_attribute_prefixes={"aria-"},
)


class HtmlRefusedError(Exception):
    """HTML that cannot be sanitized within bounds; the message says why."""


def sanitize(html: str) -> str:
    """The HTML with nothing in it but what a mail may show. Comments and the document's own frame go, too."""
    return neutralised(_CLEANER.clean(html))


class Sanitizer:
    """Sanitizes the mails of one worker process. What may take long runs apart, where it can be ended."""

    async def sanitized(self, html: str) -> str:
        """Returns what `sanitize` does.

        Raises:
          HtmlRefusedError: it took too long or too much memory.
        """
        if html.count("<") + html.count("&") <= CHEAP:
            return sanitize(html)
        try:
            async with asyncio.timeout(SANITIZE_SECONDS):
                return await to_process.run_sync(_sanitize_apart, html, cancellable=True, limiter=self._limiter)
        except (TimeoutError, MemoryError, BrokenWorkerProcess):
            raise HtmlRefusedError("`html` cannot be read: it nests its tags too deep; flatten it") from None

    @cached_property
    def _limiter(self) -> CapacityLimiter:
        return CapacityLimiter(_PROCESSES)


def _sanitize_apart(html: str) -> str:
    with memory_bound(_MEMORY):
        return sanitize(html)
