"""What a table shows of a message: one column for each thing that a person looks for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Column(Generic[T]):
    heading: str
    value: Callable[[T], str]
    right: bool = False
    """For numbers."""
    style: Callable[[T], str] | None = None
    """The colour on a terminal, in rich's words."""


Columns = Sequence[Column[T]]
