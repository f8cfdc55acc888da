"""Who may give a ticket to somebody else, and where it may go without being lost from sight."""

from __future__ import annotations

from django.db.models import Q
from django.utils.translation import gettext as _

from tickets.errors import TicketRefused
from tickets.models import Ticket
from users.models import Department, User
from users.permissions import GIVES, any_of, ticket_rules


def may_give(ticket: Ticket, user: User) -> bool:
    """May they assign, transfer or give back this ticket, as it is stored?"""
    if user.is_admin:
        return True
    rules = ticket_rules(user)
    gives = any_of({name: rules[name] for name in GIVES})
    return user.is_active and Ticket.objects.filter(gives, pk=ticket.pk).exists()


def require_may_give(ticket: Ticket, actor: User | None) -> None:
    """Under the ticket's lock. `actor` None: the bot, the clock, a deactivation."""
    text = _(
        "Ticket %(protocol)s is with %(name)s. Only they, a supervisor of %(department)s or an "
        "administrator may give it to somebody else."
    )
    _require(ticket, actor, text)


def require_may_end(ticket: Ticket, actor: User | None) -> None:
    """May they resolve or close this open ticket? One that nobody has: whoever sees it. Else who
    may give it: a colleague's that one sees because the department shares its tickets is the
    colleague's to end."""
    if ticket.assignee_id is None:
        return
    text = _(
        "Ticket %(protocol)s is with %(name)s. Only they, a supervisor of %(department)s or an "
        "administrator may resolve or close it."
    )
    _require(ticket, actor, text)


def _require(ticket: Ticket, actor: User | None, refusal: str) -> None:
    if actor is None or may_give(ticket, actor):
        return
    if ticket.assignee is None:
        text = _("Ticket %(protocol)s belongs to another department's queue.")
        raise TicketRefused(text % {"protocol": ticket.protocol}, code="not_yours")
    told = {
        "protocol": ticket.protocol,
        "name": ticket.assignee,
        "department": ticket.department,
    }
    raise TicketRefused(refusal % told, code="not_yours")


def require_seen_there(department: Department, actor: User | None) -> None:
    """In the queue of this department an open ticket must be in somebody's sight. Admins see all,
    so they may send one where nobody works."""
    if actor is None or actor.is_admin or is_staffed(department):
        return
    text = _("Nobody works in %(department)s: the ticket would wait unseen. Choose another one.")
    raise TicketRefused(text % {"department": department}, code="nobody_there")


def is_staffed(department: Department) -> bool:
    """Is there an active person, other than the admins, who sees its queue?"""
    sees = Q(departments=department) | Q(supervised_departments=department)
    return bool(User.objects.active().filter(sees).exists())
