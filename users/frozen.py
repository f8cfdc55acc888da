"""Statements of the hot paths: the ORM writes each once in a process, then it is only executed.

To build a queryset and its SQL takes Django many times longer than PostgreSQL takes to answer.
What is asked hundreds of times a second (polls, the webhook) keeps its SQL, with the querysets as
the one place that says what it is. On PostgreSQL the statement is prepared as well: constants stand
in it as they are, so that partial indexes fit, and only what varies is a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import psycopg
from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models.query import (  # type: ignore[attr-defined]  # the stubs leave one out
    ModelIterable,
    get_related_populators,
)
from django.db.models.sql.compiler import SQLCompiler
from django.db.models.sql.subqueries import UpdateQuery

_PLACE = re.compile(r"%([%s])")
_FIRST_MARK = 32_109  # fits into every column for whole numbers
LARGEST = 2**63 - 1  # of a bigint
_SIGNS = ("1800-01-01", "\N{REPLACEMENT CHARACTER}")  # what tells a mark, as text


class Frozen:
    """A query whose SQL is written once.

    `build` makes the queryset from a shape and the named values: whole numbers, texts, moments, and
    people or other rows, of which only the key may vary. It must decide by the shape alone, since
    it is called once for each.
    """

    def __init__(self, build: Callable[..., models.QuerySet[Any]]) -> None:
        self._build = build
        self._written: dict[Hashable, _Statement] = {}

    def all(self, shape: Hashable = None, **values: Any) -> list[Any]:
        """Instances, or tuples where the queryset is one of `values_list`. None for a number that
        no column holds: an address may name any."""
        if _is_beyond(values):
            return []
        key = shape, connection.vendor
        statement = self._written.get(key)
        if statement is None:
            statement = self._written[key] = _write(self._build, shape, values)
        return statement.run(values)

    def first(self, shape: Hashable = None, **values: Any) -> Any:
        """The first row, None when there is none."""
        found = self.all(shape, **values)
        return found[0] if found else None


class FrozenUpdate:
    """An UPDATE whose SQL is written once. `build` makes the queryset and what becomes of its rows
    from a shape and the named values, as for `Frozen`."""

    def __init__(self, build: Callable[..., tuple[models.QuerySet[Any], dict[str, Any]]]) -> None:
        self._build = build
        self._written: dict[Hashable, tuple[str, tuple[_Slot, ...]]] = {}

    def run(self, shape: Hashable = None, **values: Any) -> int:
        """How many rows there were."""
        if _is_beyond(values):
            return 0
        key = shape, connection.vendor
        if key not in self._written:
            marks = _marks(values)
            queryset, becomes = self._build(shape, **marks)
            query: UpdateQuery = queryset.query.chain(UpdateQuery)  # type: ignore[assignment]  # of the class asked for
            query.add_update_values(becomes)
            self._written[key] = _frozen_sql(query.get_compiler(connection=connection), marks)
        sql, slots = self._written[key]
        with prepared_cursor() as cursor:
            cursor.execute(sql, _params(slots, values))
            count: int = cursor.rowcount
        return count


def _is_beyond(values: dict[str, Any]) -> bool:
    """Would the database fail over a number? The ORM looks by itself, a kept statement does not."""
    return any(isinstance(one, int) and abs(one) > LARGEST for one in values.values())


def insert(rows: Sequence[models.Model]) -> None:
    """Insert new rows of one model in one statement; they get their keys. Nobody is told of it by
    a signal."""
    model = type(rows[0])
    fields, sql = _insertion(model, len(rows), connection.vendor)
    params = [
        field.get_db_prep_save(field.pre_save(row, add=True), connection)
        for row in rows
        for field in fields
    ]
    with prepared_cursor() as cursor:
        cursor.execute(sql, params)
        keys = cursor.fetchall()
    for row, (key,) in zip(rows, keys, strict=True):
        row.pk = key
        row._state.adding, row._state.db = False, connection.alias


def save(row: models.Model, names: Iterable[str]) -> None:
    """Write these fields of a row that is there. Nobody is told of it by a signal."""
    fields, sql = _change(type(row), tuple(names), connection.vendor)
    params = [
        field.get_db_prep_save(field.pre_save(row, add=False), connection) for field in fields
    ]
    with prepared_cursor() as cursor:
        cursor.execute(sql, params)


# --- Writing -----------------------------------------------------------------------------------


@cache
def _insertion(
    model: type[models.Model], count: int, _vendor: str
) -> tuple[tuple[models.Field[Any, Any], ...], str]:
    quote, meta = connection.ops.quote_name, model._meta
    fields = tuple(field for field in meta.concrete_fields if not field.primary_key)
    columns = ", ".join(quote(field.column) for field in fields)
    places = f"({', '.join(['%s'] * len(fields))})"
    sql = (
        f"INSERT INTO {quote(meta.db_table)} ({columns}) "  # noqa: S608  # names of our own models
        f"VALUES {', '.join([places] * count)} RETURNING {quote(meta.pk.column)}"
    )
    return fields, sql


@cache
def _change(
    model: type[models.Model], names: tuple[str, ...], _vendor: str
) -> tuple[tuple[models.Field[Any, Any], ...], str]:
    quote, meta = connection.ops.quote_name, model._meta
    by_name = {field.name: field for field in meta.concrete_fields}
    fields = [by_name[name] for name in names]
    values = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    sql = f"UPDATE {quote(meta.db_table)} SET {values} WHERE {quote(meta.pk.column)} = %s"  # noqa: S608  # names of our own models
    return (*fields, meta.pk), sql


@dataclass(frozen=True)
class _Slot:
    """Where a value goes, and how the database wants it."""

    name: str
    adapt: Callable[[Any], Any]


@dataclass(frozen=True)
class _Statement:
    sql: str
    slots: tuple[_Slot, ...]
    reader: Callable[[Sequence[Any]], Any]
    converters: tuple[tuple[int, tuple[Callable[..., Any], ...], Any], ...]
    prefetched: tuple[Any, ...] = ()

    def run(self, values: dict[str, Any]) -> list[Any]:
        params = _params(self.slots, values)
        with prepared_cursor() as cursor:
            cursor.execute(self.sql, params)
            rows = cursor.fetchall()
        if self.converters:
            rows = [self._converted(row) for row in rows]
        found = [self.reader(row) for row in rows]
        if self.prefetched and found:
            models.prefetch_related_objects(found, *self.prefetched)
        return found

    def _converted(self, row: Sequence[Any]) -> list[Any]:
        whole = list(row)
        for position, converters, expression in self.converters:
            value = whole[position]
            for convert in converters:
                value = convert(value, expression, connection)
            whole[position] = value
        return whole


def _params(slots: tuple[_Slot, ...], values: dict[str, Any]) -> list[Any]:
    if None in values.values():
        raise TypeError("a frozen query takes no None: that is another statement")
    return [slot.adapt(values.get(slot.name)) for slot in slots]


def _write(build: Callable[..., Any], shape: Hashable, values: dict[str, Any]) -> _Statement:
    marks = _marks(values)
    queryset = build(shape, **marks)
    compiler = queryset.query.get_compiler(connection=connection)
    sql, slots = _frozen_sql(compiler, marks)
    fields = [column[0] for column in compiler.select[: compiler.col_count]]
    found = compiler.get_converters(fields)
    converters = tuple((at, tuple(each), expr) for at, (each, expr) in found.items())
    prefetched = queryset._prefetch_related_lookups
    return _Statement(sql, slots, _reader(queryset, compiler), converters, prefetched)


def _marks(values: dict[str, Any]) -> dict[str, Any]:
    return {name: _mark(value, number) for number, (name, value) in enumerate(values.items())}


def _frozen_sql(compiler: SQLCompiler, marks: dict[str, Any]) -> tuple[str, tuple[_Slot, ...]]:
    try:
        sql, params = compiler.as_sql()
    except EmptyResultSet:
        raise ValueError("a query that never finds anything cannot be frozen") from None
    slots: list[_Slot] = []
    given = iter(params)

    def fill(place: re.Match[str]) -> str:
        if place[1] == "%":
            return "%%"
        value = next(given)
        slot = _slot_of(value, marks)
        if slot is None and any(sign in str(value) for sign in _SIGNS):
            raise ValueError("a value of a frozen query was changed on its way into the statement")
        if slot is None and connection.vendor == "postgresql":
            return _literal(value)
        slots.append(slot or _Slot("", partial(_constant, value)))
        return "%s"

    return _PLACE.sub(fill, sql), tuple(slots)


def _mark(value: Any, number: int) -> Any:
    """A value like this one that no statement contains by itself."""
    if isinstance(value, models.Model):
        row = copy(value)
        row.pk = _FIRST_MARK + number
        return row
    if isinstance(value, datetime):
        return datetime(1800, 1, 1, microsecond=number, tzinfo=UTC)
    if isinstance(value, str):
        return f"\N{REPLACEMENT CHARACTER}{number}"
    if isinstance(value, int) and not isinstance(value, bool):
        return _FIRST_MARK + number
    raise TypeError(f"{value!r} cannot vary in a frozen query")


def _slot_of(param: Any, marks: dict[str, Any]) -> _Slot | None:
    """Which of the values stands here; None: what stands here never varies."""
    for name, mark in marks.items():
        if isinstance(mark, models.Model):
            if param == mark.pk:
                return _Slot(name, partial(_key_as, type(param)))
        elif isinstance(mark, datetime):
            if param == connection.ops.adapt_datetimefield_value(mark):
                return _Slot(name, connection.ops.adapt_datetimefield_value)
        elif param == mark:
            return _Slot(name, type(param))
    return None


def _constant(value: Any, _nothing: Any) -> Any:
    return value


def _key_as(kind: type[int], row: models.Model) -> int:
    return kind(row.pk)


def _literal(value: Any) -> str:
    connection.ensure_connection()
    return psycopg.sql.Literal(value).as_string(connection.connection).replace("%", "%%")


# --- Reading -----------------------------------------------------------------------------------


def prepared_cursor() -> Any:
    """A cursor whose statements PostgreSQL keeps prepared; any cursor elsewhere, and where
    statements are logged, since values are not part of a prepared one."""
    if connection.vendor != "postgresql" or connection.queries_logged:
        return connection.cursor()
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    cursor: Any = psycopg.Cursor(connection.connection)
    return connection.make_cursor(cursor)


def _reader(
    queryset: models.QuerySet[Any], compiler: SQLCompiler
) -> Callable[[Sequence[Any]], Any]:
    """Makes of a row what the queryset would have made of it."""
    if queryset._iterable_class is not ModelIterable:
        return tuple
    told, database = compiler.klass_info, queryset.db
    model, places = told["model"], told["select_fields"]
    begin, end = places[0], places[-1] + 1
    names = [column[0].target.attname for column in compiler.select[begin:end]]
    related = get_related_populators(told, compiler.select, database)
    annotated = tuple((compiler.annotation_col_map or {}).items())

    def read(row: Sequence[Any]) -> models.Model:
        instance = model.from_db(database, names, row[begin:end])
        for populator in related:
            populator.populate(row, instance)
        for name, at in annotated:
            setattr(instance, name, row[at])
        return instance

    return read
