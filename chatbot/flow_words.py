"""What a flow did, in words: rows of its log, variables by label, sensitive ones hidden."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from urllib.parse import unquote

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from chatbot.documents import document_of
from chatbot.engine.kinds import AnyNode, Ask, LeadNode, Menu
from chatbot.engine.nodes import FlowDocument, FlowError, Variable
from chatbot.engine.render import placeholders
from chatbot.engine.replay import REDACTED
from chatbot.flow_map import exit_label
from chatbot.labels import EXIT_LABELS, MATCH_LABELS
from chatbot.models import FlowLog, FlowLogKind, FlowVersion, Task, TaskKind
from users.masking import MASK, hidden_names, is_personal, masked

NOT_UNDERSTOOD = {"invalid", "ambiguous", "fallback", "only_text"}
SAID = ("text", "title", "caption", "filename")  # where a message holds words of the customer
FAILING_EXITS = ("trouble", "on_fail", "error", "route:error")


@dataclass(frozen=True)
class Value:
    """A variable as a page shows it."""

    name: str
    label: str
    shown: str
    is_masked: bool = False
    is_erased: bool = False


@dataclass(frozen=True)
class Passage:
    """One passo that a step went through, and why it left by which exit."""

    title: str
    matched: str
    exit: str


@dataclass(frozen=True)
class LogLine:
    """A row of the flow log in words."""

    pk: int
    seq: int
    kind: str
    label: str
    at: datetime
    start: str
    end: str
    passages: tuple[Passage, ...]
    effects: tuple[str, ...]
    changed: tuple[Value, ...]
    removed: tuple[str, ...]
    milliseconds: float
    said: str = ""  # what a row that is no step stands for
    way: tuple[str, ...] = ()  # titles from where the step began to where it came to rest
    reason: str = ""
    trouble: str = ""
    tries: int = 0
    tries_allowed: int = 0

    @property
    def has_moved(self) -> bool:
        return bool(self.start and self.end) and self.start != self.end


def document_or_none(version_id: int | None) -> FlowDocument | None:
    """The document of a version; None without one, and where it cannot be read any more."""
    if version_id is None:
        return None
    try:
        return document_of(version_id)
    except (FlowVersion.DoesNotExist, FlowError):
        return None


def node_at(document: FlowDocument | None, place: str) -> AnyNode | None:
    """The passo that a trace names: its id, or `sub/id` in a sub-flow."""
    if document is None:
        return None
    key, _slash, node_id = place.rpartition("/")
    part = document.document(key)
    return part.nodes.get(node_id) if part else None


def title_of(document: FlowDocument | None, key: str, node_id: str) -> str:
    """What the flow calls a passo; its id when it has no title."""
    node = node_at(document, f"{key}/{node_id}" if key else node_id)
    return (node.title if node else "") or node_id


def any_node(document: FlowDocument | None, place: str) -> AnyNode | None:
    """A passo of the flow or of one of its sub-flows, however it is named."""
    node_id = place.rpartition("/")[2]
    if document is None or not node_id:
        return None
    parts = _parts(document)
    anywhere = next((part.nodes[node_id] for part in parts if node_id in part.nodes), None)
    return node_at(document, place) or anywhere


def any_title(document: FlowDocument | None, place: str) -> str:
    """Its title, or its id."""
    node = any_node(document, place)
    return (node.title if node else "") or place.rpartition("/")[2]


def sensitive_names(document: FlowDocument | None) -> frozenset[str]:
    """The variables that a page hides, in the flow or in any of its sub-flows."""
    return frozenset(
        name for part in _parts(document) for name, one in part.variables.items() if one.sensitive
    )


def sensitive_fields(document: FlowDocument | None) -> frozenset[str]:
    """The fields of a lead that the flow, or a sub-flow of it, fills with a sensitive variable."""
    hidden = sensitive_names(document)
    return frozenset(
        field
        for part in _parts(document)
        for node in part.nodes.values()
        if isinstance(node, LeadNode)
        for field, text in node.fields.items()
        if field in hidden or hidden & {name.partition(".")[0] for name, _d in placeholders(text)}
    )


def option_label(document: FlowDocument | None, name: str, value: Any) -> str:
    """What the option is called whose id a menu kept in the variable `name`; "" when there is none,
    or when two menus call it differently."""
    labels = {
        option.label
        for part in _parts(document)
        for node in part.nodes.values()
        if isinstance(node, Menu) and node.save_as == name
        for option in node.options
        if option.id == value
    }
    return labels.pop() if len(labels) == 1 else ""


def variable_of(document: FlowDocument | None, name: str) -> Variable:
    """What the flow, or a sub-flow of it, declares about a variable."""
    parts = _parts(document)
    return next((one.variables[name] for one in parts if name in one.variables), Variable())


def _parts(document: FlowDocument | None) -> tuple[FlowDocument, ...]:
    """The flow and its sub-flows."""
    return (document, *document.subflows.values()) if document else ()


def without_sensitive(row: FlowLog) -> dict[str, Any]:
    """The fields of a row that may hold variables, with the sensitive ones masked: also as the
    words of the customer and as a field of the lead."""
    document = document_or_none(row.run.version_id if row.run else None)
    hidden, fields = sensitive_names(document), sensitive_fields(document)
    is_secret = getattr(any_node(document, row.node), "save_as", "") in hidden
    return {
        "message": masked(row.message, hidden.union(SAID) if is_secret else hidden),
        "effects": [_effect_without(one, hidden, fields) for one in row.effects],
        "context_set": masked(row.context_set, hidden),
    }


def task_without_sensitive(task: Task) -> dict[str, Any]:
    """What a task is about, with the sensitive variables of its flow masked."""
    hidden = sensitive_names(document_or_none(task.run.version_id if task.run else None))
    payload = _request_without(task.payload) if task.kind == TaskKind.HTTP else task.payload
    return cast("dict[str, Any]", masked(payload, hidden))


def _effect_without(effect: Any, hidden: frozenset[str], fields: frozenset[str]) -> Any:
    kind = effect.get("kind") if isinstance(effect, dict) else ""
    if kind == "call_http":
        effect = _request_without(effect)
    return masked(effect, hidden | fields if kind == "update_lead" else hidden)


def _request_without(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request to another system without what its texts were filled with: nothing in them says
    any more which variable a stretch came from."""
    shown = {
        name: MASK if one and name in ("headers", "body", "secret_headers") else one
        for name, one in request.items()
    }
    return {**shown, "url": _url_without(str(request.get("url", "")))}


