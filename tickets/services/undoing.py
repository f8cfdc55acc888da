"""Taking back what one has just done, as long as nothing was built on it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _

from leads.models import Tag
from sessions_app.models import Owner
from sessions_app.services import hand_over
from tickets.errors import TicketRefused
from tickets.models import (
    Notification,
    NotificationKind,
    Ticket,
    TicketEvent,
    TicketEventKind,
    TicketStatus,
)
from tickets.services.closing import live_session_of
from tickets.services.locking import lock, open_ticket_of, read_again
from tickets.services.transition import (
    BEFORE,
    MOMENTS,
    OPEN,
    RESOLVED,
    UNDOABLE,
    UNDONE,
    UNTIL_REPLY,
    log,
    move,
    require_active,
    update,
)
from users.models import User

UNDO_FOR = timedelta(seconds=60)  # the page offers it for a few seconds; a slow hand has a minute

K = TicketEventKind


@transaction.atomic
def undo(event: TicketEvent, actor: User, *, at: datetime | None = None) -> Ticket:
    """Bring a ticket back to how it was before `event`, the last thing that happened to it.

    Refused with a sentence when it was somebody else's doing, too long ago, or when something has
    happened since. A new event says it; news that the operation wrote and nobody has read go.
    """
    at = at or timezone.now()
    before = event.details.get(BEFORE)
    if event.kind not in UNDOABLE or before is None:
        raise TicketRefused(_("This cannot be undone."), code="not_undoable")
    if event.actor_id != actor.pk:
        raise TicketRefused(_("Only who did it can undo it."), code="not_undoable")
    if at - event.created_at > UNDO_FOR:
        raise TicketRefused(_("It is too late to undo this."), code="undo_too_late")
    ticket = Ticket.objects.get(pk=event.ticket_id)
    if event.kind == K.RESOLVED:
        _undo_resolution(ticket, event, before, at=at)
    else:
        lock(ticket, None)
        _require_last(event)
        if event.kind == K.TAGGED:
            _undo_tags(ticket, event, before, actor=actor, at=at)
        else:
            _restore(ticket, event, _inverse(event, before), before, at=at)
            hand_over(ticket.session, to=Owner(before["owner"]), at=at)
    _forget_news(event)
    return ticket


def _undo_resolution(
    ticket: Ticket, event: TicketEvent, before: dict[str, Any], *, at: datetime
) -> None:
    """The conversation goes on where it was, or in a new session if it has ended; what the bot has
    begun to say meanwhile is not sent any more."""
    session = live_session_of(ticket, at=at)
    read_again(ticket)
    _require_last(event)
    if ticket.status != RESOLVED or open_ticket_of(session) is not None:
        raise _changed()
    ticket.session = session
    ended = {"session": session, "resolved_at": None, "outcome": "", "unread": before["unread"]}
    status = TicketStatus(before["status"])
    _restore(ticket, event, K.REOPENED, {**before, "status": OPEN}, at=at, more=ended)
    hand_over(session, to=Owner(before["owner"]), at=at)
    if status != OPEN:
        _restore(ticket, event, K.STATUS, before, at=at)


def _restore(  # noqa: PLR0913  # keyword-only
    ticket: Ticket,
    event: TicketEvent,
    kind: TicketEventKind,
    before: dict[str, Any],
    *,
    at: datetime,
    more: dict[str, Any] | None = None,
) -> None:
    assignee = None
    if before["assignee_id"] is not None:
        assignee = User.objects.get(pk=before["assignee_id"])
        require_active(assignee)
    values: dict[str, Any] = {
        "assignee": assignee,
        "department_id": before["department_id"],
        "priority": before["priority"],
        "snoozed_until_reply": _waits(before),
        **{name: _moment(before.get(name)) for name in MOMENTS},
        **(more or {}),
    }
    move(
        ticket,
        kind,
        to=TicketStatus(before["status"]),
        values=values,
        actor=event.actor,
        at=at,
        details=_told(event, kind, before),
    )


def _moment(text: str | None) -> datetime | None:
    """None also for what older events do not tell."""
    return parse_datetime(text) if text else None


def _told(event: TicketEvent, kind: TicketEventKind, before: dict[str, Any]) -> dict[str, Any]:
    """What the new event says: the other way round."""
    details: dict[str, Any] = {UNDONE: event.pk}
    if kind == K.SNOOZED:
        return {**details, "until": UNTIL_REPLY if _waits(before) else before["snoozed_until"]}
    if kind == K.STATUS:
        return {**details, "from": OPEN, "to": before["status"]}
    if kind in {K.ASSIGNED, K.TRANSFERRED, K.PRIORITY}:
        return {**details, "from": event.details.get("to"), "to": event.details.get("from")}
    return details


def _undo_tags(
    ticket: Ticket, event: TicketEvent, before: dict[str, Any], *, actor: User, at: datetime
) -> None:
    ticket.tags.set(Tag.objects.filter(pk__in=before["tags"]))
    added, removed = event.details.get("added", []), event.details.get("removed", [])
    details = {UNDONE: event.pk, "added": removed, "removed": added}
    log(ticket, K.TAGGED, actor=actor, details=details)
    update(ticket, {"updated_at": at})


def _inverse(event: TicketEvent, before: dict[str, Any]) -> TicketEventKind:
    """What the taking back is, for whoever reads the history."""
    match TicketEventKind(event.kind):
        case K.CLAIMED | K.ASSIGNED:
            return K.RELEASED if before["assignee_id"] is None else K.ASSIGNED
        case K.RELEASED:
            return K.ASSIGNED
        case K.SNOOZED:
            return K.SNOOZED if before["snoozed_until"] or _waits(before) else K.WOKEN
        case K.WOKEN:
            return K.SNOOZED
        case kind:
            return kind


def _waits(before: dict[str, Any]) -> bool:
    """Was it put aside until the customer answers? Older events do not say so."""
    return bool(before.get("snoozed_until_reply"))


def _require_last(event: TicketEvent) -> None:
    """Under the ticket's lock: no event after this one."""
    if TicketEvent.objects.filter(ticket=event.ticket_id, pk__gt=event.pk).exists():
        raise _changed()


def _changed() -> TicketRefused:
    return TicketRefused(
        _("Something else has happened to the ticket since. Look at it again."),
        code="undo_overtaken",
    )


def _forget_news(event: TicketEvent) -> None:
    """Of the operation; a note stays, and with it that somebody is named in it."""
    news = Notification.objects.filter(ticket=event.ticket_id, actor=event.actor_id, read_at=None)
    news = news.exclude(kind=NotificationKind.MENTIONED)
    news.filter(created_at__gte=event.created_at).delete()
