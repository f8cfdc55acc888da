"""The FlowLog is the truth: folding its rows gives the stored state, and running them again gives
the same outcomes.

A row is a mapping or an object with `seq`, `kind` (start, step, jump, edit, end, redact), `state`
(the engine's state after it, as a dict; empty leaves it as it was), `context_set` and
`context_unset`; for `rerun` also `message` and, if kept, `effects`. A `start` row begins a run: its
`context_set` is the whole context after it. Without a `message` that is the initial context and
the next row holds Started; with one it is the context after that step, and `initial` (optional)
the context before.

Erasing a variable rewrites its values in all rows to REDACTED, which equals anything here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chatbot.engine.messages import MESSAGE
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.state import Context, Outcome, State
from chatbot.engine.step import step

REDACTED = "\N{FULL BLOCK}\N{FULL BLOCK}\N{FULL BLOCK}"

Row = Any  # a mapping, or an object with these attributes
_GONE = object()


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row that went otherwise: `what` is state, context or effects."""

    seq: int
    what: str
    stored: Any
    computed: Any


def delta(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Context, list[str]]:
    """(context_set, context_unset) that lead from one context to the other."""
    changed = {
        name: value for name, value in after.items() if not same(before.get(name, _GONE), value)
    }
    return changed, sorted(name for name in before if name not in after)


def fold(rows: Iterable[Row]) -> tuple[State, Context]:
    """The state and context that the rows, in the order of seq, lead to."""
    state, context = State(), Context()
    for row in rows:
        state, context = _apply(row, state, context)
    return state, context


def rerun(document: FlowDocument, rows: Iterable[Row]) -> Difference | None:
    """Run every stored message again on the document, each from the stored state before it; the
    first row that comes out otherwise, or None. A row whose message was erased is not run."""
    return next(differences(document, rows), None)


def differences(document: FlowDocument, rows: Iterable[Row]) -> Iterator[Difference]:
    """Every row that comes out otherwise."""
    state, context = State(), Context()
    for row in rows:
        is_start = _get(row, "kind") == "start"
        if is_start:
            state, context = State(), dict(_get(row, "initial") or {})
        begin, known = state, context
        state, context = _apply(row, state, context)
        message = _get(row, "message")
        if not message or is_redacted(message) or is_redacted(known):
            continue
        computed = step(document, begin, known, MESSAGE.validate_python(message))
        difference = _difference(row, state, context, computed)
        if difference:
            yield difference


def same(stored: Any, computed: Any) -> bool:
    """Equal as JSON: 1, 1.0 and true are three things. REDACTED equals anything."""
    if isinstance(stored, str) and stored == REDACTED:
        return True
    if isinstance(stored, Mapping) and isinstance(computed, Mapping):
        return stored.keys() == computed.keys() and all(
            same(stored[key], computed[key]) for key in stored
        )
    if isinstance(stored, list | tuple) and isinstance(computed, list | tuple):
        return len(stored) == len(computed) and all(map(same, stored, computed))
    return type(stored) is type(computed) and bool(stored == computed)


def _apply(row: Row, state: State, context: Context) -> tuple[State, Context]:
    stored = _get(row, "state")
    if stored:
        state = State.model_validate(stored)
    kept = {} if _get(row, "kind") == "start" else context
    unset = frozenset(_get(row, "context_unset") or ())
    context = {name: value for name, value in kept.items() if name not in unset}
    return state, {**context, **(_get(row, "context_set") or {})}


def _difference(row: Row, state: State, context: Context, computed: Outcome) -> Difference | None:
    seq = int(_get(row, "seq") or 0)
    now = computed.state.model_dump(mode="json")
    if not same(state.model_dump(mode="json"), now):
        return Difference(seq, "state", state.model_dump(mode="json"), now)
    if not same(context, computed.context):
        return Difference(seq, "context", context, computed.context)
    stored = _get(row, "effects")
    effects = [one.model_dump(mode="json") for one in computed.effects]
    if stored is not None and not is_redacted(stored) and not same(stored, effects):
        return Difference(seq, "effects", stored, effects)
    return None


def is_redacted(value: Any) -> bool:
    """Has anything in it been erased?"""
    if isinstance(value, Mapping):
        return any(map(is_redacted, value.values()))
    if isinstance(value, list | tuple):
        return any(map(is_redacted, value))
    return isinstance(value, str) and REDACTED in value


def fields_of(row: Row) -> Mapping[str, Any]:
    """The row as a mapping."""
    names = ("seq", "kind", "state", "context_set", "context_unset", "message", "effects")
    if isinstance(row, Mapping):
        return row
    return {name: getattr(row, name, None) for name in (*names, "trace", "next_node")}


def _get(row: Row, name: str) -> Any:
    return row.get(name) if isinstance(row, Mapping) else getattr(row, name, None)