def _url_without(url: str) -> str:
    """Where it goes, without its query."""
    place, mark, query = url.partition("?")
    place, hash_mark, fragment = place.partition("#")
    path = "/".join(MASK if is_personal(unquote(one)) else one for one in place.split("/"))
    return path + (mark or hash_mark) + (MASK if query or fragment else "")


def values_of(context: Mapping[str, Any], document: FlowDocument | None) -> list[Value]:
    return [value_of(name, value, document) for name, value in sorted(context.items())]


def value_of(name: str, value: Any, document: FlowDocument | None) -> Value:
    label = variable_of(document, name).label or name
    if value == REDACTED:
        return Value(name, label, _("erased"), is_erased=True)
    is_masked = bool(hidden_names({name: value}, sensitive_names(document)))
    return Value(name, label, MASK if is_masked else shown_of(name, value, document), is_masked)


def shown_of(name: str, value: Any, document: FlowDocument | None) -> str:
    """A value as people read it: of a menu the option's label, as the version had it."""
    return option_label(document, name, value) or in_words(value)


def in_words(value: Any) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return _("yes") if value else _("no")
        case list() | tuple():
            return ", ".join(map(in_words, value))
        case dict():
            return ", ".join(f"{key}: {in_words(one)}" for key, one in value.items())
    return str(value)


def lines_of(rows: Sequence[FlowLog]) -> list[LogLine]:
    """Rows (with their runs) in words; each version is read once, even one that cannot be read."""
    versions = [row.run.version_id if row.run else None for row in rows]
    documents = {version: document_or_none(version) for version in set(versions)}
    return [_line(row, documents[version]) for row, version in zip(rows, versions, strict=True)]


def _line(row: FlowLog, document: FlowDocument | None) -> LogLine:
    trace = [passed for passed in row.trace if isinstance(passed, dict)]
    first = trace[0] if trace else {}
    node = node_at(document, str(first.get("node", "")))
    return LogLine(
        pk=row.pk,
        seq=row.seq,
        kind=row.kind,
        label=str(FlowLogKind(row.kind).label),
        at=row.created_at,
        start=any_title(document, row.node),
        end=any_title(document, row.next_node),
        passages=tuple(passages_of(trace, document)),
        effects=tuple(_effects(row)),
        changed=tuple(values_of(row.context_set, document)),
        removed=tuple(row.context_unset),
        milliseconds=row.duration_us / 1000,
        said="" if row.kind == FlowLogKind.STEP else _said(row, document),
        way=tuple(_way(trace, document)),
        reason=_reason(first, node, row),
        trouble=_trouble(first, row),
        tries=int(row.state.get("tries") or 0),
        tries_allowed=node.tries if isinstance(node, Ask | Menu) else 0,
    )


