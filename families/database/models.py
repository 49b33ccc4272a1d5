"""What may be exported, by the application's names for it: models, their columns, and what belongs to each row."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Column, Table

from families.database import tables
from families.database.errors import ModelUnknownError

T = TypeVar("T")

SECRET: Final[Mapping[str, frozenset[str]]] = {
    "users": frozenset(
        {
            *("password_hash", "full_name_enc", "phone_enc"),
            *(
                "twoFactorSecret",
                "twoFactorEnabled",
                "twoFactorBackupCodes",
                "twoFactorEnabledAt",
                "requires_2fa_setup",
            ),
        }
    ),
    "forms": frozenset({"settings"}),
    "fields": frozenset({"telegram_config"}),
    "sessions": frozenset({"token", "refresh_token"}),
}
"""Columns that no job ever reads. Settings of forms and fields hold the tokens of bots."""
HIDDEN: Final[Mapping[str, frozenset[str]]] = {**SECRET, "submission_data": frozenset({"value_encrypted"})}
"""Columns that no export shows or filters by: an encrypted answer is shown in place of its `value_text`."""


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows of another model that belong to a row."""

    model: str
    local: Column[Any]
    remote: Column[Any]
    many: bool
    """Whether there may be several."""


@dataclass(frozen=True, slots=True)
class Model:
    """One of the application's models."""

    name: str
    table: Table
    columns: Mapping[str, Column[Any]]
    """What may be exported, by the column's name, in the table's order."""
    relations: Mapping[str, Relation]
    """By the other model's name."""
    _spellings: Mapping[str, Column[Any]]

    def column(self, name: str) -> Column[Any]:
        """The column of that name, which may be in snake_case or camelCase.

        Raises:
          ModelUnknownError: there is none that may be exported.
        """
        return _find(self._spellings, name, f"{self.name} has no column", self.columns)

    def relation(self, model: str) -> Relation:
        """What belongs to each row, by its model's name.

        Raises:
          ModelUnknownError: nothing of that model does.
        """
        return _find(self.relations, model, f"nothing belongs to {self.name} that is called", self.relations)


def find_model(name: str) -> Model:
    """The model of that name.

    Raises:
      ModelUnknownError: there is none that may be exported.
    """
    return _find(MODELS, name, "there is no model", MODELS)


def _find(known: Mapping[str, T], name: str, complaint: str, shown: Iterable[str]) -> T:
    if name in known:
        return known[name]
    raise ModelUnknownError(f"{complaint} {name[:64]!r}: take one of {', '.join(shown)}")


_TABLES: Final[Mapping[str, Table]] = {
    "Form": tables.forms,
    "Field": tables.fields,
    "Submission": tables.submissions,
    "SubmissionData": tables.submission_data,
    "SubForm": tables.sub_forms,
    "File": tables.files,
    "User": tables.users,
}
_LINKS: Final = (
    ("Form", "created_by", "User"),
    ("Field", "form_id", "Form"),
    ("Field", "sub_form_id", "SubForm"),
    ("SubForm", "form_id", "Form"),
    ("Submission", "form_id", "Form"),
    ("Submission", "submitted_by", "User"),
    ("SubmissionData", "submission_id", "Submission"),
    ("SubmissionData", "field_id", "Field"),
    ("File", "submission_id", "Submission"),
    ("File", "field_id", "Field"),
    ("File", "uploaded_by", "User"),
)
"""Each row of the first model has at most one of the last, which may have several of the first."""


def _model(name: str) -> Model:
    table = _TABLES[name]
    hidden = HIDDEN.get(table.name, frozenset())
    columns = {column.name: column for column in table.columns if column.name not in hidden}
    spellings = {spelling: column for column in columns.values() for spelling in _both_spellings(column.name)}
    relations = {}
    for child, column, parent in _LINKS:
        link, target = _TABLES[child].c[column], _TABLES[parent].c.id
        if child == name:
            relations[parent] = Relation(parent, local=link, remote=target, many=False)
        if parent == name:
            relations[child] = Relation(child, local=target, remote=link, many=True)
    return Model(name, table, columns, relations, spellings)


def _both_spellings(name: str) -> set[str]:
    """As it is, in snake_case and in camelCase."""
    snake = re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
    return {name, snake, re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), snake)}


MODELS: Final[Mapping[str, Model]] = {name: _model(name) for name in _TABLES}
