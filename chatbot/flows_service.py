"""Drafts, publishing and the shipped flows: the only writers of a flow's draft and versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot.engine.kinds import SubFlow
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.findings import Finding, check_document, unreadable
from chatbot.models import Flow, FlowVersion, Trigger, TriggerKind
from users.errors import DomainError

if TYPE_CHECKING:
    from users.models import User

SHIPPED_FOLDER = Path(__file__).parent / "flows"
# What starts a shipped flow once it is installed; a flow that is not here is only published.
SHIPPED_TRIGGERS = {
    "atendimento": TriggerKind.CATCH_ALL,
    "pesquisa": TriggerKind.TICKET_CLOSED,
}
SHOWN = 5  # how many findings a refusal names; the check shows them all

Json = dict[str, Any]


class DraftConflict(DomainError):
    """Somebody saved the draft first. Nothing is lost: `stored` is theirs, `submitted` ours."""

    code = "draft_conflict"

    def __init__(self, *, stored: Json, submitted: Json, revision: int) -> None:
        super().__init__(
            _("Somebody else has saved this draft in the meantime. Compare both and save again.")
        )
        self.stored = stored
        self.submitted = submitted
        self.revision = revision


class FlowRefused(DomainError):
    """The document has errors; `findings` names them."""

    code = "flow_has_errors"

    def __init__(self, findings: list[Finding]) -> None:
        shown = [finding.sentence for finding in findings[:SHOWN]]
        if len(findings) > SHOWN:
            shown.append("…")
        super().__init__(" ".join([_("The flow has errors."), *shown]))
        self.findings = findings


class Installed(StrEnum):
    """What became of a shipped flow."""

    CREATED = "created"
    UP_TO_DATE = "up to date"
    DRAFTED = "drafted"
    KEPT = "kept"
    REFUSED = "refused"


@dataclass(frozen=True)
class Shipment:
    slug: str
    result: Installed
    detail: str


@transaction.atomic
def save_draft(flow: Flow, document: Any, *, user: User | None, revision: int) -> Flow:
    """Store `document` as the draft if nobody saved since `revision`; customers see nothing of it.

    A draft may be unfinished, but must be readable. Raises FlowRefused or DraftConflict.
    """
    draft = _readable(flow, document).as_dict()
    values = {"draft": draft, "draft_saved_at": timezone.now(), "draft_saved_by": user}
    unchanged = Flow.objects.filter(pk=flow.pk, draft_revision=revision)
    if unchanged.update(**values, draft_revision=F("draft_revision") + 1) != 1:
        stored = Flow.objects.only("draft", "draft_revision").get(pk=flow.pk)
        raise DraftConflict(stored=stored.draft, submitted=draft, revision=stored.draft_revision)
    for name, value in values.items():
        setattr(flow, name, value)
    flow.draft_revision = revision + 1
    return flow


def check(flow: Flow) -> list[Finding]:
    """Everything that can be said about the draft as it would be published; errors block that."""
    try:
        document = parse_flow(flow.draft)
    except FlowError as error:
        return unreadable(error)
    return check_document(with_subflows(document))


@transaction.atomic
def publish(flow: Flow, *, user: User | None, note: str = "") -> FlowVersion:
    """Put the draft on air, with the published documents of its sub-flows inside.

    Conversations under way end on the version they began with. What is on air already is given
    back as it is. Raises FlowRefused while the check finds errors.
    """
    flow = _lock(flow)
    document = with_subflows(_readable(flow, flow.draft))
    errors = [finding for finding in check_document(document) if finding.is_error]
    if errors:
        raise FlowRefused(errors)
    if flow.published and flow.published.document == document.as_dict():
        return flow.published
    return _publish(flow, document, user=user, note=note)


def load_shipped(slug: str | None = None) -> list[Shipment]:
    """Install the flows that come with the program: absent ones are created and published.

    What is there already is never put on air by this: a newer document arrives as the draft, and
    only where nobody has changed the draft.
    """
    documents = shipped_documents()
    if slug is not None:
        documents = {slug: documents[slug]}
    return [_install(document) for document in _subflows_first(documents)]


def shipped_documents() -> dict[str, FlowDocument]:
    """The shipped flows by slug. Raises FlowError on a damaged file."""
    return {path.stem: read_file(path)[0] for path in shipped_files()}


def shipped_files() -> list[Path]:
    return sorted(SHIPPED_FOLDER.glob("*.json"))


def read_file(path: Path) -> tuple[FlowDocument, list[Json]]:
    """The document of a flow file, and the golden conversations that stand beside it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(content, Mapping) and "flow" in content:
        return parse_flow(content["flow"]), list(content.get("golden", []))
    return parse_flow(content), []


