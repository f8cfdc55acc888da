"""Drafts, the check and publishing: the only writers of a flow's draft and versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.db.models import F, Max
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot.channels import transport_class
from chatbot.engine.check import KnownHandler, Limits, Surroundings
from chatbot.engine.golden import Mismatch, play
from chatbot.engine.kinds import SendNode, SubFlow
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.findings import Finding, check_document, golden_mismatch, unreadable
from chatbot.handlers import registry
from chatbot.models import (
    DraftStep,
    Flow,
    FlowVersion,
    GoldenConversation,
    MessageTemplate,
    Secret,
    SessionMove,
    TemplateStatus,
)
from chatbot.publishing import moves as session_moves
from chatbot.publishing import split as splits
from chatbot.publishing.alone import refuse_switcher
from sessions_app.models import Channel
from users.errors import DomainError
from users.models import Department, Skill

if TYPE_CHECKING:
    from users.models import User

STEPS_KEPT = 200  # changes of a draft that can be undone
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


class NothingToUndo(DomainError):
    """There is no such step in the draft's history."""

    code = "nothing_to_undo"

    def __init__(self) -> None:
        super().__init__(_("There is nothing to undo or to do again here."))


class FlowRefused(DomainError):
    """The document has errors; `findings` names them."""

    code = "flow_has_errors"

    def __init__(self, findings: list[Finding]) -> None:
        shown = [finding.sentence for finding in findings[:SHOWN]]
        if len(findings) > SHOWN:
            shown.append("…")
        super().__init__(" ".join([_("The flow has errors."), *shown]))
        self.findings = findings


def save_draft(
    flow: Flow,
    document: Any,
    *,
    user: User | None,
    revision: int,
    said: Json | None = None,
) -> Flow:
    """Store `document` as the draft if nobody saved since `revision`; customers see nothing of it.

    `said` is what was done, as a code and its parameters (see `chatbot.editor.history`): it names
    the step that can be undone. A draft may be unfinished, but must be readable. Raises FlowRefused
    or DraftConflict.
    """
    draft = _readable(flow, document).as_dict()
    with transaction.atomic():
        before = _store(flow, draft, user=user, revision=revision)
        if before != draft:
            _remember(flow, before=before, after=draft, user=user, said=said or {})
    return flow


@transaction.atomic
def undo(flow: Flow, *, user: User | None, revision: int) -> DraftStep:
    """Take back the last change of the draft, whoever made it. Raises NothingToUndo, or
    DraftConflict when the draft is not the one of `revision` any more."""
    stored = _lock_at(flow, revision)
    step = stored.draft_steps.filter(is_undone=False).order_by("-number").first()
    if step is None or step.after != stored.draft:
        raise NothingToUndo
    return _step_to(flow, step, step.before, user=user, is_undone=True)


@transaction.atomic
def redo(flow: Flow, *, user: User | None, revision: int) -> DraftStep:
    """Do again what was undone last. Raises what `undo` raises."""
    stored = _lock_at(flow, revision)
    step = stored.draft_steps.filter(is_undone=True).order_by("number").first()
    if step is None or step.before != stored.draft:
        raise NothingToUndo
    return _step_to(flow, step, step.after, user=user, is_undone=False)


def _lock_at(flow: Flow, revision: int) -> Flow:
    stored = lock(flow)
    if stored.draft_revision != revision:
        raise DraftConflict(stored=stored.draft, submitted={}, revision=stored.draft_revision)
    flow.draft_revision = revision
    return stored


def _step_to(
    flow: Flow, step: DraftStep, draft: Json, *, user: User | None, is_undone: bool
) -> DraftStep:
    """The caller holds the lock of the flow's row."""
    _store(flow, draft, user=user, revision=flow.draft_revision)
    step.is_undone = is_undone
    step.save(update_fields=["is_undone"])
    return step


def _store(flow: Flow, draft: Json, *, user: User | None, revision: int) -> Json:
    """Write the draft and give back what was there before, under the lock of the flow's row."""
    rows = Flow.objects.filter(pk=flow.pk).select_for_update(no_key=True)
    now = rows.values("draft", "draft_revision").first()
    if now is None:
        raise Flow.DoesNotExist
    if now["draft_revision"] != revision:
        raise DraftConflict(stored=now["draft"], submitted=draft, revision=now["draft_revision"])
    values = {"draft": draft, "draft_saved_at": timezone.now(), "draft_saved_by": user}
    unchanged = Flow.objects.filter(pk=flow.pk, draft_revision=revision)  # where nothing locks
    if unchanged.update(**values, draft_revision=F("draft_revision") + 1) != 1:
        stored = Flow.objects.only("draft", "draft_revision").get(pk=flow.pk)
        raise DraftConflict(stored=stored.draft, submitted=draft, revision=stored.draft_revision)
    for name, value in values.items():
        setattr(flow, name, value)
    flow.draft_revision = revision + 1
    before: Json = now["draft"]
    return before


def _remember(flow: Flow, *, before: Json, after: Json, user: User | None, said: Json) -> None:
    """One more step of the draft's history. What was undone is forgotten, and so is what is too old
    to be wanted back."""
    steps = flow.draft_steps
    steps.filter(is_undone=True).delete()
    last = steps.aggregate(last=Max("number"))["last"] or 0
    steps.create(number=last + 1, before=before, after=after, user=user, said=said)
    steps.filter(number__lte=last + 1 - STEPS_KEPT).delete()


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
        secrets=frozenset(Secret.objects.values_list("name", flat=True)),
        skills=frozenset(name.lower() for name in Skill.objects.values_list("name", flat=True)),
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


