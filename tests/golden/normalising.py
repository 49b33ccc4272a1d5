"""What differs from run to run gets a word that says what it is, so that golden files change only with the contract."""

import json
import re
from typing import Any, Final

TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
SERVER_ID: Final = re.compile(r"\b[0-9a-z]{26}-0\b")
SLOT: Final = re.compile(r"\b\d{8}T\d{6}(\.\d+)?Z")
WORDS: Final = {
    "sequence": "<sequence>",
    "nextPageToken": "<token>",
    "etag": "<etag>",
    "version": "<version>",
    "storeVersion": "<version>",
}
"""Names whose text is the service's own affair, unless it is empty."""
MEASURED: Final = re.compile(
    r"(p50|p95|p99|uptime\w*|memory\w*|storeMemory\w*|latency\w*|oldestWaitingAge\w*|pid)$", re.IGNORECASE
)
"""Names of numbers and durations that are measured."""
UNORDERED: Final = frozenset({"schema", "metadata", "byStatus", "byRole", "storageIds"})
"""Maps, whose entries come in any order."""
SHOWN: Final = 3
"""Of a longer list the first entries stand for all."""


def normalised(value: Any, name: str = "") -> Any:
    """The same JSON with words for times, ids, tokens and figures that were measured; empty values stay as they are."""
    if name in UNORDERED:
        value = json.loads(json.dumps(value, sort_keys=True))
    if name == "perMinute":  # a share of the minute before is in it, which shrinks as time goes on
        return dict.fromkeys(value, "<measured>")
    if isinstance(value, dict):
        return {key: normalised(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        shown = [normalised(inner, name) for inner in value[:SHOWN]]
        return [*shown, "<more>"] if len(value) > SHOWN else shown
    if value in ("", None) or isinstance(value, bool):
        return value
    if MEASURED.match(name):
        return "<measured>"
    return _text(value, name) if isinstance(value, str) else value


def _text(value: str, name: str) -> str:
    if name in WORDS:
        return WORDS[name]
    return "<time>" if TIME.match(value) else SLOT.sub("<slot>", SERVER_ID.sub("<id>", value))
