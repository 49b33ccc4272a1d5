"""What is left to do once a handler has ended, which its job's cancel does not cut short: clean-up, middlewares."""

from typing import Final

import anyio

CLEANUP_SECONDS: Final = 10.0
"""What it has: a job that was broken off must not hold its slot for ever."""


def protect(scope: anyio.CancelScope) -> None:
    """From here on what runs in the scope hears no cancel but that of its own deadline.

    The scope is entered before any dependency is opened. One around their clean-up alone would not do: a dependency may hold a
    scope of its own, and scopes are left in the order in which they were entered, the last one first.
    """
    scope.shield = True
    scope.deadline = anyio.current_time() + CLEANUP_SECONDS
