"""Custom queries: rows of one model with what belongs to them, every name of them checked against the models.

A query is the JSON that callers send: `{"model": …, "options": {"where": …, "include": …, "order": …, "limit": …}}`.
Nothing of a caller's ever becomes SQL: names are looked up, and values are bound.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Column, ColumnElement, Select, Text, Uuid, cast, func, select

from families.database import tables
from families.database.conditions import MAX_PROBLEMS, Condition, Conditions, QueryProblem
from families.database.errors import ModelUnknownError
from families.database.models import Model, Relation, find_model

_SHOWN: Final = 64
_DIRECTIONS: Final = ("ASC", "DESC")
_PAIR: Final = 2


class QueryError(ValueError):
    """A query that cannot be run; the message is for the caller."""

    def __init__(self, problems: Sequence[QueryProblem]) -> None:
        super().__init__("; ".join(f"{problem.path}: {problem.description}" for problem in problems[:5]))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class QueryColumn:
    """A column of the answer."""

    name: str
    """As the caller wrote it; those of an included model begin with its name and a dot."""
    model: str
    """The included model that it is of; empty for the query's own."""
    key: str
    """Its name within its model, as the caller wrote it."""
    column: Column[Any]


@dataclass(frozen=True, slots=True)
class Query:
    """A query that can be run."""

    columns: tuple[QueryColumn, ...]
    statement: Select[Any]
    """Its rows: the columns, then what `sealed`, `row_key` and `child_key` name."""
    count: Select[Any]
    """How many rows of the model match, whatever is included with them."""
    limit: int
    """The most of them that are wanted; 0 means all."""
    sealed: tuple[tuple[int, int], ...]
    """Places of an answer's text, and of its encrypted form, which stands for it where it is not null."""
    many: str
    """The included model of which a row may have several, so that the row comes once for each; else empty."""
    row_key: int
    """With `many`, the place of the row's id: rows that have it in common come together."""
    child_key: int
    """With `many`, the place of the included row's id, which is null where there is none."""


def compile_query(query: Mapping[str, Any], fields: Sequence[str], zone: str) -> Query:
    """A query that can be run, with the columns that `fields` name, or all. Days in conditions are in `zone`.

    Raises:
      QueryError: names every part that is not right, below `query` and `fields`.
    """
    try:
        model = find_model(str(query.get("model", "")))
    except ModelUnknownError as error:
        raise QueryError([QueryProblem("query.model", "unknown_model", str(error))]) from None
    return _Compiler(model, zone).compile(query.get("options") or {}, fields)


class _Compiler:
    def __init__(self, model: Model, zone: str) -> None:
        self._model = model
        self._zone = zone
        self._problems: list[QueryProblem] = []
        self._included: dict[str, Relation] = {}

    def compile(self, options: Mapping[str, Any], fields: Sequence[str]) -> Query:
        self._include(options.get("include") or ())
        columns = tuple(self._columns(fields))
        condition = Conditions(self._model, self._zone, self._problems).read(
            options.get("where") or {}, "query.options.where"
        )
        order = [*self._order(options.get("order") or ()), self._model.table.c.id]
        if self._problems:
            raise QueryError(self._problems)
        return self._build(columns, condition, order, int(options.get("limit") or 0))

    def _include(self, include: Sequence[Any]) -> None:
        many: str | None = None
        for place, each in enumerate(include):
            path = f"query.options.include[{place}].model"
            name = str(each.get("model", ""))
            try:
                relation = self._model.relation(name)
            except ModelUnknownError as error:
                self._report(path, "unknown_model", str(error))
                continue
            if name in self._included:
                self._report(path, "twice", "is included already; name it once")
            elif relation.many and many is not None:
                self._report(
                    path, "several", f"a row may have several of it, and of {many}, as well; export the two one by one"
                )
            else:
                self._included[name] = relation
            if relation.many:
                many = many or name

    def _columns(self, fields: Sequence[str]) -> Iterator[QueryColumn]:
        if not fields:
            yield from self._all_columns()
        seen: set[str] = set()
        for place, name in enumerate(fields):
            path = f"fields[{place}]"
            model, _, key = name.rpartition(".")
            try:
                column = self._owner(model).column(key)
            except ModelUnknownError as error:
                self._report(path, "unknown_column", str(error))
                continue
            if name in seen:
                self._report(path, "twice", f"{name[:_SHOWN]!r} is there already; name it once")
            seen.add(name)
            yield QueryColumn(name, model, key, column)

    def _all_columns(self) -> Iterator[QueryColumn]:
        for key, column in self._model.columns.items():
            yield QueryColumn(key, "", key, column)
        for model in self._included:
            for key, column in find_model(model).columns.items():
                yield QueryColumn(f"{model}.{key}", model, key, column)

    def _owner(self, model: str) -> Model:
        if not model:
            return self._model
        if model not in self._included:
            named = ", ".join(self._included) or "none"
            raise ModelUnknownError(f"{model[:_SHOWN]!r} is not among the included models: {named}")
        return find_model(model)

    def _order(self, order: Sequence[Any]) -> Iterator[ColumnElement[Any]]:
        for place, each in enumerate(order):
            path = f"query.options.order[{place}]"
            name, direction = each if isinstance(each, list) and len(each) == _PAIR else (each, "ASC")
            if not isinstance(name, str) or str(direction).upper() not in _DIRECTIONS:
                self._report(path, "type", 'is neither a column nor a pair such as ["submitted_at", "DESC"]')
                continue
            try:
                column = self._model.column(name)
            except ModelUnknownError as error:
                self._report(path, "unknown_column", str(error))
                continue
            yield column.desc() if str(direction).upper() == "DESC" else column.asc()

    def _build(
        self, columns: tuple[QueryColumn, ...], condition: Condition, order: list[ColumnElement[Any]], limit: int
    ) -> Query:
        table = self._model.table
        # What is included for nothing is left out: it could only repeat rows.
        wanted = {name: link for name, link in self._included.items() if any(name == each.model for each in columns)}
        many = next((name for name, link in wanted.items() if link.many), "")
        selected: list[ColumnElement[Any]] = [_as_written(each.column) for each in columns]
        sealed = []
        for place, each in enumerate(columns):
            if each.column is tables.submission_data.c.value_text:
                sealed.append((place, len(selected)))
                selected.append(tables.submission_data.c.value_encrypted)
        row_key = child_key = len(selected)
        source: Any = table
        for name, link in wanted.items():
            source = source.outerjoin(find_model(name).table, link.local == link.remote)
        statement = select(*selected).select_from(source).where(condition)
        if many:
            child = find_model(many).table.c.id
            child_key = row_key + 1
            statement = statement.add_columns(table.c.id, child).order_by(*order, child)
            if limit:
                chosen = select(table.c.id).where(condition).order_by(*order).limit(limit)
                statement = statement.where(table.c.id.in_(chosen))
        else:
            statement = statement.order_by(*order)
            statement = statement.limit(limit) if limit else statement
        return Query(
            columns=columns,
            statement=statement,
            count=select(func.count()).select_from(table).where(condition),
            limit=limit,
            sealed=tuple(sealed),
            many=many,
            row_key=row_key,
            child_key=child_key,
        )

    def _report(self, path: str, rule: str, description: str) -> None:
        if len(self._problems) < MAX_PROBLEMS:
            self._problems.append(QueryProblem(path, rule, description))


def _as_written(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Identifiers as text: the database makes it of them in a fraction of the time that Python takes for objects."""
    return cast(column, Text) if isinstance(column.type, Uuid) else column
