"""Drafts, the check and publishing: the only writers of a flow's draft and versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot.channels import transport_class
from chatbot.engine.check import KnownHandler, Limits, Surroundings
from chatbot.engine.kinds import SendNode, SubFlow
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.findings import Finding, check_document, unreadable
from chatbot.handlers import registry
from chatbot.models import Flow, FlowVersion, MessageTemplate, TemplateStatus
from sessions_app.models import Channel
from users.errors import DomainError
from users.models import Department

if TYPE_CHECKING:
    from users.models import User

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
    return check_document(with_subflows(document), surroundings())


def surroundings(*, with_site: bool = True) -> Surroundings:
    """What the check must know of the world: the program's handlers, and this site's departments
    and channels. Sub-flows are in the document. Without the site nothing is read."""
    handlers = {
        name: KnownHandler(one.args.model_json_schema(), one.routes, one.outputs)
        for name, one in registry.registered().items()
    }
    if not with_site:
        return Surroundings(handlers=handlers, flows={})
    departments = Department.objects.active().values_list("slug", flat=True)
    kinds = Channel.objects.active().order_by("kind").values_list("kind", flat=True).distinct()
    limits = tuple(dict.fromkeys(transport_class(kind).capabilities for kind in kinds))
    return Surroundings(
        handlers=handlers,
        departments=frozenset(departments),
        flows={},
        channels=limits or (Limits(),),
        templates=_sendable_templates(),
    )


def flows_with_template(name: str, language: str) -> list[Flow]:
    """The flows on air that send this message template, by their names."""
    flows = Flow.objects.published().select_related("published").order_by("name")
    return [flow for flow in flows if (name, language) in _templates_of(flow)]


def _templates_of(flow: Flow) -> set[tuple[str, str]]:
    if flow.published is None:
        return set()
    document = parse_flow(flow.published.document)
    return {
        (node.template.name, node.template.language)
        for one in (document, *document.subflows.values())
        for node in one.nodes.values()
        if isinstance(node, SendNode) and node.template is not None
    }


def _sendable_templates() -> dict[tuple[str, str], dict[str, bool]]:
    """Approved ones of active channels. One that is paused comes back: a flow may name it."""
    rows = MessageTemplate.objects.filter(
        status__in=(TemplateStatus.APPROVED, TemplateStatus.PAUSED), channel__is_active=True
    )
    return {
        (row.name, row.language): {one.key: one.is_needed for one in row.parts.variables}
        for row in rows
    }


@transaction.atomic
def publish(
    flow: Flow, *, user: User | None, note: str = "", revision: int | None = None
) -> FlowVersion:
    """Put the draft on air, with the published documents of its sub-flows inside.

    Conversations under way end on the version they began with. What is on air already is given
    back as it is. Raises FlowRefused while the check finds errors, and DraftConflict when the
    draft is not the one of `revision` any more.
    """
    flow = _lock(flow)
    if revision is not None and revision != flow.draft_revision:
        raise DraftConflict(stored=flow.draft, submitted={}, revision=flow.draft_revision)
    document = with_subflows(_readable(flow, flow.draft))
    errors = [finding for finding in check_document(document, surroundings()) if finding.is_error]
    if errors:
        raise FlowRefused(errors)
    if flow.published and flow.published.document == document.as_dict():
        return flow.published
    return _publish(flow, document, user=user, note=note)


def with_subflows(
    document: FlowDocument, known: Mapping[str, FlowDocument] | None = None
) -> FlowDocument:
    """The document with every sub-flow it reaches inside: those of `known`, else what is on air.

    One that is nowhere stays out; the check finds it.
    """
    embedded: dict[str, FlowDocument] = {}
    wanted = called_by(document)
    while wanted:
        slug = wanted.pop()
        if slug in embedded or slug == document.slug:
            continue
        subflow = known.get(slug) if known is not None else _on_air(slug)
        if subflow is not None:
            embedded[slug] = _alone(subflow)
            wanted |= called_by(subflow)
    return document.model_copy(update={"subflows": dict(sorted(embedded.items()))})


def called_by(document: FlowDocument) -> set[str]:
    nodes = document.nodes.values()
    return {node.flow for node in nodes if isinstance(node, SubFlow) and node.flow}


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


def _on_air(slug: str) -> FlowDocument | None:
    version = FlowVersion.objects.filter(flow__slug=slug, pk=F("flow__published_id")).first()
    return parse_flow(version.document) if version else None


def _lock(flow: Flow) -> Flow:
    """Without a join: what is joined would still be what it was before the wait for the lock."""
    return Flow.objects.select_for_update(no_key=True).get(pk=flow.pk)


def _publish(flow: Flow, document: FlowDocument, *, user: User | None, note: str) -> FlowVersion:
    """The caller holds the lock of the flow's row, so no number is given twice."""
    last = flow.versions.aggregate(last=Max("number"))["last"] or 0
    version = FlowVersion.objects.create(
        flow=flow, number=last + 1, document=document.as_dict(), note=note, published_by=user
    )
    flow.published = version
    flow.save(update_fields=["published"])
    return version
