"""How columns of Q-Collector's tables are declared: Sequelize's habits, said once."""

from typing import Any

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Integer, String, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import UserDefinedType

WHEN = DateTime(timezone=True)


class Words(UserDefinedType[str]):
    """A PostgreSQL enum, read and written as text.

    Unlike SQLAlchemy's own it takes a word that a later release of the application has added, and a column that is plain
    text in somebody's database, since the server tells the type of a parameter from the column beside it.
    """

    cache_ok = True

    def __init__(self, name: str, words: tuple[str, ...]) -> None:
        self.name = name
        self.words = words

    def get_col_spec(self, **_options: Any) -> str:
        return self.name


def key() -> Column[Any]:
    return Column("id", Uuid, primary_key=True, server_default=func.gen_random_uuid())


def reference(name: str, target: str, *, keep: bool = False, nullable: bool = False) -> Column[Any]:
    """A foreign key. The row goes with the one that it names, unless it is to `keep`."""
    on_delete = "SET NULL" if keep else "CASCADE"
    foreign_key = ForeignKey(f"{target}.id", ondelete=on_delete, onupdate="CASCADE")
    return Column(name, Uuid, foreign_key, nullable=nullable or keep)


def required(name: str, kind: Any, default: str | None = None) -> Column[Any]:
    """A column that always has a value; `default` is an SQL expression."""
    return Column(name, kind, nullable=False, server_default=None if default is None else text(default))


def optional(name: str, kind: Any = Text) -> Column[Any]:
    return Column(name, kind, nullable=True)


def words(name: str, of: Words, default: str) -> Column[Any]:
    return required(name, of, f"'{default}'")


def flag(name: str, default: str) -> Column[Any]:
    return required(name, Boolean, default)


def number(name: str, default: int) -> Column[Any]:
    return required(name, Integer, str(default))


def document(name: str, default: str = "{}") -> Column[Any]:
    return required(name, JSONB, f"'{default}'::jsonb")


def moment(name: str) -> Column[Any]:
    return required(name, WHEN, "now()")


def title(name: str, length: int = 255) -> Column[Any]:
    return required(name, String(length))


def stamps() -> tuple[Column[Any], Column[Any]]:
    """The two columns that Sequelize keeps in every table, in its own spelling."""
    return moment("createdAt"), moment("updatedAt")
