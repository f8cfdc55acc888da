"""Which facts make a condition hold, or not: departments open, days, hours, what is known of the
lead. What variables hold is up to who answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Any

from chatbot.engine.acting import merged, telling
from chatbot.engine.conditions import (
    All,
    AnyOf,
    Compare,
    Condition,
    FirstContact,
    HasTag,
    IsOpen,
    NoneOf,
    OnWeekday,
    WithinHours,
    holds,
)
from chatbot.engine.kinds import Branch

_MONDAY = date(2026, 11, 9)
_SOME = 12  # ways to make a condition so that are looked at

Wish = dict[str, Any]  # flat: "open:vendas", "tag:vip", "weekday", "clock", "lead.status" …


def facts_for(branch: Branch, exit_name: str) -> list[dict[str, Any]]:
    """Facts with which the branch is left by the exit, as far as facts decide it."""
    *_names, last = [one.name for one in branch.exits()]
    number = len(branch.cases) if exit_name == last else int(exit_name.partition(":")[2] or 1) - 1
    parts = [_wishes(case.when, wanted=False) for case in branch.cases[:number]]
    if number < len(branch.cases):
        parts.append(_wishes(branch.cases[number].when, wanted=True))
    return [_facts(wish) for wish in islice(_joined(parts), _SOME)]


def facts_of(wishes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    joined: dict[str, Any] = {}
    for one in wishes:
        joined = merged(joined, one)
    return joined


def _wishes(condition: Condition, *, wanted: bool) -> list[Wish]:
    match condition:
        case All(all=parts):
            return _of_parts(parts, every=wanted, wanted=wanted)
        case AnyOf(any=parts):
            return _of_parts(parts, every=not wanted, wanted=wanted)
        case NoneOf(none=parts):
            return _of_parts(parts, every=wanted, wanted=not wanted)
        case Compare() as compare:
            return list(_of_comparison(compare, wanted=wanted))
    return list(_of_fact(condition, wanted=wanted))


def _of_parts(parts: tuple[Condition, ...], *, every: bool, wanted: bool) -> list[Wish]:
    ways = [_wishes(one, wanted=wanted) for one in parts]
    if every:
        return list(islice(_joined(ways), _SOME))
    return [wish for way in ways for wish in way][:_SOME]


def _of_fact(condition: Condition, *, wanted: bool) -> Iterator[Wish]:
    match condition:
        case IsOpen(open=department):
            yield {f"open:{department}": wanted}
        case HasTag(tag=tag):
            yield {f"tag:{tag}": wanted}
        case FirstContact(first_contact=value):
            yield {"first_contact": value is wanted}
        case OnWeekday(weekday=days):
            yield from ({"weekday": day} for day in range(7) if (day in days) is wanted)
        case WithinHours():
            for hour in range(24):
                now = f"2026-11-12T{hour:02}:00:00-03:00"
                if holds(condition, {}, {"now": now}) is wanted:
                    yield {"clock": f"{hour:02}:00"}


def _of_comparison(one: Compare, *, wanted: bool) -> Iterator[Wish]:
    """Only facts of the lead and the channel are wished for; a variable is what it is."""
    base, _dot, part = one.variable.partition(".")
    if base not in ("lead", "channel") or not part:
        yield {}
        return
    for value in ("", *telling(one)):
        if holds(one, {one.variable: value}, {}) is wanted:
            yield {one.variable: value}


def _joined(parts: list[list[Wish]]) -> Iterator[Wish]:
    """Every way to have one wish of each part, without a contradiction."""
    if not parts:
        yield {}
        return
    for wish in parts[0]:
        for rest in _joined(parts[1:]):
            if all(rest.get(name, value) == value for name, value in wish.items()):
                yield {**wish, **rest}


def _facts(wish: Wish) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    opened = [name[5:] for name, value in wish.items() if name.startswith("open:") and value]
    if any(name.startswith("open:") for name in wish):
        facts["open_departments"] = [one or "geral" for one in opened]
        facts["departments"] = [name[5:] or "geral" for name in wish if name.startswith("open:")]
    tags = [name[4:] for name, value in wish.items() if name.startswith("tag:") and value]
    if any(name.startswith("tag:") for name in wish):
        facts["lead"] = {"tags": tags}
    if "first_contact" in wish:
        facts["first_contact"] = wish["first_contact"]
    if "weekday" in wish or "clock" in wish:
        weekday = wish.get("weekday", 3)
        day = _MONDAY + timedelta(days=weekday)
        facts |= {"weekday": weekday, "now": f"{day}T{wish.get('clock', '10:00')}:00-03:00"}
    for name, value in wish.items():
        base, dot, part = name.partition(".")
        if dot and ":" not in name:
            facts[base] = {**facts.get(base, {}), part: value}
    return facts
