"""Photographs to measure with: 4000 x 3000 pixels, with soft shapes, texture and a sensor's noise."""

import random
from pathlib import Path
from typing import Final

from PIL import Image, ImageChops

SIZE: Final = (4000, 3000)
LAYERS: Final = ((4, 0.35), (12, 0.25), (40, 0.15), (130, 0.08), (450, 0.06), (1300, 0.04))
"""Cells a side of noise that is drawn out to the whole image, and how much of it there is."""
NOISE: Final = 6


def take(folder: Path, count: int) -> None:
    """Writes `in0.jpg` and so on, of about 3.4 MB each."""
    folder.mkdir(parents=True)
    for number in range(count):
        _photo(number).save(folder / f"in{number}.jpg", quality=92)


def _photo(number: int) -> Image.Image:
    return Image.merge("RGB", [_channel(random.Random(10 * number + channel)) for channel in range(3)])


def _channel(chance: random.Random) -> Image.Image:
    channel = Image.new("L", SIZE, 128)
    for cells, share in LAYERS:
        rows = cells * 3 // 4 + 1
        noise = Image.frombytes("L", (cells, rows), chance.randbytes(cells * rows))
        channel = Image.blend(channel, noise.resize(SIZE, Image.Resampling.BICUBIC), share)
    return ImageChops.add(channel, Image.effect_noise(SIZE, NOISE), 1, -128)
