"""Publishing with four eyes: one admin asks, another one decides."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from chatbot import flows_service
from chatbot.engine.nodes import FlowDocument, parse_flow
from chatbot.flows_service import DraftConflict, FlowRefused
from chatbot.models import Flow, FlowVersion, PublishRequest, RequestState
from chatbot.publishing import moves as session_moves
from users import audit
from users.errors import DomainError
from users.models import User


class RequestRefused(DomainError):
    """A request to publish that cannot be made or decided, as things stand."""

    code = "request_refused"


def waiting_for(flow: Flow) -> PublishRequest | None:
    """The request that waits for a second person. One whose draft has changed since is noted as
    outdated, and waits no more."""
    request = PublishRequest.objects.filter(flow=flow, state=RequestState.PENDING)
    found = request.select_related("requested_by").first()
    if found is None or found.revision == flow.draft_revision:
        return found
    older = PublishRequest.objects.filter(pk=found.pk, state=RequestState.PENDING)
    older.update(state=RequestState.OUTDATED)  # writer: requests belong to this module
    return None


def last_of(flow: Flow) -> PublishRequest | None:
    """The newest request, whatever became of it."""
    rows = PublishRequest.objects.filter(flow=flow).select_related("requested_by", "decided_by")
    return rows.order_by("-id").first()


def ask(  # noqa: PLR0913  # keyword-only
    flow: Flow,
    *,
    user: User,
    revision: int,
    note: str,
    moves: Any,
    seen: str,
    at: datetime,
) -> PublishRequest:
    """Ask that the draft be published as `publish` would. What could not be published cannot be
    asked for."""
    with transaction.atomic():
        flow = flows_service.lock(flow)
        if revision != flow.draft_revision:
            raise DraftConflict(stored=flow.draft, submitted={}, revision=flow.draft_revision)
        if waiting_for(flow) is not None:
            raise RequestRefused(_("Somebody has asked for this draft to be published already."))
        document = _provable(flow, seen)
        choices = session_moves.read_choices(moves or {}, document)
        return PublishRequest.objects.create(
            flow=flow,
            revision=revision,
            note=note,
            moves=session_moves.as_json(choices),
            requested_by=user,
            requested_at=at,
        )


def _provable(flow: Flow, seen: str) -> FlowDocument:
    document = flows_service.with_subflows(parse_flow(flow.draft))
    if seen and seen != flows_service.fingerprint(flow, document):
        raise RequestRefused(
            _("What would go on air has changed while you looked at it. Look at it again."),
            code="looked_at_another",
        )
    errors = [found for found in flows_service.prove(flow, document) if found.is_error]
    if errors:
        raise FlowRefused(errors)
    return document


def approve(
    request: PublishRequest, *, user: User, answer: str, seen: str = "", at: datetime
) -> FlowVersion:
    """Publish what was asked for. Not by whoever asked for it, and not once the draft changed."""
    waiting_for(request.flow)
    with transaction.atomic():
        flow = flows_service.lock(request.flow)
        request = _pending(request)
        if request.requested_by_id == user.pk:
            raise RequestRefused(
                _("You have asked for this yourself: somebody else must approve it."),
                code="own_request",
            )
        version, move = flows_service.put_on_air(
            flow,
            user=user,
            note=request.note,
            revision=request.revision,
            moves=request.moves,
            seen=seen,
        )
        _decide(request, RequestState.APPROVED, user=user, answer=answer, at=at, version=version)
    if move is not None:
        session_moves.begin(move)
    return version


@transaction.atomic
def refuse(request: PublishRequest, *, user: User, answer: str, at: datetime) -> None:
    """The draft stays a draft; `answer` says why."""
    if not answer.strip():
        raise RequestRefused(_("Say why: whoever asked reads it."), status=400)
    flows_service.lock(request.flow)
    _decide(_pending(request), RequestState.REFUSED, user=user, answer=answer, at=at)


@transaction.atomic
def withdraw(request: PublishRequest, *, user: User, at: datetime) -> None:
    """Only by whoever asked."""
    flows_service.lock(request.flow)
    request = _pending(request)
    if request.requested_by_id != user.pk:
        raise RequestRefused(_("Only who has asked can withdraw it. Refuse it instead."))
    _decide(request, RequestState.WITHDRAWN, user=user, answer="", at=at)


def _pending(request: PublishRequest) -> PublishRequest:
    """As it is under the lock of its flow."""
    fresh = PublishRequest.objects.select_related("flow").get(pk=request.pk)
    if fresh.state == RequestState.OUTDATED:
        raise RequestRefused(_("The draft has changed since this was asked for. Ask again."))
    if fresh.state != RequestState.PENDING:
        raise RequestRefused(_("This has been decided already."))
    return fresh


def _decide(  # noqa: PLR0913  # keyword-only
    request: PublishRequest,
    state: RequestState,
    *,
    user: User,
    answer: str,
    at: datetime,
    version: FlowVersion | None = None,
) -> None:
    pending = PublishRequest.objects.filter(pk=request.pk, state=RequestState.PENDING)
    said = {"decided_by": user, "decided_at": at, "answer": answer.strip(), "version": version}
    if pending.update(state=state, **said) != 1:  # writer: requests belong to this module
        raise RequestRefused(_("This has been decided already."))
    audit.changed(
        request,
        {"state": RequestState.PENDING, "answer": ""},
        {"state": state, "answer": answer.strip()},
    )
