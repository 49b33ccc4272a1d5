"""Characters that reverse the text after them: in a file's name they disguise its ending."""

from typing import Final

DIRECTION_CONTROLS: Final = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
"""Embeddings, overrides and isolates, as a table by which `str.translate` removes them."""
