"""What a command means, before anybody carries it out."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

from cli.access import Wishes
from cli.exits import Exit

if TYPE_CHECKING:
    from cli.session import Session

Action: TypeAlias = "Callable[[Session], Awaitable[Exit | None]]"
"""What a command does; None means that all went well."""
Performer: TypeAlias = Callable[[Action, Wishes, str, bool], int]
"""Carries out an action with these wishes, in this format, quietly or not, and answers the exit status."""
