"""A conversation becomes a case: by the bot, by a person of the team, from the company's phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from sessions_app.models import Owner, Session
from sessions_app.services import hand_over, lock_session
from tickets.errors import TicketConflict, TicketRefused, in_other_queue
from tickets.models import NotificationKind, Priority, Ticket, TicketEventKind
from tickets.notifications import notify
from tickets.protocol import next_protocol
from tickets.services.giving import require_seen_there
from tickets.services.hands import claim
from tickets.services.locking import open_ticket_of
from tickets.services.transition import IN_PROGRESS, OPEN, hold, log, person, update
from tickets.sla import due_times
from users.models import Department, Skill, User


@transaction.atomic
def open_ticket(  # noqa: PLR0913  # keyword-only
    session: Session,
    *,
    department: str | Department | None = None,
    priority: Priority = Priority.MEDIUM,
    subject: str = "",
    variables: Mapping[str, Any] | None = None,
    handoff: Mapping[str, Any] | None = None,
    actor: User | None = None,
    assignee: User | None = None,
    skills: Sequence[str] = (),
    to: Owner = Owner.QUEUE,
    at: datetime,
) -> Ticket:
    """Give a locked session to people. One that has an open ticket already: that ticket, unchanged.

    A department that is unknown or inactive becomes the fallback department; a name in `skills`
    that is none is left out; the event says so.
    After this nothing that is not locked yet may be locked (the counter of protocols).
    """
    if (already := open_ticket_of(session)) is not None:
        return already
    found, details = _find_department(department)
    needed = _find_skills(skills, details) if skills else []
    if assignee is not None:
        hold(assignee)
        to = Owner.ATTENDANT
    hand_over(session, to=to, at=at)
    due = due_times(department=found, priority=priority, since=at)
    ticket = Ticket(
        lead_id=session.lead_id,
        session=session,
        department=found,
        assignee=assignee,
        status=OPEN if assignee is None else IN_PROGRESS,
        priority=priority,
        subject=subject[:200],
        variables=dict(variables or {}),
        handoff=dict(handoff or {}),
        queued_at=at,
        assigned_at=at if assignee else None,
        first_response_due_at=due.first_response,
        resolution_due_at=due.resolution,
        last_message_at=session.last_message_at,
        last_message_preview=session.last_message_preview,
        is_simulated=session.is_simulated,
    )
    ticket.protocol = next_protocol(at)
    ticket.save(force_insert=True)
    if needed:
        ticket.skills.set(needed)
    details |= {"assignee": person(assignee), "owner": to}
    log(ticket, TicketEventKind.OPENED, actor=actor, details=details)
    notify(assignee, NotificationKind.ASSIGNED, ticket=ticket, actor=actor)
    return ticket


@transaction.atomic
def open_for_staff(  # noqa: PLR0913  # keyword-only
    session_id: int,
    *,
    actor: User,
    assignee: User | None = None,
    department: Department | None = None,
    priority: Priority = Priority.MEDIUM,
    subject: str = "",
    at: datetime | None = None,
) -> Ticket:
    """A person takes a conversation from the bot: for themselves or another, or to a queue."""
    at = at or timezone.now()
    session = lock_session(session_id)
    if (already := open_ticket_of(session)) is not None:
        raise TicketConflict(
            _("This conversation already has the open ticket %(protocol)s.")
            % {"protocol": already.protocol},
            code="session_has_open_ticket",
            holder=already.assignee,
        )
    ticket = open_ticket(
        session,
        department=department or _department_of(assignee),
        priority=priority,
        subject=subject,
        actor=actor,
        assignee=assignee,
        at=at,
    )
    if assignee is None:
        require_seen_there(ticket.department, actor)  # where it ended up; nothing is kept otherwise
    return ticket


@transaction.atomic
def take_over(session: Session, *, user: User, at: datetime) -> Ticket:
    """`user` is about to write in a locked session: the ticket is theirs, and the bot is silent.

    Refused when a colleague has it, or when it waits in a queue that `user` does not see: a
    conversation is seen for its earlier tickets, too.
    """
    ticket = open_ticket_of(session)
    if ticket is not None:
        if ticket.assignee_id is None and not _is_seen_by(user, ticket):
            raise in_other_queue(ticket)
        return claim(ticket, user=user, session=session, at=at)
    return open_ticket(session, department=_department_of(user), actor=user, assignee=user, at=at)


@transaction.atomic
def take_over_from_phone(session: Session, *, at: datetime) -> Ticket:
    """Somebody answered on the company's phone: people speak in the locked session, nobody known.

    The ticket stays in its queue until someone claims it.
    """
    ticket = open_ticket_of(session) or open_ticket(session, to=Owner.ATTENDANT, at=at)
    hand_over(session, to=Owner.ATTENDANT, at=at)
    if ticket.first_response_at is None:
        update(ticket, {"first_response_at": at, "updated_at": at})
    return ticket


def _is_seen_by(user: User, ticket: Ticket) -> bool:
    return user.is_admin or Ticket.objects.visible_to(user).filter(pk=ticket.pk).exists()


def _find_department(asked: str | Department | None) -> tuple[Department, dict[str, Any]]:
    """The department asked for if it takes tickets, else the fallback; and what the event says."""
    slug = asked.slug if isinstance(asked, Department) else asked or ""
    active = Department.objects.active()
    found = active.filter(slug=slug).first() if slug else None
    if found is not None:
        return found, {"department": found.slug}
    fallback = active.order_by("-is_fallback", "pk").first()
    if fallback is None:
        raise TicketRefused(_("There is no active department to receive tickets."))
    details = {"department": fallback.slug}
    return fallback, details | ({"department_asked": slug} if slug else {})


def _find_skills(names: Sequence[str], details: dict[str, Any]) -> list[Skill]:
    """The skills that have these names, in any case; the event says what is none."""
    asked = {name.strip().lower(): name.strip() for name in names}
    known = {skill.name.lower(): skill for skill in Skill.objects.all()}
    if unknown := [name for key, name in asked.items() if key not in known]:
        details["skills_unknown"] = unknown
    return [known[key] for key in asked if key in known]


def _department_of(user: User | None) -> Department | None:
    return user.departments.active().order_by("pk").first() if user is not None else None