def passages_of(trace: Iterable[Any], document: FlowDocument | None) -> list[Passage]:
    """The passos of a stored trace."""
    return [
        Passage(
            title=any_title(document, passed.get("node", "")),
            matched=_matched(passed.get("matched", ""), passed.get("exit", "")),
            exit=str(EXIT_LABELS.get(passed.get("exit", ""), "")),
        )
        for passed in trace
        if isinstance(passed, dict)
    ]


def _matched(matched: str, exit_name: str) -> str:
    """In words, unless it is the flow's own: an option, a case, a route or a word."""
    is_own = ":" in exit_name or exit_name == "word"
    return matched if is_own else str(MATCH_LABELS.get(matched, matched))


def _effects(row: FlowLog) -> list[str]:
    """What the step asked for, beside saying something."""
    labels = {
        "open_ticket": _("opens a ticket"),
        "update_lead": _("updates the lead"),
        "run_handler": _("runs an integration"),
        "call_http": _("calls another system"),
        "wait": _("waits"),
        "end_session": _("ends the conversation"),
    }
    kinds = [effect.get("kind") for effect in row.effects if isinstance(effect, dict)]
    return [labels[kind] for kind in kinds if kind in labels]


def _way(trace: Iterable[Mapping[str, Any]], document: FlowDocument | None) -> list[str]:
    """The passos in a row, each once."""
    titles: list[str] = []
    for passed in trace:
        title = any_title(document, str(passed.get("node", "")))
        if not titles or titles[-1] != title:
            titles.append(title)
    return titles


def _reason(first: Mapping[str, Any], node: AnyNode | None, row: FlowLog) -> str:
    """Why the step left the passo where it began: the option, the word, or what was recognised."""
    exit_name, matched = str(first.get("exit", "")), str(first.get("matched", ""))
    if exit_name == "word":
        return _("word: %(word)s") % {"word": matched}
    if isinstance(row.message, dict) and row.message.get("kind") == "started":
        return pgettext("kind of step", "entry")
    if ":" in exit_name and node is not None:
        return exit_label(node, exit_name)
    return str(MATCH_LABELS.get(matched, "")) or str(EXIT_LABELS.get(exit_name, ""))


def _trouble(first: Mapping[str, Any], row: FlowLog) -> str:
    """What went wrong in the step, in words; empty when nothing did."""
    exit_name, matched = str(first.get("exit", "")), str(first.get("matched", ""))
    if row.kind != FlowLogKind.STEP:
        return ""
    if exit_name == "trouble":
        return _("the bot gave up: %(why)s") % {"why": MATCH_LABELS.get(matched, matched)}
    if matched in NOT_UNDERSTOOD:
        return str(MATCH_LABELS[matched])
    return str(EXIT_LABELS["error"]) if exit_name in {"error", "route:error"} else ""


def _said(row: FlowLog, document: FlowDocument | None) -> str:
    """What a row that is no step stands for."""
    message: dict[str, Any] = row.message if isinstance(row.message, dict) else {}
    about = {
        "by": str(message.get("by") or "?"),
        "flow": document.name if document else "?",
        "title": str(message.get("title") or "")
        or any_title(document, str(message.get("node") or "")),
    }
    said = _SAID.get((row.kind, message.get("kind", ""))) or _SAID.get((row.kind, ""))
    return str(said) % about if said else str(FlowLogKind(row.kind).label)


_SAID: dict[tuple[str, Any], Promise] = {
    (FlowLogKind.START, ""): gettext_lazy("The flow %(flow)s began"),
    (FlowLogKind.START, "moved"): gettext_lazy(
        "Moved from %(title)s to a new version of the flow %(flow)s"
    ),
    (FlowLogKind.JUMP, ""): gettext_lazy("%(by)s began again at %(title)s"),
    (FlowLogKind.EDIT, "dropped"): gettext_lazy("An answer came that nobody waited for any more"),
    (FlowLogKind.END, "idle"): gettext_lazy("Ended: no answer from the customer"),
    (FlowLogKind.END, "version"): gettext_lazy("Ended when a version of the flow was published"),
    (FlowLogKind.REDACT, ""): gettext_lazy("Personal data was erased"),
}
