"""What can be done to a flow document. Pure: a document goes in, another comes out.

A document is here the JSON dict that `parse_flow` reads and `as_dict` writes. Nothing is changed in
place, and what comes out can always be read. What makes no sense is refused (EditRefused).
"""

from __future__ import annotations

import copy
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from chatbot.engine.graph import Graph
from chatbot.engine.kinds import FACT_NAMES
from chatbot.engine.nodes import FlowDocument, parse_flow
from users.errors import DomainError

Json = dict[str, Any]

ID_LENGTH, NAME_LENGTH = 60, 40
KINDS = (
    "start",
    "send",
    "ask",
    "menu",
    "branch",
    "set",
    "lead",
    "call",
    "http",
    "handoff",
    "flow",
    "wait",
    "end",
)
# Where the way goes on from a passo that is put between two others.
ONWARD = {
    "start": "next",
    "send": "next",
    "ask": "next",
    "menu": "option:1",
    "branch": "otherwise",
    "set": "next",
    "lead": "next",
    "call": "route:ok",
    "http": "ok",
    "flow": "next",
    "wait": "next",
}
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_MINUTE = 60


class EditRefused(DomainError):
    """It cannot be done to this document; nothing was changed."""

    code = "edit_refused"


@dataclass(frozen=True)
class Cut:
    """An exit that leads to a passo; without `origin` it is a word that works anywhere."""

    origin: str
    exit: str


@dataclass(frozen=True)
class CutOff:
    """What becomes of the rest when a passo is deleted. `successor`: the only passo that it leads
    to, which could take its place; "" when there is none such, or several."""

    unreachable: tuple[str, ...]
    cuts: tuple[Cut, ...]
    successor: str
    unreachable_if_bridged: tuple[str, ...]


# --- Passos ------------------------------------------------------------------------------------


def add(document: Json, kind: str, title: str = "") -> tuple[Json, str]:
    """(document, id) with a new passo that nothing leads to yet. The first start becomes the
    beginning of the flow."""
    changed = copy.deepcopy(document)
    node_id = _add(changed, kind, title)
    return _readable(changed), node_id


def add_after(
    document: Json, origin: str, exit_name: str, kind: str, title: str = ""
) -> tuple[Json, str]:
    """(document, id) with a new passo at the end of an exit; what the exit led to is left."""
    changed = copy.deepcopy(document)
    _exit_target(changed, origin, exit_name)
    node_id = _add(changed, kind, title)
    _set_exit(changed["nodes"][origin], exit_name, node_id)
    return _readable(changed), node_id


def insert(
    document: Json, origin: str, exit_name: str, kind: str, title: str = ""
) -> tuple[Json, str]:
    """(document, id) with a new passo between an exit and the passo that it leads to."""
    if kind not in ONWARD:
        raise EditRefused(_("Nothing can come after this kind of step."), code="no_exit")
    changed = copy.deepcopy(document)
    target = _exit_target(changed, origin, exit_name)
    node_id = _add(changed, kind, title)
    if target:
        _set_exit(changed["nodes"][node_id], ONWARD[kind], target)
    _set_exit(changed["nodes"][origin], exit_name, node_id)
    return _readable(changed), node_id


def duplicate(document: Json, node_id: str, title: str) -> tuple[Json, str]:
    """(document, id) with a copy of a passo beside it: same exits, and nothing leads to it."""
    changed = copy.deepcopy(document)
    copied = copy.deepcopy(_node(changed, node_id))
    title = _line(title)
    new_id = free_id(changed, title)
    changed["nodes"][new_id] = {**copied, "title": title}
    return _readable(changed), new_id


def replace(document: Json, node_id: str, node: Json) -> Json:
    """The document with this passo as it was written anew. Raises FlowError when it cannot be
    read; a passo that is not there any more comes back."""
    changed = copy.deepcopy(document)
    changed.setdefault("nodes", {})[node_id] = copy.deepcopy(node)
    return _readable(changed)


