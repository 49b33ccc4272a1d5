"""`where` of a custom query: conditions on a model's columns, read into SQL whose every value is a bound parameter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, not_, or_, true

from families.database.errors import ModelUnknownError
from families.database.models import Model
from families.database.operands import (
    Kind,
    Span,
    WrongOperandError,
    is_list,
    kind_of,
    read_flag,
    read_list,
    read_pattern,
)

MAX_DEPTH: Final = 10
"""Levels of and, or and not."""
MAX_VALUES: Final = 10_000
"""Values in all; the database takes 32,767 parameters."""
MAX_PROBLEMS: Final = 20

_SHOWN: Final = 64

Condition = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class QueryProblem:
    """What is wrong with one part of a query."""

    path: str
    """Where it is, such as `query.options.where.status`."""
    rule: str
    description: str


class Conditions:
    """Reads the `where` of one query, and keeps what it could not read. Days and local times are in `zone`."""

    def __init__(self, model: Model, zone: str, problems: list[QueryProblem]) -> None:
        self._model = model
        self._zone = zone
        self._problems = problems
        self._values = 0

    def read(self, where: Any, path: str, depth: int = 1) -> Condition:
        """All that an object says, together."""
        if depth > MAX_DEPTH:
            return self._wrong(path, "depth", f"is nested deeper than {MAX_DEPTH} levels; flatten it")
        if not isinstance(where, Mapping):
            return self._wrong(path, "type", 'is no object of conditions such as {"status": "submitted"}')
        parts = [self._part(str(name), value, _below(path, str(name)), depth) for name, value in where.items()]
        return and_(true(), *parts)

    def _part(self, name: str, value: Any, path: str, depth: int) -> Condition:
        if name in {"and", "or"}:
            return self._group(name, value, path, depth)
        if name == "not":
            return not_(self.read(value, path, depth + 1))
        try:
            kind = kind_of(self._model.column(name), self._zone)
        except ModelUnknownError as error:
            return self._wrong(path, "unknown_column", str(error))
        if not isinstance(value, Mapping):
            operator = "isNull" if value is None else "in" if is_list(value) else "eq"
            return self._comparison(kind, operator, True if value is None else value, path)
        if not value:
            return self._wrong(path, "operator", f"says no operator; take one of {', '.join(kind.operators)}")
        parts = [self._comparison(kind, str(word), operand, _below(path, str(word))) for word, operand in value.items()]
        return and_(*parts)

    def _group(self, name: str, value: Any, path: str, depth: int) -> Condition:
        if not is_list(value) or not value:
            return self._wrong(path, "type", "is no list of conditions, or an empty one")
        parts = [self.read(each, f"{path}[{place}]", depth + 1) for place, each in enumerate(value)]
        return and_(*parts) if name == "and" else or_(*parts)

    def _comparison(self, kind: Kind, operator: str, operand: Any, path: str) -> Condition:
        self._values += len(operand) if is_list(operand) else 1
        if self._values > MAX_VALUES:
            return self._wrong(path, "too_many", f"the conditions hold more than {MAX_VALUES} values; split the query")
        if operator not in kind.operators:
            known = ", ".join(kind.operators)
            return self._wrong(path, "operator", f"there is no such operator for this column; take one of {known}")
        try:
            return _compare(kind, operator, operand)
        except WrongOperandError as wrong:
            return self._wrong(path, "value", str(wrong))

    def _wrong(self, path: str, rule: str, description: str) -> Condition:
        """Keeps a problem; what is answered for it is never run."""
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(QueryProblem(path, rule, description))
        return true()


def _compare(kind: Kind, operator: str, operand: Any) -> Condition:
    column = kind.expression
    condition: Condition
    match operator:
        case "isNull":
            condition = column.is_(None) if read_flag(operand) else column.is_not(None)
        case "like":
            condition = column.like(read_pattern(operand))
        case "iLike":
            condition = column.ilike(read_pattern(operand))
        case "between":
            low, high = (kind.read(each) for each in read_list(operand, 2))
            condition = and_(_ordered(column, "gte", low), _ordered(column, "lte", high))
        case "eq" | "ne" if operand is None:
            condition = column.is_(None) if operator == "eq" else column.is_not(None)
        case "eq" | "in":
            condition = _is_any(column, [kind.read(each) for each in _operands(operator, operand)])
        case "ne" | "notIn":
            condition = not_(_is_any(column, [kind.read(each) for each in _operands(operator, operand)]))
        case _:
            condition = _ordered(column, operator, kind.read(operand))
    return condition


def _operands(operator: str, operand: Any) -> Sequence[Any]:
    return read_list(operand) if operator in {"in", "notIn"} else [operand]


def _is_any(column: ColumnElement[Any], values: Sequence[Any]) -> Condition:
    """A day, or an instant, is equal to whatever lies in it."""
    if values and isinstance(values[0], Span):
        return or_(*(and_(column >= span.first, column < span.after) for span in values))
    return column == values[0] if len(values) == 1 else column.in_(values)


def _ordered(column: ColumnElement[Any], operator: str, value: Any) -> Condition:
    """What lies in a day is neither before nor after it."""
    first, after = (value.first, value.after) if isinstance(value, Span) else (value, None)
    match operator:
        case "gte":
            return column >= first
        case "lt":
            return column < first
        case "gt":
            return column > first if after is None else column >= after
        case _:
            return column <= first if after is None else column < after


def _below(path: str, name: str) -> str:
    return f"{path}.{name[:_SHOWN]}"
