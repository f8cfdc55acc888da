"""Why the bot said something: one step of the flow log in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from chatbot.engine.kinds import AnyNode, Menu
from chatbot.engine.matching import way_of
from chatbot.engine.nodes import FlowDocument
from chatbot.flow_words import (
    SAID,
    Passage,
    any_node,
    any_title,
    document_or_none,
    passages_of,
    sensitive_names,
    value_of,
)
from chatbot.labels import KIND_LABELS
from chatbot.models import FlowLog, FlowLogKind, MessageLog
from sessions_app.models import Session
from users.masking import MASK, is_personal

PATH_SHOWN = 8  # passos, the last ones
EARLIER = 50  # rows that are looked through for what a variable held before
ANSWERS = frozenset({"returned", "ticket_opened"})  # what comes back to a step, not from outside


@dataclass(frozen=True)
class Change:
    """A variable that the step set or removed. `before` is empty when it held nothing."""

    name: str
    label: str
    before: str
    after: str
    is_masked: bool = False


@dataclass(frozen=True)
class Explanation:
    """One turn of the flow: `asked` is the passo that waited, `title` the last one. `came` is
    what happened (words of the customer, if any), `how` by which rule it was understood; `waited`
    how long it took from there to the answer."""

    flow: str
    flow_id: int
    version: str
    title: str
    asked: str
    came: str
    came_kind: str
    how: str
    passages: tuple[Passage, ...]
    changes: tuple[Change, ...]
    path: tuple[str, ...]
    waited: timedelta | None
    milliseconds: float


def explain(message: MessageLog, session: Session) -> Explanation | None:
    """The step that decided this message; None for what no flow said. The row comes with its log,
    run, version and flow; besides them one statement, for what the variables held before."""
    log = message.flow_log
    if log is None or log.run is None:
        return None
    version = log.run.version
    document = document_or_none(version.pk)
    turn, before = _turn_of(log)
    cause = turn[0]
    happened = _mapping(cause.message)
    asked = any_node(document, cause.node)
    words = _words(happened)
    hidden = sensitive_names(document)
    is_secret = getattr(asked, "save_as", "") in hidden
    return Explanation(
        flow=version.flow.name,
        flow_id=version.flow_id,
        version=version.label,
        title=any_title(document, _last_of(log.trace) or log.next_node),
        asked=any_title(document, cause.node),
        came=MASK if words and (is_secret or is_personal(words)) else words,
        came_kind=_kind(happened),
        how=_how(cause, asked, happened),
        passages=tuple(one for row in turn for one in passages_of(row.trace, document)),
        changes=tuple(_changes(turn, before, document)),
        path=tuple(_path(log, document)),
        waited=_waited(happened, message.sent_at or message.created_at),
        milliseconds=sum(row.duration_us for row in turn) / 1000,
    )


def _turn_of(log: FlowLog) -> tuple[list[FlowLog], list[FlowLog]]:
    """The steps from what came in to this one (an integration or a ticket answers in between), in
    their order; and those before, newest first. One statement."""
    rows = FlowLog.objects.filter(session=log.session_id, run=log.run_id, seq__lt=log.seq)
    earlier = list(rows.order_by("-seq").defer("effects", "state")[:EARLIER])
    turn = [log]
    while earlier and _mapping(turn[0].message).get("kind") in ANSWERS:
        turn.insert(0, earlier.pop(0))
    return turn, earlier


# --- Passos ------------------------------------------------------------------------------------


def _last_of(trace: Any) -> str:
    """Where the step came to rest: the passo that speaks last."""
    passed = [one for one in trace if isinstance(one, dict)] if isinstance(trace, list) else []
    return str(passed[-1].get("node", "")) if passed else ""


def _path(log: FlowLog, document: FlowDocument | None) -> Iterator[str]:
    path = log.state.get("path", ()) if isinstance(log.state, dict) else ()
    for node_id in list(path)[-PATH_SHOWN:]:
        yield any_title(document, str(node_id))


# --- What came in ------------------------------------------------------------------------------


def _words(happened: Mapping[str, Any]) -> str:
    for name in (*SAID, "route"):
        if happened.get(name):
            return str(happened[name])
    return ""


def _kind(happened: Mapping[str, Any]) -> str:
    kind = str(happened.get("kind", ""))
    known = {
        "started": _("a trigger started the flow"),
        "text": _("text of the customer"),
        "choice": _("tap on an option"),
        "media": str(KIND_LABELS.get(str(happened.get("media", "")), _("file"))),
        "location": _("location of the customer"),
        "contacts": _("contact card"),
        "form": _("form of the customer"),
        "returned": _("answer of an integration"),
        "ticket_opened": _("the ticket was opened"),
        "timer": _("the time was up"),
    }
    return known.get(kind, kind)


def _how(cause: FlowLog, asked: AnyNode | None, happened: Mapping[str, Any]) -> str:
    """By which rule an option was understood; "" when none was."""
    exits = {one.get("exit", "") for one in cause.trace if isinstance(one, dict)}
    if not isinstance(asked, Menu) or not any(name.startswith("option:") for name in exits):
        return ""
    if happened.get("kind") == "choice":
        is_own = any(one.id == happened.get("id") for one in asked.options)
        return _("tap on the option") if is_own else _("tap on an older menu")
    return {
        "exact": _("the option's own words"),
        "number": _("the option's number"),
        "words": _("similar words"),
    }[way_of(str(happened.get("text", "")), asked.candidates)]


def _waited(happened: Mapping[str, Any], answered: datetime) -> timedelta | None:
    came = parse_datetime(str(happened.get("at", "")))
    return max(answered - came, timedelta()) if came else None


# --- Variables ---------------------------------------------------------------------------------


def _changes(
    turn: Sequence[FlowLog], before: Sequence[FlowLog], document: FlowDocument | None
) -> Iterator[Change]:
    names = sorted({name for row in turn for name in (*row.context_set, *row.context_unset)})
    old, new = _held(before, names), _held(turn[::-1], names)
    for name in names:
        was, is_now = (
            value_of(name, held[name], document) if name in held else None for held in (old, new)
        )
        known = is_now or was or value_of(name, None, document)
        yield Change(
            name=name,
            label=known.label,
            before=was.shown if was else "",
            after=is_now.shown if is_now else "",
            is_masked=known.is_masked,
        )


def _held(rows: Iterable[FlowLog], names: Iterable[str]) -> dict[str, Any]:
    """What the variables held after these rows, newest first; one that was removed is not there."""
    found: dict[str, Any] = {}
    wanted = set(names)
    for row in rows:
        for name in wanted & {*row.context_set, *row.context_unset}:
            wanted.discard(name)
            if name in row.context_set:
                found[name] = row.context_set[name]
        if row.kind == FlowLogKind.START:
            break
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
