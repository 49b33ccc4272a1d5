"""What came of each mail of a batch, packed so that it fits a job's checkpoint and grows by what is new alone."""

import time
import zlib
from typing import Any, Final, NamedTuple, Self

import msgspec

MAX_TEXT: Final = 300
"""Characters of an answer or an error that are kept."""
_TIGHT_FROM: Final = 700_000
"""Bytes from which texts are cut to the few characters that the longest batch has room for in a checkpoint of 1 MB."""
_TIGHT_TEXT: Final = 20
_ELAPSED: Final = -1


class Entry(NamedTuple):
    """How one mail ended."""

    sent: bool
    text: str
    """The server's answer, or why it failed."""


class Ledger:
    """The mails that are done, by their place in the batch. Lines of JSON in one zlib stream."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.sent = 0
        """How many of them went out."""
        self._news: list[bytes] = []
        self._packed = bytearray()
        self._packer = zlib.compressobj(level=1)
        self._earlier = 0.0
        self._began = time.monotonic()

    @classmethod
    def unpack(cls, checkpoint: bytes) -> Self:
        """Goes on from a checkpoint; an empty one is a beginning."""
        ledger = cls()
        lines = zlib.decompressobj().decompress(checkpoint).splitlines() if checkpoint else []
        for line in lines:
            place, *rest = msgspec.json.decode(line)
            if place == _ELAPSED:
                ledger._earlier = rest[0]
            else:
                ledger.record(place, sent=rest[0], text=rest[1])
        return ledger

    @property
    def elapsed(self) -> float:
        """Milliseconds that the batch has taken, earlier attempts up to their last checkpoints included."""
        return self._earlier + (time.monotonic() - self._began) * 1000

    def record(self, place: int, *, sent: bool, text: str) -> None:
        entry = Entry(sent, text[:MAX_TEXT])
        self.entries[place] = entry
        self.sent += sent
        kept = entry.text if len(self._packed) < _TIGHT_FROM else entry.text[:_TIGHT_TEXT]
        self._note(place, sent, kept)

    def pack(self) -> bytes:
        self._note(_ELAPSED, round(self.elapsed, 1))
        self._packed += self._packer.compress(b"\n".join(self._news) + b"\n")
        self._packed += self._packer.flush(zlib.Z_SYNC_FLUSH)
        self._news.clear()
        return bytes(self._packed)

    def _note(self, *line: Any) -> None:
        self._news.append(msgspec.json.encode(line))
