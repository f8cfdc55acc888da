"""What differs between two flow documents, field by field."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal, NamedTuple

from chatbot.engine.nodes import FlowDocument

Op = Literal["added", "removed", "changed", "moved"]
Path = tuple[str, ...]

_EXITS = frozenset(("next", "on_fail", "otherwise", "ok", "error", "on_message"))
_WHOLE = frozenset(("when", "value"))  # looked at as one, whatever is inside
_ARGUMENT = 2  # how deep an argument of an integration lies: what is inside is one value


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs, or a part that is only in one of the two.

    `flow` is the key of the sub-flow ("" for the flow itself), `node` the passo ("" for what
    belongs to the flow as a whole). `path` leads to the field; it is empty for a whole passo or
    sub-flow. Options are named by their ids; cases, assignments and words by their place, counted
    from 1, in the later document, or in the earlier one for what was removed. `moved` is the order
    of options. Of an exit (`exit` is its name) `before` and `after` are ids of passos.
    """

    op: Op
    flow: str
    node: str
    path: Path = ()
    before: Any = None
    after: Any = None
    exit: str = ""

    @property
    def place(self) -> str:
        """The passo as paths and traces call it."""
        return f"{self.flow}/{self.node}" if self.flow and self.node else self.node


def compare(before: FlowDocument, after: FlowDocument) -> list[Change]:
    """Everything that is not the same in both; empty exactly when they are the same document.

    First what belongs to the flow, then its passos in the order of their ids, then its sub-flows.
    """
    old, new = _dumped(before), _dumped(after)
    changes = list(_flow("", old, new))
    subflows = old.pop("subflows"), new.pop("subflows")
    for slug in sorted({*subflows[0], *subflows[1]}):
        was, now = subflows[0].get(slug), subflows[1].get(slug)
        if was is None:
            changes.append(Change("added", slug, "", after=now))
        elif now is None:
            changes.append(Change("removed", slug, "", before=was))
        else:
            changes += _flow(slug, was, now)
    return changes


class _Where(NamedTuple):
    flow: str
    node: str


def _dumped(document: FlowDocument) -> dict[str, Any]:
    dumped: dict[str, Any] = document.model_dump(mode="json", by_alias=True)
    return dumped


def _flow(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    where = _Where(key, "")
    rest = ("nodes", "subflows")
    for name in old:
        if name not in rest:
            yield from _values(where, (name,), old[name], new[name])
    for node_id in sorted({*old["nodes"], *new["nodes"]}):
        yield from _node(_Where(key, node_id), old["nodes"].get(node_id), new["nodes"].get(node_id))


def _node(where: _Where, old: Any, new: Any) -> Iterator[Change]:
    if old is None:
        yield Change("added", *where, after=new)
    elif new is None:
        yield Change("removed", *where, before=old)
    elif old["kind"] != new["kind"]:
        yield from _other_kind(where, old, new)
    else:
        yield from _members(where, (), old, new)


def _other_kind(where: _Where, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Change]:
    """A passo that is of another kind now: fields that only one kind knows are told when they say
    something."""
    yield Change("changed", *where, ("kind",), old["kind"], new["kind"])
    for name in dict.fromkeys((*old, *new)):
        if name == "kind":
            continue
        if name in old and name in new:
            yield from _values(where, (name,), old[name], new[name])
        elif name in old and _says_something(old[name]):
            yield _changed(where, (name,), "removed", old[name], None)
        elif name in new and _says_something(new[name]):
            yield _changed(where, (name,), "added", None, new[name])


def _values(where: _Where, path: Path, old: Any, new: Any) -> Iterator[Change]:
    if _same(old, new):
        return
    key = _KEYS.get(path[0]) if len(path) == 1 else None
    if isinstance(old, dict) and isinstance(new, dict) and not _is_whole(path):
        yield from _members(where, path, old, new)
    elif path == ("options",):
        yield from _options(where, old, new)
    elif key is not None:
        yield from _items(where, path, (old, new), key)
    elif old is None or new is None:
        op: Op = "added" if old is None else "removed"
        yield _changed(where, path, op, old, new)
    else:
        yield _changed(where, path, "changed", old, new)


def _members(
    where: _Where, path: Path, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        inner = (*path, name)
        if name not in old:
            yield _changed(where, inner, "added", None, new[name])
        elif name not in new:
            yield _changed(where, inner, "removed", old[name], None)
        else:
            yield from _values(where, inner, old[name], new[name])


def _options(
    where: _Where, old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]
) -> Iterator[Change]:
    """By their ids; their order is told when those in both come in another one."""
    known, found = ({one["id"]: one for one in options} for options in (old, new))
    for name in (one for one in known if one not in found):
        yield Change("removed", *where, ("options", name), before=known[name])
    for name, option in found.items():
        if name in known:
            yield from _members(where, ("options", name), known[name], option)
        else:
            yield Change("added", *where, ("options", name), after=option)
    order = [one for one in known if one in found], [one for one in found if one in known]
    if order[0] != order[1]:
        yield Change("moved", *where, ("options",), *order)


def _items(
    where: _Where,
    path: Path,
    items: tuple[Sequence[dict[str, Any]], Sequence[dict[str, Any]]],
    key: Callable[[dict[str, Any]], str],
) -> Iterator[Change]:
    """Parts without an id: those with the same key belong together, the others by their order."""
    old, new = items
    matcher = SequenceMatcher(None, list(map(key, old)), list(map(key, new)), autojunk=False)
    for _tag, start, end, begin, stop in matcher.get_opcodes():
        for step in range(max(end - start, stop - begin)):
            was, now = start + step, begin + step
            if was >= end:
                yield Change("added", *where, (*path, str(now + 1)), after=new[now])
            elif now >= stop:
                yield Change("removed", *where, (*path, str(was + 1)), before=old[was])
            else:
                yield from _members(where, (*path, str(now + 1)), old[was], new[now])


# Parts of a list that have no id, and what tells them apart.
_KEYS: dict[str, Callable[[dict[str, Any]], str]] = {
    "cases": lambda one: _canonical(one["when"]),
    "values": lambda one: _canonical([one["name"], one["op"]]),
    "words": lambda one: _canonical(one["keywords"]),
}


def _changed(where: _Where, path: Path, op: Op, old: Any, new: Any) -> Change:
    return Change(op, *where, path, old, new, exit=_exit_of(where, path))


def _exit_of(where: _Where, path: Path) -> str:
    """The name of the exit that this field is; "" for any other field."""
    match path:
        case ("start",):
            return "" if where.node else "start"
        case ("words", _number, "next"):
            return "word"
        case ("options" | "cases" as part, name, "next"):
            return f"{part[:-1]}:{name}"
        case ("routes", route):
            return f"route:{route}"
        case (name,) if where.node and name in _EXITS:
            return name
    return ""


def _is_whole(path: Path) -> bool:
    return path[-1] in _WHOLE or (path[0] == "args" and len(path) >= _ARGUMENT)


def _says_something(value: Any) -> bool:
    return value not in (None, "", [], {}, False, 0)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1, 1.0 and true are three things."""
    return _canonical(one) == _canonical(other)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
