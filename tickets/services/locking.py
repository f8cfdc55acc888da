"""Reading under the lock: the session first, then the ticket, which is read again."""

from __future__ import annotations

from django.utils.translation import gettext as _

from sessions_app.models import Session
from sessions_app.services import lock_session
from tickets.errors import TicketConflict, taken, wrong_status
from tickets.models import Ticket


def open_ticket_of(session: Session) -> Ticket | None:
    """The one open ticket of the session, with the session's own instance on it."""
    rows = Ticket.objects.open().select_related("department__calendar", "assignee")
    ticket = rows.filter(session=session).first()
    if ticket is not None:
        ticket.session = session
    return ticket


def lock(ticket: Ticket, session: Session | None) -> Session:
    """Lock the session unless the caller has, then the ticket, and read it again."""
    session = session or lock_session(ticket.session_id)
    read_again(ticket)
    if ticket.session_id != session.pk:
        raise moved(ticket)
    ticket.session = session
    return session


def lock_open(ticket: Ticket, session: Session | None) -> Session:
    session = lock(ticket, session)
    if not ticket.is_open:
        raise wrong_status(ticket)
    return session


def lock_open_as_seen(ticket: Ticket, session: Session | None) -> Session:
    """Lock an open ticket that is still with whom the caller saw it."""
    seen = ticket.assignee_id
    session = lock_open(ticket, session)
    require_hands(ticket, seen)
    return session


def read_again(ticket: Ticket) -> None:
    locked = Ticket.objects.select_for_update(no_key=True, of=("self",))
    ticket.refresh_from_db(from_queryset=locked.select_related("department__calendar", "assignee"))


def require_hands(ticket: Ticket, seen: int | None) -> None:
    if ticket.assignee_id != seen:
        raise taken(ticket)


def moved(ticket: Ticket) -> TicketConflict:
    message = _("Ticket %(protocol)s has just moved to another conversation. Look at it again.")
    return TicketConflict(message % {"protocol": ticket.protocol}, code="ticket_moved")
