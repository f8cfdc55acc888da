"""Golden conversations of a flow: kept from the simulator, held again with any document."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot import flows_service
from chatbot.documents import document_of
from chatbot.engine.golden import (
    MOST_TURNS,
    Mismatch,
    Unrecordable,
    answered_anew,
    mismatch_of,
    recorded,
)
from chatbot.engine.nodes import FlowDocument, parse_flow
from chatbot.flows_service import with_subflows
from chatbot.models import (
    Flow,
    FlowLog,
    FlowLogKind,
    FlowRun,
    GoldenConversation,
    SimulatedPerson,
)
from chatbot.simulation import people
from users.errors import DomainError
from users.models import User

UNRECORDABLE = {
    "nothing": gettext_lazy("Nothing has been said yet that could be kept."),
    "erased": gettext_lazy("Parts of this conversation were erased: it cannot be held again."),
    "begun_again": gettext_lazy(
        "This conversation was begun again at another step: it cannot be held from its beginning."
    ),
}
WHAT = {
    "out": gettext_lazy("what the bot says"),
    "effects": gettext_lazy("what the flow does"),
    "state": gettext_lazy("where it waits"),
    "context": gettext_lazy("the variables"),
}

DAMAGED = gettext_lazy("The conversation is damaged: it cannot be held.")
DAMAGES = (KeyError, TypeError, ValueError, StopIteration, AttributeError)


class CannotKeep(DomainError):
    code = "cannot_keep"


@dataclass(frozen=True)
class Held:
    """A golden conversation as it went with a document."""

    golden: GoldenConversation
    mismatch: Mismatch | None
    trouble: str = ""  # why it could not be held at all

    @property
    def is_ok(self) -> bool:
        return self.mismatch is None and not self.trouble

    @property
    def turns(self) -> int:
        return turns_of(self.golden)

    @property
    def what(self) -> str:
        return str(WHAT.get(self.mismatch.what, self.mismatch.what)) if self.mismatch else ""

    @property
    def said(self) -> str:
        """What came in at the turn that went otherwise."""
        if self.mismatch is None:
            return ""
        return _in_short(self.golden.conversation["turns"][self.mismatch.turn - 1]["in"])

    @property
    def expected(self) -> list[str]:
        return _shown(self.mismatch.expected) if self.mismatch else []

    @property
    def got(self) -> list[str]:
        return _shown(self.mismatch.got) if self.mismatch else []


@transaction.atomic
def keep(person: SimulatedPerson, flow: Flow, *, name: str, user: User) -> GoldenConversation:
    """The last run of this flow in the person's conversation, as a golden conversation of it: what
    came in, with its facts, its time and what integrations gave, and what the bot said."""
    name = name.strip()[:120]
    if not name:
        raise CannotKeep(_("Give the conversation a name."))
    conversation, version_id = _conversation(person, flow)
    if len(conversation["turns"]) > MOST_TURNS:
        raise CannotKeep(
            _("This conversation has more than %(count)d turns.") % {"count": MOST_TURNS}
        )
    if mismatch_of(document_of(version_id), conversation) is not None:
        raise CannotKeep(_("This conversation does not go the same way when it is held again."))
    try:
        with transaction.atomic():
            return GoldenConversation.objects.create(
                flow=flow,
                name=name,
                conversation={"name": name, **conversation},
                created_by=user,
            )
    except IntegrityError:
        raise CannotKeep(_("There is already a test conversation with this name.")) from None


def may_keep(person: SimulatedPerson | None, flow: Flow) -> bool:
    return person is not None and _last_run(person, flow) is not None


def goldens_of(flow: Flow) -> QuerySet[GoldenConversation]:
    return GoldenConversation.objects.filter(flow=flow).order_by("name")


def hold(goldens: Iterable[GoldenConversation], document: FlowDocument) -> list[Held]:
    """Each conversation held with the document; no database."""
    return [_hold(golden, document) for golden in goldens]


def draft_of(flow: Flow) -> FlowDocument:
    """As it would be published. Raises FlowError."""
    return with_subflows(parse_flow(flow.draft))


@transaction.atomic
def accept(golden: GoldenConversation, *, seen: str) -> GoldenConversation:
    """From now on what the draft says is what must be said. `seen` is the `fingerprint` of what was
    looked at: refused when the draft, a sub-flow of it or the conversation is another one now."""
    flow = flows_service.lock(golden.flow)
    row = GoldenConversation.objects.select_for_update().get(pk=golden.pk)
    document = draft_of(flow)
    if seen != fingerprint(row, document):
        raise CannotKeep(
            _("What would be kept has changed while you looked at it. Look at it again.")
        )
    row.conversation = _anew(row, document)
    row.save(update_fields=["conversation"])
    return row


def rename(golden: GoldenConversation, name: str) -> GoldenConversation:
    """Refused when another conversation of the flow has the name."""
    name = name.strip()[:120]
    if not name:
        raise CannotKeep(_("Give the conversation a name."))
    try:
        with transaction.atomic():
            row = GoldenConversation.objects.select_for_update().get(pk=golden.pk)
            row.name, row.conversation = name, {**row.conversation, "name": name}
            row.save(update_fields=["name", "conversation"])
    except IntegrityError:
        raise CannotKeep(_("There is already a test conversation with this name.")) from None
    return row


def set_active(golden: GoldenConversation, *, is_active: bool) -> GoldenConversation:
    """Only active ones are held before publishing."""
    golden.is_active = is_active
    golden.save(update_fields=["is_active"])
    return golden


def turns_of(golden: GoldenConversation) -> int:
    return len(golden.conversation.get("turns", ()))


def fingerprint(golden: GoldenConversation, document: FlowDocument) -> str:
    """What somebody looked at before accepting: the conversation, and what is said now."""
    looked_at = json.dumps([golden.conversation, document.as_dict()], sort_keys=True)
    return hashlib.sha256(looked_at.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Changed:
    """A turn that goes otherwise now."""

    number: int
    said: str
    before: list[str]
    after: list[str]


def differences(golden: GoldenConversation, document: FlowDocument) -> list[Changed]:
    """What `accept` would write, turn by turn."""
    before, after = golden.conversation["turns"], _anew(golden, document)["turns"]
    return [
        Changed(number, _in_short(old["in"]), _told(old), _told(new))
        for number, (old, new) in enumerate(zip(before, after, strict=True), 1)
        if old != new
    ]


def _told(turn: dict[str, Any]) -> list[str]:
    return [line for what in WHAT if what in turn for line in _shown(turn[what])]


def _conversation(person: SimulatedPerson, flow: Flow) -> tuple[dict[str, Any], int]:
    run = _last_run(person, flow)
    if run is None:
        raise CannotKeep(str(UNRECORDABLE["nothing"]))
    rows = list(FlowLog.objects.filter(session=run.session_id, run=run).order_by("seq"))
    start = next((row for row in rows if row.kind == FlowLogKind.START), None)
    steps = [(row.message, row.effects) for row in rows if row.kind == FlowLogKind.STEP]
    try:
        if any(row.kind == FlowLogKind.JUMP for row in rows):
            raise Unrecordable("begun_again")
        return recorded(steps, start.context_set if start else {}), run.version_id
    except Unrecordable as refusal:
        raise CannotKeep(str(UNRECORDABLE[refusal.reason])) from refusal


def _last_run(person: SimulatedPerson, flow: Flow) -> FlowRun | None:
    sessions = people.sessions_of(person)
    runs = FlowRun.objects.filter(session__in=sessions, version__flow=flow)
    return runs.order_by("-pk").first()


def _anew(golden: GoldenConversation, document: FlowDocument) -> dict[str, Any]:
    try:
        return answered_anew(document, golden.conversation)
    except DAMAGES as error:
        raise CannotKeep(str(DAMAGED)) from error


def _hold(golden: GoldenConversation, document: FlowDocument) -> Held:
    try:
        return Held(golden, mismatch_of(document, golden.conversation))
    except DAMAGES:
        return Held(golden, None, str(DAMAGED))


def _shown(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [_in_short(one) for one in value] or ["–"]
    if isinstance(value, dict):
        return [f"{name}: {_in_short(one)}" for name, one in value.items()]
    return [_in_short(value)]


def _in_short(value: Any) -> str:
    """A message or an input in one line."""
    if isinstance(value, dict):
        if "text" in value:
            choices = value.get("choices") or ()
            return " · ".join([str(value["text"]), *map(str, choices)])
        return ", ".join(f"{name}: {_in_short(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_short, value))
    return "–" if value in ("", None) else str(value)