def with_subflows(
    document: FlowDocument, known: Mapping[str, FlowDocument] | None = None
) -> FlowDocument:
    """The document with every sub-flow it reaches inside: those of `known`, else what is on air.

    One that is nowhere stays out; the check finds it.
    """
    embedded: dict[str, FlowDocument] = {}
    wanted = _called_by(document)
    while wanted:
        slug = wanted.pop()
        if slug in embedded:
            continue
        subflow = known.get(slug) if known is not None else _on_air(slug)
        if subflow is not None:
            embedded[slug] = _alone(subflow)
            wanted |= _called_by(subflow)
    return document.model_copy(update={"subflows": dict(sorted(embedded.items()))})


def _readable(flow: Flow, document: Any) -> FlowDocument:
    """The parsed document, without sub-flows: those come in when it is published."""
    try:
        parsed = _alone(parse_flow(document))
    except FlowError as error:
        raise FlowRefused(unreadable(error)) from error
    if parsed.slug != flow.slug:
        raise DomainError(
            _("The document belongs to the flow “%(slug)s”.") % {"slug": parsed.slug},
            code="other_flow",
        )
    return parsed


def _alone(document: FlowDocument) -> FlowDocument:
    return document.model_copy(update={"subflows": {}})


def _called_by(document: FlowDocument) -> set[str]:
    nodes = document.nodes.values()
    return {node.flow for node in nodes if isinstance(node, SubFlow) and node.flow}


def _on_air(slug: str) -> FlowDocument | None:
    version = FlowVersion.objects.filter(flow__slug=slug, pk=F("flow__published_id")).first()
    return parse_flow(version.document) if version else None


def _lock(flow: Flow) -> Flow:
    rows = Flow.objects.select_for_update(no_key=True, of=("self",))
    return rows.select_related("published").get(pk=flow.pk)


def _publish(flow: Flow, document: FlowDocument, *, user: User | None, note: str) -> FlowVersion:
    """The caller holds the lock of the flow's row, so no number is given twice."""
    last = flow.versions.aggregate(last=Max("number"))["last"] or 0
    version = FlowVersion.objects.create(
        flow=flow, number=last + 1, document=document.as_dict(), note=note, published_by=user
    )
    flow.published = version
    flow.save(update_fields=["published"])
    return version


def _subflows_first(documents: Mapping[str, FlowDocument]) -> Iterator[FlowDocument]:
    """Each flow after those it calls, so that these are on air when it is published."""
    waiting = dict(documents)
    while waiting:
        ready = [one for one in waiting.values() if not _called_by(one) & waiting.keys()]
        for document in ready or list(waiting.values()):
            yield waiting.pop(document.slug)


@transaction.atomic
def _install(document: FlowDocument) -> Shipment:
    flow, is_new = Flow.objects.get_or_create(
        slug=document.slug,
        defaults={
            "name": document.name,
            "draft": document.as_dict(),
            "draft_saved_at": timezone.now(),
        },
    )
    shipped = document.as_dict()
    if is_new or (flow.published is None and flow.draft == shipped):
        return _put_on_air(flow)
    return _offer(flow, shipped)


def _put_on_air(flow: Flow) -> Shipment:
    try:
        version = publish(flow, user=None, note=_("Shipped with the program"))
    except FlowRefused as refused:
        return Shipment(flow.slug, Installed.REFUSED, f"stays a draft. {refused}")
    kind = SHIPPED_TRIGGERS.get(flow.slug)
    if kind is not None:
        Trigger.objects.get_or_create(flow=flow, kind=kind)
    started_by = f"started by {kind.value}" if kind else "started by nothing yet"
    return Shipment(flow.slug, Installed.CREATED, f"on air as v{version.number}, {started_by}")


def _offer(flow: Flow, shipped: Json) -> Shipment:
    """The shipped document as the draft of a flow that exists, if nobody is at work on it."""
    if shipped == flow.draft or shipped in _documents_of(flow):
        return Shipment(flow.slug, Installed.UP_TO_DATE, "nothing to do")
    if flow.published is None or flow.draft != _without_subflows(flow.published.document):
        return Shipment(
            flow.slug, Installed.KEPT, "its draft has been changed; the shipped one was left out"
        )
    try:
        save_draft(flow, shipped, user=None, revision=flow.draft_revision)
    except DraftConflict:
        return Shipment(flow.slug, Installed.KEPT, "its draft is being changed right now")
    return Shipment(flow.slug, Installed.DRAFTED, "the newer one waits as a draft for publishing")


def _documents_of(flow: Flow) -> list[Json]:
    versions = flow.versions.values_list("document", flat=True)
    return [_without_subflows(document) for document in versions]


def _without_subflows(document: Json) -> Json:
    return {name: value for name, value in document.items() if name != "subflows"}
