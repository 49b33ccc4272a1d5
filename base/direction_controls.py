"""Letters that turn the text after them around: in a file's name they hide what it ends in."""

from typing import Final

DIRECTION_CONTROLS: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Embeddings, overrides and isolates, as `str.translate` takes them out."""
