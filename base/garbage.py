"""How often Python looks for cycles among objects: seldom, in processes that make many of which none is in one."""

import gc
from typing import Final

EVERY: Final = 50_000
"""Objects made before it looks again."""


def look_seldom() -> None:
    """Called once all is loaded: that stays, and no later search has to look through it."""
    gc.freeze()
    gc.set_threshold(EVERY)