def rename(document: Json, node_id: str, new_id: str) -> Json:
    """The document with another id for a passo; whatever leads to it follows."""
    if new_id == node_id:
        return _readable(document)
    if not _ID.fullmatch(new_id):
        raise EditRefused(
            _("An id has small letters without accents, digits, _ and -, at most 60 of them."),
            code="bad_id",
        )
    if new_id in document.get("nodes", {}):
        raise EditRefused(
            _("Another step is called “%(id)s” already.") % {"id": new_id}, code="taken_id"
        )
    changed = copy.deepcopy(document)
    _node(changed, node_id)
    # In its old place: the order of the passos says nothing, but a diff reads better.
    changed["nodes"] = {
        (new_id if one == node_id else one): node for one, node in changed["nodes"].items()
    }
    if changed.get("start") == node_id:
        changed["start"] = new_id
    _lead_elsewhere(changed, node_id, new_id)
    return _readable(changed)


# --- Deleting ----------------------------------------------------------------------------------


def cut_off(document: Json, node_id: str) -> CutOff:
    """What deleting a passo would cut off: looked at before, shown before it is confirmed."""
    _node(document, node_id)
    before = parse_flow(document)
    successor = _successor(before, node_id)
    bridged = parse_flow(delete(document, node_id, bridge=True)) if successor else before
    lost = _lost(before, parse_flow(delete(document, node_id)), node_id)
    return CutOff(
        unreachable=lost,
        cuts=tuple(_cuts(before, node_id)),
        successor=successor,
        unreachable_if_bridged=_lost(before, bridged, node_id) if successor else lost,
    )


def delete(document: Json, node_id: str, *, bridge: bool = False) -> Json:
    """The document without a passo. Exits and words that led to it stay unconnected; with `bridge`
    they lead to its only successor. Refused when it has none, or several."""
    _node(document, node_id)
    successor = _successor(parse_flow(document), node_id) if bridge else ""
    if bridge and not successor:
        raise EditRefused(
            _("This step does not lead to exactly one other: nothing can take its place."),
            code="no_successor",
        )
    changed = copy.deepcopy(document)
    del changed["nodes"][node_id]
    _lead_elsewhere(changed, node_id, successor)
    if document.get("start") == node_id:
        is_start = changed["nodes"].get(successor, {}).get("kind") == "start"
        changed["start"] = successor if is_start else ""
    return _readable(changed)


def _cuts(document: FlowDocument, node_id: str) -> list[Cut]:
    exits = [
        Cut(origin, exit_.name)
        for origin, node in document.nodes.items()
        for exit_ in node.exits()
        if exit_.target == node_id and origin != node_id
    ]
    return exits + [Cut("", word.keywords[0]) for word in document.words if word.next == node_id]


def _lost(before: FlowDocument, after: FlowDocument, node_id: str) -> tuple[str, ...]:
    reached = Graph(after).paths
    return tuple(one for one in Graph(before).paths if one not in reached and one != node_id)


def _successor(document: FlowDocument, node_id: str) -> str:
    exits = document.nodes[node_id].exits()
    targets = {one.target for one in exits if one.target in document.nodes} - {node_id}
    return targets.pop() if len(targets) == 1 else ""


# --- Names -------------------------------------------------------------------------------------


def free_id(document: Json, title: str, fallback: str = "passo") -> str:
    """An id made from a title, not taken in this document."""
    base = _plain(title)[:ID_LENGTH].strip("_") or fallback
    return _untaken(base, document.get("nodes", {}), ID_LENGTH)


def free_name(title: str, taken: Mapping[str, Any] | set[str] | frozenset[str]) -> str:
    """A variable's name made from a title, not in `taken` and none that the program fills."""
    base = _plain(title)[:NAME_LENGTH].strip("_") or "resposta"
    base = f"r_{base}"[:NAME_LENGTH] if base[0].isdigit() else base
    return _untaken(base, {*taken, *FACT_NAMES}, NAME_LENGTH)


