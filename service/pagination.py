"""Pages of lists that are read whole: their sizes and tokens."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from contract.errors import FieldProblem, RequestInvalidError

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Paging(Generic[Item]):
    """How one list is paged. Its order must be that of its items' places."""

    of: str
    """Names the list, so that a token of one is refused by another."""
    place: Callable[[Item], str]
    usual: int
    """Items on a page where the caller says nothing."""
    most: int
    """Items on a page; who asks for more gets so many."""
    newest_first: bool = False
    """Whether later places come first."""

    def page(self, items: Sequence[Item], size: int, token: str) -> tuple[list[Item], str]:
        """The page, and the token of the next; empty on the last. Raises RequestInvalidError for another list's token."""
        if token:
            last = self._read(token)
            items = [one for one in items if self._follows(self.place(one), last)]
        taken = list(items[: min(size or self.usual, self.most)])
        return taken, self._token(self.place(taken[-1])) if len(taken) < len(items) else ""

    def _follows(self, place: str, last: str) -> bool:
        return place < last if self.newest_first else place > last

    def _token(self, place: str) -> str:
        return base64.urlsafe_b64encode(f"{self.of}\0{place}".encode()).decode().rstrip("=")

    def _read(self, token: str) -> str:
        try:
            of, _, place = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode().rpartition("\0")
        except (binascii.Error, ValueError):
            of, place = "", ""
        if of != self.of or not place:
            rule = "is not the nextPageToken of this list; leave it empty to begin"
            raise RequestInvalidError([FieldProblem("pageToken", "page_token", rule)])
        return place
