"""Page tokens: where a page ended, bound to the query that it belongs to."""

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from contract.errors import FieldProblem, RequestInvalidError
from engine.jobs import JobQuery
from engine.packing import pack

_PLACE: Final = re.compile(r"(\d{13})([\x21-\x7e]{1,128}) ([\x21-\x7e]{1,128})")
_SCORED: Final = re.compile(r"(-?\d{1,17}(?:\.\d{1,17})?(?:e\+?\d{1,2})?) ([\x21-\x7e]{1,128})")


class Place(NamedTuple):
    """A job's place in the order of creation over several queues; it never changes."""

    created: int
    job_id: str
    queue: str

    @property
    def key(self) -> str:
        """The same within its queue, as lua/include/index.lua writes it."""
        return f"{self.created:013d}{self.job_id}"

    @classmethod
    def of_key(cls, key: str, queue: str) -> Self:
        return cls(int(key[:13]), key[13:], queue)


class ScoredPlace(NamedTuple):
    """A job's place in the set of its state."""

    score: str
    job_id: str


def query_digest(queues: Sequence[str], query: JobQuery, order: str) -> str:
    """Names a query, so that a token of one is refused by another."""
    parts = [
        list(queues),
        sorted(query.states),
        query.type,
        query.owner,
        query.created_after,
        query.created_before,
        query.text,
        order,
    ]
    return hashlib.sha256(pack(parts)).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class PageToken:
    """The place that a page came to."""

    digest: str
    place: Place | ScoredPlace

    @property
    def text(self) -> str:
        place = self.place
        words = f"{place.key} {place.queue}" if isinstance(place, Place) else f"{place.score} {place.job_id}"
        return base64.urlsafe_b64encode(f"{self.digest} {words}".encode()).decode().rstrip("=")


def read_token(text: str, digest: str) -> Place | None:
    """The place in the order of creation that a token names; None for an empty one.

    Raises:
      RequestInvalidError: it is no token of this query.
    """
    words = _words(text, digest)
    if not words:
        return None
    if (found := _PLACE.fullmatch(words)) is None:
        raise _foreign()
    return Place(int(found[1]), found[2], found[3])


def read_scored_token(text: str, digest: str) -> ScoredPlace | None:
    """The same in the order of a state's own set."""
    words = _words(text, digest)
    if not words:
        return None
    if (found := _SCORED.fullmatch(words)) is None:
        raise _foreign()
    return ScoredPlace(found[1], found[2])


def _words(text: str, digest: str) -> str:
    if not text:
        return ""
    try:
        found, _, words = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition(" ")
    except (binascii.Error, ValueError):
        found, words = "", ""
    if found != digest or not words:
        raise _foreign()
    return words


def _foreign() -> RequestInvalidError:
    said = "is not the nextPageToken of this query; leave it empty to begin, and keep all else"
    return RequestInvalidError([FieldProblem("pageToken", "page_token", said)])
