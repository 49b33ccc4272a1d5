"""One image to all that is asked of it, decoded once. Runs apart from the worker."""

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from base.output_names import Maker, NamesTakenError, tagged, taken
from base.produced import Record
from families.files.drafts import Draft, Drafts, Finished
from families.files.encoding import CannotEncodeError, Encoder, named_as, thumbnail_kind
from families.files.pictures import Picture, read
from families.files.sources import FileRefusedError, Identity
from workers.child import Report

THUMBNAILS: Final = {"small": (150, 150), "medium": (300, 300), "large": (600, 600)}
"""The boxes of thumbnails where a job names none."""

_LONGEST_NAME: Final = 255
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be made of an image."""

    path: Path
    root: Path
    """The storage root with the folder where the outputs go."""
    folder: Path
    maker: Maker
    thumbnails: Mapping[str, tuple[int, int]]
    """Boxes by name."""
    optimize: bool
    webp: bool
    quality: int
    webp_quality: int
    max_pixels: int
    identity: Identity
    drafts: Drafts


@dataclass(slots=True)
class Outcome:
    """What was made of an image."""

    kind: str
    width: int
    height: int
    frames: int
    has_alpha: bool
    size: int
    name: str = ""
    """The image's, as the outputs carry it."""
    made: dict[str, tuple[Finished, tuple[int, int]]] = field(default_factory=dict)
    """Files and their sizes in pixels, by output."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Why outputs were not made, or not kept."""


def process(report: Report, order: Order) -> Outcome:
    """Makes all outputs, then moves them to their places together.

    Raises:
      FileRefusedError: the image cannot be read.
    """
    if order.identity.size == 0:
        raise FileRefusedError(f"{order.path.name}: is empty")
    report(30, "decoding")
    picture = read(order.path, order.identity, order.max_pixels, _enough(order))
    report(40, "decoded")
    outcome = Outcome(
        picture.kind, picture.width, picture.height, len(picture.frames), picture.has_alpha, order.identity.size
    )
    with ExitStack() as stack:
        making = _Making(order, picture, outcome, stack)
        making.thumbnails(report)
        report(70, "thumbnails made")
        if order.optimize:
            making.optimized()
        report(80, "optimised")
        if order.webp:
            making.webp()
        report(90, "WebP made")
        making.publish()
    return outcome


def _enough(order: Order) -> tuple[int, int] | None:
    """The size at which thumbnails alone need the image."""
    if order.optimize or order.webp or not order.thumbnails:
        return None
    side = max(max(box) for box in order.thumbnails.values())
    return side, side


class _Making:
    """The drafts of one image's outputs."""

    def __init__(self, order: Order, picture: Picture, outcome: Outcome, stack: ExitStack) -> None:
        self._order = order
        self._picture = picture
        self._outcome = outcome
        self._stack = stack
        self._encoder = Encoder(picture, order.quality, order.webp_quality)
        self._done: dict[str, tuple[Draft, str, tuple[int, int]]] = {}
        """By output: what was written, the name that it should have, and its size in pixels."""

    def thumbnails(self, report: Report) -> None:
        name = named_as(self._order.path.name, thumbnail_kind(self._picture))
        boxes = sorted(self._order.thumbnails.items(), key=lambda item: max(item[1]), reverse=True)
        for count, (word, box) in enumerate(boxes):
            report(40 + 30 * count / len(boxes), f"thumbnail {word}")
            draft = self._draft()
            size = self._encoder.thumbnail(draft.file, box)
            self._done[f"thumbnail_{word}"] = (draft, _checked(f"thumbnail_{word}_{name}"), size)

    def optimized(self) -> None:
        name = named_as(self._order.path.name, self._picture.kind)
        draft = self._write("optimized", f"optimized_{name}", self._encoder.optimized)
        if draft is not None and draft.size >= self._outcome.size:
            del self._done["optimized"]
            self._outcome.skipped["optimized"] = (
                f"not smaller: {draft.size:,} bytes, and the original has {self._outcome.size:,}"
            )

    def webp(self) -> None:
        self._write("webp", f"{self._order.path.stem}.webp", self._encoder.webp)

    def publish(self) -> None:
        order, done = self._order, self._done
        prints = {output: draft.finish() for output, (draft, _, _) in done.items()}

        def name(output: str, suffix: str) -> str:
            return tagged(done[output][1], suffix)

        try:
            with taken(Record(order.root), order.folder, prints, name, order.maker) as names:
                self._outcome.name = tagged(order.path.name, names.suffix)
                for output, (draft, _, size) in done.items():
                    place = names.put(output, draft.path)
                    self._outcome.made[output] = (Finished(place, prints[output].size, prints[output].sha256), size)
        except NamesTakenError as error:
            raise FileRefusedError(str(error)) from None

    def _write(self, output: str, name: str, encode: Callable[[BinaryIO], None]) -> Draft | None:
        """The draft of one output; None if this image has none."""
        if self._order.folder / _checked(name) == self._order.path:
            self._outcome.skipped[output] = "it would take the original's place: its name and folder are the same"
            return None
        draft = self._draft()
        try:
            encode(draft.file)
        except CannotEncodeError as error:
            self._outcome.skipped[output] = str(error)
            return None
        self._done[output] = (draft, name, (self._picture.width, self._picture.height))
        return draft

    def _draft(self) -> Draft:
        return self._stack.enter_context(self._order.drafts.new(self._order.folder))


def _checked(name: str) -> str:
    if len(os.fsencode(name)) > _LONGEST_NAME:
        raise FileRefusedError(f"{name}: is too long for a file's name; shorten that of the image")
    return name
