"""Seconds and memory that a photograph of 12 megapixels takes to its thumbnails, optimised copy and WebP."""

from typing import Any

from bench import node, photos
from bench.processes import Processes
from bench.run import Figures, Run

PHOTOS = 4


async def measure(run: Run) -> Figures:
    folder = run.folder / "photos"
    if not folder.exists():
        photos.take(folder, PHOTOS)
    figures: Figures = {}
    async with Processes(run.folder) as processes:
        outputs = run.folder / "images"
        outputs.mkdir(exist_ok=True)
        figures |= _named("own", await processes.load("images", folder, outputs))
        if node.has("sharp"):
            figures |= _named("sharp", await processes.run(*node.program("sharp"), folder, outputs))
    return figures


def _named(system: str, answer: dict[str, Any]) -> Figures:
    return {f"{system}.image_{name}": float(answer[name]) for name in ("seconds", "cpu", "megabytes")}
