"""How a sample form is described."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

UPLOADS: Final = frozenset({"file_upload", "image_upload"})


@dataclass(frozen=True)
class FieldSpec:
    """A field, and what is answered to it."""

    type: str
    title: str
    answered: float = 1.0
    """The share of submissions that answer it; 1 makes it required."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """The field's own options, which the answers keep to."""
    texts: Sequence[str] = ()
    """What people write, for a field of text."""


@dataclass(frozen=True)
class SubFormSpec:
    """A table within a form."""

    title: str
    title_en: str
    rows: int
    """The most that a submission has."""
    fields: Sequence[FieldSpec]


@dataclass(frozen=True)
class FormSpec:
    """A form, and how much it is used."""

    title: str
    description: str
    roles: Sequence[str]
    creator: int
    """The number of the user who made it."""
    fields: Sequence[FieldSpec]
    submissions: int
    minutes: float
    """How long it takes to fill in, typically."""
    sub_forms: Sequence[SubFormSpec] = ()
    active: bool = True
    version: int = 1

    @property
    def all_fields(self) -> Sequence[FieldSpec]:
        """Those of the form itself, then those of its sub-forms: in the order that fields are numbered."""
        return (*self.fields, *(each for sub_form in self.sub_forms for each in sub_form.fields))