def free_option_id(options: list[Json], label: str) -> str:
    """An id for an option of a menu, not taken by the others."""
    return _untaken(_plain(label)[:ID_LENGTH] or "opcao", {one.get("id") for one in options}, 99)


def _plain(text: str) -> str:
    """Small letters without accents and digits, everything else as single underscores."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", bare).strip("_")


def _untaken(base: str, taken: Any, longest: int) -> str:
    number, name = 1, base
    while name in taken:
        number += 1
        suffix = f"_{number}"
        name = base[: longest - len(suffix)] + suffix
    return name


# --- Inside a document -------------------------------------------------------------------------


def fresh(kind: str, title: str, taken: set[str] | frozenset[str] = frozenset()) -> Json:
    """A new passo of a kind, with the least that can be read. `taken` are variables' names."""
    least: dict[str, Json] = {
        "ask": {"text": "", "save_as": ""},
        "menu": {"text": "", "options": [{"id": "1", "label": ""}]},
        "branch": {"cases": [{"when": {"open": ""}}]},
        "set": {"values": [{"name": ""}]},
        "call": {"handler": "", "routes": {"ok": "", "error": ""}},
        "http": {"url": ""},
        "wait": {"seconds": _MINUTE},
    }
    if kind not in KINDS:
        raise EditRefused(_("There is no such kind of step."), code="unknown_kind")
    node = {"kind": kind, "title": title, **copy.deepcopy(least.get(kind, {}))}
    if kind == "ask":
        node["save_as"] = free_name(title, taken)
    if kind == "set":
        node["values"][0]["name"] = free_name(title, taken)
    return node


def _add(document: Json, kind: str, title: str) -> str:
    title = _line(title)
    names = {
        one["save_as"] for one in document.get("nodes", {}).values() if one.get("save_as")
    } | set(document.get("variables", {}))
    node = fresh(kind, title, names)
    node_id = free_id(document, title, fallback=kind)
    document.setdefault("nodes", {})[node_id] = node
    has_start = document["nodes"].get(document.get("start", ""), {}).get("kind") == "start"
    if kind == "start" and not has_start:
        document["start"] = node_id
    return node_id


def _line(title: str) -> str:
    """A title as it can be stored."""
    return title.strip().replace("\0", "\N{REPLACEMENT CHARACTER}")[:200]


def _node(document: Json, node_id: str) -> Json:
    node: Json | None = document.get("nodes", {}).get(node_id)
    if node is None:
        raise EditRefused(
            _("There is no step “%(id)s” in this flow any more.") % {"id": node_id},
            code="unknown_step",
        )
    return node


def _exit_target(document: Json, origin: str, exit_name: str) -> str:
    """Where an exit leads. Refused when the passo has no such exit."""
    _node(document, origin)
    node = parse_flow(document).nodes[origin]
    exits = {one.name: one.target for one in node.exits()}
    is_route = node.kind == "call" and re.fullmatch(r"route:.{1,200}", exit_name)
    if exit_name not in exits and not is_route:
        raise EditRefused(_("The step has no such exit any more."), code="unknown_exit")
    return exits.get(exit_name, "")


def _set_exit(node: Json, exit_name: str, target: str) -> None:
    kind, _colon, rest = exit_name.partition(":")
    match kind:
        case "option":
            for option in node["options"]:
                if option["id"] == rest:
                    option["next"] = target
        case "case":
            node["cases"][int(rest) - 1]["next"] = target
        case "route":
            node.setdefault("routes", {})[rest] = target
        case _:
            node[exit_name] = target


def _lead_elsewhere(document: Json, old: str, new: str) -> None:
    """Whatever leads to `old` leads to `new` from now on; "": nowhere."""
    for node_id, node in parse_flow(document).nodes.items():
        for exit_ in node.exits():
            if exit_.target == old:
                _set_exit(document["nodes"][node_id], exit_.name, new)
    for word in document.get("words", ()):
        if word.get("next") == old:
            word["next"] = new


def _readable(document: Json) -> Json:
    """As it is stored. Raises FlowError for what cannot be read."""
    return parse_flow(document).as_dict()
