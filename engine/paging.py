"""Page tokens: where a page ended, bound to the query that it belongs to."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Self

from engine.errors import FieldProblem, RequestInvalidError
from engine.jobs import JobQuery
from engine.packing import pack


def query_digest(query: JobQuery, order: str) -> str:
    """Names a query, so that a token of one is refused by another."""
    parts = [
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
    digest: str
    place: str = ""
    """A score of the index that is walked, or the created time and id of a job; empty at the start."""

    @property
    def text(self) -> str:
        return base64.urlsafe_b64encode(f"{self.digest} {self.place}".encode()).decode().rstrip("=")

    @property
    def created_order(self) -> tuple[int, str]:
        created, _, job_id = self.place.partition(" ")
        return int(created) if created.isdigit() else 0, job_id

    @classmethod
    def read(cls, text: str, digest: str) -> Self:
        """Raises RequestInvalidError for what is no token of this query."""
        if not text:
            return cls(digest)
        try:
            found, _, place = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii").partition(" ")
        except (binascii.Error, ValueError):
            found, place = "", ""
        number, _, _ = place.partition(" ")
        if found != digest or not number.lstrip("-").isdigit():
            raise RequestInvalidError(
                [
                    FieldProblem(
                        "pageToken",
                        "page_token",
                        "is not the nextPageToken of this query; leave it empty to begin, and keep all else",
                    )
                ]
            )
        return cls(digest, place)