def publish(  # noqa: PLR0913  # keyword-only
    flow: Flow,
    *,
    user: User | None,
    note: str = "",
    revision: int | None = None,
    moves: Any = None,
    seen: str = "",
) -> FlowVersion:
    """Put the draft on air, with the published documents of its sub-flows inside.

    Conversations under way end on the version they began with, unless `moves` says otherwise (as
    SessionMove.choices): the first of these go on in the new version before this returns. `seen` is
    the `fingerprint` of what was looked at. What is on air already is given back as it is; with
    `moves` that is refused, since they would be lost.

    Raises FlowRefused while the check or a golden conversation finds errors, DraftConflict when the
    draft is not the one of `revision` any more, and DomainError.
    """
    with transaction.atomic():
        flow = lock(flow)
        if flow.needs_approval:
            raise DomainError(
                _("A second person must approve this flow: ask for it to be published."),
                code="needs_approval",
            )
        refuse_switcher(flow, user)
        version, move = put_on_air(
            flow, user=user, note=note, revision=revision, moves=moves, seen=seen
        )
    if move is not None:
        session_moves.begin(move)
    return version


def put_on_air(  # noqa: PLR0913  # keyword-only
    flow: Flow,
    *,
    user: User | None,
    note: str,
    revision: int | None,
    moves: Any,
    seen: str,
) -> tuple[FlowVersion, SessionMove | None]:
    """`publish` for whoever holds the lock of the flow's row, without moving anybody yet."""
    if revision is not None and revision != flow.draft_revision:
        raise DraftConflict(stored=flow.draft, submitted={}, revision=flow.draft_revision)
    document = with_subflows(_readable(flow, flow.draft))
    if flow.published and flow.published.document == document.as_dict():
        if moves is not None:
            raise DomainError(
                _("This is on air already, as %(version)s.") % {"version": flow.published.label},
                code="on_air_already",
            )
        return flow.published, None
    if seen and seen != fingerprint(flow, document):
        raise DomainError(
            _("What would go on air has changed while you looked at it. Look at it again."),
            code="looked_at_another",
        )
    errors = [found for found in prove(flow, document) if found.is_error]
    if errors:
        raise FlowRefused(errors)
    choices = session_moves.read_choices(moves or {}, document)
    version = _publish(flow, document, user=user, note=note)
    at = timezone.now()
    splits.end(flow, user=user, at=at)
    return version, session_moves.plan(version, choices, user=user, at=at)


def prove(flow: Flow, document: FlowDocument) -> list[Finding]:
    """What the check finds in a document, and which golden conversation of the flow it holds
    otherwise; errors first."""
    found = check_document(document, surroundings())
    return sorted([*mismatches(flow, document), *found], key=lambda one: not one.is_error)


def mismatches(flow: Flow, document: FlowDocument) -> list[Finding]:
    """The golden conversations that the document does not hold as they are kept."""
    kept = GoldenConversation.objects.filter(flow=flow, is_active=True).order_by("name")
    held = ((one, _held(document, one.conversation)) for one in kept)
    return [golden_mismatch(one.name, found) for one, found in held if found is not None]


def _held(document: FlowDocument, conversation: Any) -> Mismatch | None:
    try:
        return play(document, conversation).mismatch
    except (KeyError, TypeError, ValueError, StopIteration, AttributeError) as error:
        return Mismatch(0, "conversation", "", f"{type(error).__name__}: {error}")


def fingerprint(flow: Flow, document: FlowDocument) -> str:
    """What somebody looked at before publishing: the whole document, and what it replaces."""
    said = json.dumps([flow.published_id, document.as_dict()], sort_keys=True)
    return hashlib.sha256(said.encode()).hexdigest()


def with_subflows(
    document: FlowDocument, known: Mapping[str, FlowDocument] | None = None
) -> FlowDocument:
    """The document with every sub-flow it reaches inside: those of `known`, else what is on air.

    One that is nowhere stays out; the check finds it.
    """
    embedded: dict[str, FlowDocument] = {}
    wanted = called_by(document) - {document.slug}
    while wanted:
        found = known if known is not None else _on_air(wanted)
        new = {slug: _alone(found[slug]) for slug in wanted if slug in found}
        embedded |= new
        called = {slug for subflow in new.values() for slug in called_by(subflow)}
        wanted = called - embedded.keys() - {document.slug}
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


def _on_air(slugs: set[str]) -> dict[str, FlowDocument]:
    """The published documents of these flows, by slug. One statement."""
    rows = FlowVersion.objects.filter(flow__slug__in=slugs, pk=F("flow__published_id"))
    return {
        slug: parse_flow(document) for slug, document in rows.values_list("flow__slug", "document")
    }


def lock(flow: Flow) -> Flow:
    """The flow, locked. Without a join: what is joined would still be what it was before the wait
    for the lock."""
    return Flow.objects.select_for_update(no_key=True).get(pk=flow.pk)


def _publish(flow: Flow, document: FlowDocument, *, user: User | None, note: str) -> FlowVersion:
    """The caller holds the lock of the flow's row, so no number is given twice."""
    last = flow.versions.published().aggregate(last=Max("number"))["last"] or 0
    version = FlowVersion.objects.create(
        flow=flow, number=last + 1, document=document.as_dict(), note=note, published_by=user
    )
    flow.published = version
    flow.save(update_fields=["published"])
    return version
