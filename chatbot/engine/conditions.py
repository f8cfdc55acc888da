"""What a `branch` may ask: a JSON tree over variables, hours, the lead and the day.

{"all": [{"open": "vendas"}, {"variable": "idade", "op": "ge", "value": 18}]}
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, FiniteFloat, Tag

from chatbot.engine.matching import normalise
from chatbot.engine.numbers import to_number

Scalar = str | bool | int | FiniteFloat | None
Operator = Literal["eq", "ne", "lt", "le", "gt", "ge", "contains", "in", "filled", "empty"]
HOUR = r"^([01]\d|2[0-3]):[0-5]\d$"


class Asked(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class All(Asked):
    all: tuple[Condition, ...]


class AnyOf(Asked):
    any: tuple[Condition, ...]


class NoneOf(Asked):
    none: tuple[Condition, ...]


class Compare(Asked):
    """`variable` is a variable's name or a fact (`lead.status`, `channel.kind`)."""

    variable: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,39}(\.[a-z_][a-z0-9_]{0,39})?$")]
    op: Operator = "eq"
    value: Scalar | tuple[Scalar, ...] = ""


class IsOpen(Asked):
    """The department is within its hours; empty: any department is."""

    open: str


class HasTag(Asked):
    tag: str


class OnWeekday(Asked):
    weekday: tuple[Annotated[int, Field(ge=0, le=6)], ...]  # Monday 0


class WithinHours(Asked):
    """Local time from the first (included) to the second (excluded); may pass midnight."""

    hours: tuple[Annotated[str, Field(pattern=HOUR)], Annotated[str, Field(pattern=HOUR)]]


class FirstContact(Asked):
    first_contact: bool


KEYS = ("all", "any", "none", "variable", "open", "tag", "weekday", "hours", "first_contact")


def _key(value: Any) -> str | None:
    """The key that tells the conditions apart, in JSON or in a model already built."""
    names = value if isinstance(value, Mapping) else getattr(type(value), "model_fields", ())
    return next((key for key in KEYS if key in names), None)


Condition = Annotated[
    Annotated[All, Tag("all")]
    | Annotated[AnyOf, Tag("any")]
    | Annotated[NoneOf, Tag("none")]
    | Annotated[Compare, Tag("variable")]
    | Annotated[IsOpen, Tag("open")]
    | Annotated[HasTag, Tag("tag")]
    | Annotated[OnWeekday, Tag("weekday")]
    | Annotated[WithinHours, Tag("hours")]
    | Annotated[FirstContact, Tag("first_contact")],
    Discriminator(_key),
]
for _model in (All, AnyOf, NoneOf):
    _model.model_rebuild()


def holds(condition: Condition, known: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """Whether the condition is true. `known` maps variable and fact names to raw values."""
    match condition:
        case All(all=parts):
            return all(holds(part, known, facts) for part in parts)
        case AnyOf(any=parts):
            return any(holds(part, known, facts) for part in parts)
        case NoneOf(none=parts):
            return not any(holds(part, known, facts) for part in parts)
        case Compare():
            return _compare(known.get(condition.variable), condition.op, condition.value)
        case _:
            return _is_so(condition, facts)


def _is_so(
    condition: IsOpen | HasTag | OnWeekday | WithinHours | FirstContact, facts: Mapping[str, Any]
) -> bool:
    match condition:
        case IsOpen(open=department):
            opened = _listed(facts.get("open_departments"))
            return department in opened if department else bool(opened)
        case HasTag(tag=tag):
            lead = facts.get("lead")
            tags = _listed(lead.get("tags")) if isinstance(lead, Mapping) else []
            return normalise(tag) in {normalise(str(one)) for one in tags}
        case OnWeekday(weekday=days):
            return facts.get("weekday") in days
        case WithinHours(hours=(begin, end)):
            return _is_within(facts.get("now"), begin, end)
        case FirstContact(first_contact=wanted):
            return bool(facts.get("first_contact")) is wanted


def comparisons(condition: Condition) -> Iterator[Compare]:
    """Every comparison inside a condition, in the order written."""
    match condition:
        case All(all=parts) | AnyOf(any=parts) | NoneOf(none=parts):
            for part in parts:
                yield from comparisons(part)
        case Compare():
            yield condition


def departments_asked(condition: Condition) -> Iterator[str]:
    """The departments whose hours a condition asks for."""
    match condition:
        case All(all=parts) | AnyOf(any=parts) | NoneOf(none=parts):
            for part in parts:
                yield from departments_asked(part)
        case IsOpen(open=department) if department:
            yield department


def _compare(left: Any, op: Operator, right: Any) -> bool:
    match op:
        case "filled" | "empty":
            return _is_empty(left) is (op == "empty")
        case "eq" | "ne":
            return equal(left, right) is (op == "eq")
        case "in":
            return any(equal(left, one) for one in _listed(right))
        case "contains":
            return _contains(left, right)
        case _:
            return _ordered(left, op, right)


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def equal(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right or _plain(left) == _plain(right)
    one, other = to_number(left), to_number(right)
    if one is not None and other is not None:
        return one == other
    return _plain(left) == _plain(right)


def _contains(left: Any, right: Any) -> bool:
    if isinstance(left, list | tuple):
        return any(equal(one, right) for one in left)
    wanted = normalise(_plain(right))
    return bool(wanted) and f" {wanted} " in f" {normalise(_plain(left))} "


def _ordered(left: Any, op: Operator, right: Any) -> bool:
    one: Any = to_number(left)
    other: Any = to_number(right)
    if one is None or other is None:
        one, other = _plain(left), _plain(right)
        if not (_is_date(one) and _is_date(other)):
            return False
    if op == "lt":
        return bool(one < other)
    if op == "le":
        return bool(one <= other)
    return bool(one > other) if op == "gt" else bool(one >= other)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return normalise(value) if isinstance(value, str) and not _is_date(value) else str(value)


def _is_date(value: Any) -> bool:
    if not isinstance(value, str) or len(value) != 10:  # noqa: PLR2004 - YYYY-MM-DD
        return False
    try:
        datetime.strptime(value, "%Y-%m-%d")  # noqa: DTZ007 - a calendar day has no zone
    except ValueError:
        return False
    return True


def _listed(value: Any) -> list[Any]:
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    return [] if value is None or isinstance(value, Mapping) else [value]


def _is_within(now: Any, begin: str, end: str) -> bool:
    try:
        clock = datetime.fromisoformat(str(now)).strftime("%H:%M")
    except ValueError:
        return False
    return begin <= clock < end if begin <= end else clock >= begin or clock < end
