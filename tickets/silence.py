"""Customers who do not answer: which of them are to be warned, and whose ticket is to be closed.

A ticket that waits for its customer is silent since our last message to them. Its department says
after how many hours they are warned and after how many it is closed; hours on the wall, as the
service window has them. A warning goes out once, in the department's business hours and inside the
service window, and the full time between warning and end follows it, however late it went out. Who
cannot be warned any more because the window has closed is not waited for longer.

The sentence of the warning is the chatbot's to say (`chatbot.silent_tickets`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db.models import Q
from django.db.models.functions import Coalesce, Greatest

from sessions_app.models import Session, window_condition
from tickets.models import Ticket, TicketEventKind, TicketQuerySet, TicketStatus
from tickets.services import SILENCE, Next, close_ticket
from tickets.services.locking import lock
from tickets.services.transition import AWAKE, log, update
from users.models import Department

WAITING = TicketStatus.WAITING_CUSTOMER


def to_warn(now: datetime) -> Iterator[Ticket]:
    """Tickets whose customer is to be warned now. A statement or two for each department that warns
    and is open."""
    asked = Department.objects.filter(warn_silent_after_hours__isnull=False)
    for department in asked.select_related("calendar"):
        if department.is_open(now):
            since = now - timedelta(hours=department.warn_silent_after_hours or 0)
            may_be_told = window_condition("open", at=now, prefix="session__")
            yield from _silent(department, since).filter(may_be_told, silence_warned_at=None)


def to_close(now: datetime) -> Iterator[Ticket]:
    """Tickets whose customer has been silent for too long. One statement a department."""
    for department in Department.objects.filter(close_silent_after_hours__isnull=False):
        since = now - timedelta(hours=department.close_silent_after_hours or 0)
        yield from _silent(department, since).filter(_had_their_time(department, now))


def note_warning(ticket: Ticket, session: Session, *, now: datetime) -> bool:
    """Keep that the customer of a locked session is warned; False when they are not to be warned
    any more, because they have written, or somebody else has warned them."""
    lock(ticket, session)
    hours = ticket.department.warn_silent_after_hours
    if hours is None or ticket.silence_warned_at is not None:
        return False
    if not _silent(ticket.department, now - timedelta(hours=hours)).filter(pk=ticket.pk).exists():
        return False
    update(ticket, {"silence_warned_at": now, "updated_at": now})
    log(ticket, TicketEventKind.WARNED, actor=None, details={})
    return True


def close_silent(ticket: Ticket, session: Session, *, now: datetime) -> bool:
    """Close the ticket of a locked session for the silence of its customer; False when they have
    written, or somebody has, since it was found."""
    lock(ticket, session)
    hours = ticket.department.close_silent_after_hours
    if hours is None:
        return False
    rows = _silent(ticket.department, now - timedelta(hours=hours))
    if not rows.filter(_had_their_time(ticket.department, now), pk=ticket.pk).exists():
        return False
    close_ticket(ticket, actor=None, then=Next.END, why=SILENCE, session=session, at=now)
    return True


def _silent(department: Department, since: datetime) -> TicketQuerySet:
    """Waiting for their customers, who have not answered since before `since`."""
    ours = Coalesce("last_message_at", "updated_at")
    waits = Coalesce("sla_paused_at", "last_message_at", "updated_at")
    tickets = Ticket.objects.filter(department=department, status=WAITING, **AWAKE)
    return tickets.annotate(silent_since=Greatest(ours, waits)).filter(silent_since__lte=since)


def _had_their_time(department: Department, now: datetime) -> Q:
    """Warned long enough ago, or nobody can or wants to warn them."""
    warn, close = department.warn_silent_after_hours, department.close_silent_after_hours
    if warn is None or close is None:
        return Q()
    was_warned = Q(silence_warned_at__lte=now - timedelta(hours=close - warn))
    cannot_be = Q(silence_warned_at=None) & window_condition("closed", at=now, prefix="session__")
    return was_warned | cannot_be
