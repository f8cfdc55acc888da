"""The difference of two documents for people: in sentences, and as lines of before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot.engine.diff import Change, compare
from chatbot.engine.kinds import AnyNode, Menu
from chatbot.engine.nodes import FlowDocument
from chatbot.flow_map import exit_label
from chatbot.kind_words import detail_of
from chatbot.publishing.field_words import (
    CHOICES,
    EMPTY,
    Pieces,
    compact,
    fields_of,
    joined,
    label_of,
    marked,
    name_of,
    quoted,
    value_of,
)

SHORT = 40  # characters that fit into a sentence
_UNTOLD = frozenset(("id", "next"))
MAIN_TEXTS = frozenset(("text", "closed_text", "fallback", "invalid", "ambiguous", "only_text"))


@dataclass(frozen=True)
class Line:
    """A line of the card: what it is, and its value in pieces, the marked ones being what was
    edited. `sign` "" stands before what is the same in both."""

    sign: Literal["", "-", "+"]
    label: str
    pieces: Pieces

    @property
    def text(self) -> str:
        return "".join(piece for piece, _is_marked in self.pieces)


@dataclass(frozen=True)
class Part:
    """What differs in one passo, or in the flow itself: `clauses` in words, `lines` as values."""

    title: str
    detail: str
    op: Literal["added", "removed", "changed"]
    clauses: tuple[str, ...]
    lines: tuple[Line, ...]
    place: str = ""

    @property
    def sentence(self) -> str:
        return f"{self.title}: {'; '.join(self.clauses)}"


@dataclass(frozen=True)
class Difference:
    """Everything that differs between two documents, for people."""

    parts: tuple[Part, ...] = ()
    changed: int = 0
    added: int = 0
    removed: int = 0

    @property
    def counts(self) -> list[str]:
        """The passos that changed, are new and are gone, each as a few words."""
        words = [
            (
                self.changed,
                ngettext("%(count)d step changed", "%(count)d steps changed", self.changed),
            ),
            (self.added, ngettext("%(count)d new step", "%(count)d new steps", self.added)),
            (
                self.removed,
                ngettext("%(count)d step removed", "%(count)d steps removed", self.removed),
            ),
        ]
        return [text % {"count": count} for count, text in words if count]

    @property
    def sentences(self) -> list[str]:
        return [part.sentence for part in self.parts]


def difference(before: FlowDocument, after: FlowDocument) -> Difference:
    """What somebody must know who read `before` and now gets `after`."""
    changes = compare(before, after)
    books = _Book(before, after)
    grouped = groupby(changes, key=lambda one: (one.flow, one.node))
    parts = [books.part(key, node, list(group)) for (key, node), group in grouped]
    steps = [part.op for part in parts if part.place]
    return Difference(
        tuple(parts), steps.count("changed"), steps.count("added"), steps.count("removed")
    )


@dataclass(frozen=True)
class _Book:
    """Both documents, to name by their titles what changes call by ids."""

    before: FlowDocument
    after: FlowDocument

    # -- one passo, or the flow itself

    def part(self, key: str, node_id: str, changes: Sequence[Change]) -> Part:
        first = changes[0]
        is_whole = not first.path
        title, detail = self._head(key, node_id)
        if not node_id:
            clauses = self._whole_subflow(first) if is_whole else self._clauses(changes)
            return Part(title, detail, "changed", tuple(clauses), tuple(self._lines(changes)))
        op: Literal["added", "removed", "changed"] = "changed"
        if is_whole and first.op in {"added", "removed"}:
            op = "added" if first.op == "added" else "removed"
        return Part(
            title,
            {"added": _("new step"), "removed": _("step removed")}.get(op, detail),
            op,
            tuple(self._clauses(changes)),
            tuple(self._lines(changes)),
            place=first.place,
        )

    def _head(self, key: str, node_id: str) -> tuple[str, str]:
        within = [one.name for one in (self._part(key, True), self._part(key, False)) if one]
        name = within[0] if within else key
        if not node_id:
            return (_("Sub-flow %(name)s") % {"name": name}) if key else _("The flow"), ""
        node = self._node(key, node_id, is_after=True) or self._node(key, node_id, is_after=False)
        title = self._title(key, node_id)
        return f"{name} · {title}" if key else title, detail_of(node) if node else ""

    def _whole_subflow(self, change: Change) -> Iterator[str]:
        yield _("comes along now") if change.op == "added" else _("does not come along any more")

    # -- in words

    def _clauses(self, changes: Sequence[Change]) -> Iterator[str]:
        for change in changes:
            yield self._clause(change)

    def _clause(self, change: Change) -> str:
        if not change.path:
            return _("new step") if change.op == "added" else _("step removed")
        about = {
            "field": self._label(change),
            "target": self._target(change, change.after) if change.exit else "",
            "before": self._short(change, change.before, is_after=False),
            "after": self._short(change, change.after),
        }
        pattern = (
            _of_exit(change)
            if change.exit and change.op != "removed"
            else _of_field(change, has_before=bool(about["before"]), has_after=bool(about["after"]))
        )
        return pattern % about

    def _short(self, change: Change, value: Any, *, is_after: bool = True) -> str:
        """The value, where it fits into a sentence."""
        if isinstance(value, dict):
            value = name_of(value)
        shown = self._shown(change, value, is_after=is_after) if value is not None else ""
        return shown if len(shown) <= SHORT and "\n" not in shown else ""

    # -- as lines

    def _lines(self, changes: Sequence[Change]) -> Iterator[Line]:
        yield from self._context(changes)
        for change in changes:
            if not change.path:
                yield from self._all_of(change)
                continue
            yield from self._before_and_after(change)

    def _context(self, changes: Sequence[Change]) -> Iterator[Line]:
        """The text of a passo that keeps it, so that the lines below say whose they are."""
        first = changes[0]
        touched = {change.path[:1] for change in changes}
        node = self._node(first.flow, first.node, is_after=True) if first.node else None
        text = getattr(node, "text", "")
        if text and ("text",) not in touched and first.path:
            yield Line("", label_of("text"), ((quoted(text), False),))

    def _all_of(self, change: Change) -> Iterator[Line]:
        """A passo or sub-flow that is only in one of the two."""
        sign: Literal["-", "+"] = "+" if change.op == "added" else "-"
        value = change.after if change.op == "added" else change.before
        if not change.node:
            yield Line(sign, _("steps"), ((str(len(value["nodes"])), False),))
            return
        is_after = change.op == "added"
        for path, exit_name, one in fields_of(value):
            if one in EMPTY or one is False or path == ("title",):
                continue
            inner = Change(change.op, change.flow, change.node, path, one, one, exit_name)
            shown = self._shown(inner, one, is_after=is_after)
            yield Line(sign, self._label(inner, value), ((shown, False),))

    def _before_and_after(self, change: Change) -> Iterator[Line]:
        label = self._label(change)
        old = self._shown(change, change.before, is_after=False)
        new = self._shown(change, change.after)
        is_text = isinstance(change.before, str) and isinstance(change.after, str)
        if is_text and not change.exit and change.path[-1] not in CHOICES:
            pieces = marked(old, new)
        else:
            pieces = ((old, False),), ((new, False),)
        if change.op != "added":
            yield Line("-", label, pieces[0])
        if change.op != "removed":
            yield Line("+", label, pieces[1])

    # -- names

    def _label(self, change: Change, value: Any = None) -> str:
        """What the field is called: "option 3", "option 3 · synonyms"."""
        head, rest = "", change.path[2:]
        match change.path:
            case ("options", option, *_rest):
                head = self._option(change, option, value)
            case ("cases", number, *_rest):
                head = _("case %(number)s") % {"number": number}
            case ("values", number, *_rest):
                head = _("value %(number)s") % {"number": number}
            case ("words", number, *_rest):
                head = self._word(change, int(number))
            case ("variables", name, *_rest):
                head = f"{label_of('variables')} {name}"
            case ("routes", route):
                head = _("route “%(route)s”") % {"route": route}
        if head:
            return joined(head, (one for one in rest if one not in {"label", "next"}))
        if change.exit and change.exit != "start":
            return self._exit(change) or label_of("next")
        return joined(label_of(change.path[0]), change.path[1:])

    def _exit(self, change: Change) -> str:
        node = self._node(change.flow, change.node, is_after=True) or self._node(
            change.flow, change.node, is_after=False
        )
        return exit_label(node, change.exit) if node else ""

    def _option(self, change: Change, option: str, value: Any = None) -> str:
        """By its number, as customers see it; by its label where it is only in one of the two."""
        ids = [one["id"] for one in value["options"]] if value else self._option_ids(change)
        number = ids.index(option) + 1 if option in ids else option
        return _("option %(number)s") % {"number": number}

    def _option_ids(self, change: Change) -> list[str]:
        is_after = change.op != "removed" or len(change.path) > 2  # noqa: PLR2004  # of one option
        node = self._node(change.flow, change.node, is_after=is_after)
        return [one.id for one in node.options] if isinstance(node, Menu) else []

    def _word(self, change: Change, number: int) -> str:
        part = self._part(change.flow, change.op != "removed")
        words = part.words if part else ()
        known = words[number - 1].keywords[:1] if 0 < number <= len(words) else ()
        return " ".join((label_of("words"), *(f"“{word}”" for word in known)))

    def _title(self, key: str, node_id: str) -> str:
        """What a passo is called, in the later document where it is in both."""
        node = self._node(key, node_id, is_after=True) or self._node(key, node_id, is_after=False)
        return (node.title if node else "") or node_id

    def _target(self, change: Change, node_id: Any) -> str:
        return self._title(change.flow, node_id) if node_id else _("nowhere")

    def _shown(self, change: Change, value: Any, *, is_after: bool = True) -> str:
        if change.exit:
            return f"→ {self._target(change, value)}"
        node = self._node(change.flow, change.node, is_after=is_after)
        if change.op == "moved":
            labels = {one.id: one.label for one in node.options} if isinstance(node, Menu) else {}
            return ", ".join(labels.get(one, one) for one in value)
        if change.path == ("kind",) and node is not None:
            return detail_of(node)
        if isinstance(value, dict) and "next" in value:
            told = value_of({name: one for name, one in value.items() if name not in _UNTOLD})
            return f"{told} → {self._target(change, value['next'])}"
        is_condition = change.path[-1] == "when" and len(change.path) > 1
        return compact(value) if is_condition else value_of(value, change.path[-1])

    def _node(self, key: str, node_id: str, *, is_after: bool) -> AnyNode | None:
        part = self._part(key, is_after)
        return part.nodes.get(node_id) if part else None

    def _part(self, key: str, is_after: bool) -> FlowDocument | None:
        return (self.after if is_after else self.before).document(key)


def _of_exit(change: Change) -> str:
    if not change.after:
        return _("%(field)s leads nowhere now")
    if change.exit in {"next", "start"}:
        return _("now goes on at %(target)s")
    return _("%(field)s now leads to %(target)s")


def _of_field(change: Change, *, has_before: bool, has_after: bool) -> str:
    match change.op:
        case "moved":
            return _("%(field)s in another order: %(after)s")
        case "added":
            return _("%(field)s added: %(after)s") if has_after else _("%(field)s added")
        case "removed":
            is_named = has_before and not change.exit
            return _("%(field)s taken away: %(before)s") if is_named else _("%(field)s taken away")
    if change.path[-1] in MAIN_TEXTS:
        return _("%(field)s written anew")
    is_short = has_before and has_after
    return _("%(field)s: %(before)s → %(after)s") if is_short else _("%(field)s changed")
