"""An attendant writes first: which channels reach the person, and how the conversation begins.

It goes on in the live session of person and channel, or in a new one; the writer has its ticket
and the bot stays out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max, Q
from django.utils.translation import gettext as _

from chatbot.channels import transport_class
from chatbot.conversation import send_reply
from chatbot.intake import ScopedAddress
from chatbot.message_templates import content_for
from chatbot.models import MessageLog
from leads.models import Identity, Lead, LeadSource, Scheme
from leads.phones import canonical_phone
from leads.services import link_identities, preferred_of, resolve_lead
from sessions_app.models import Channel, ChannelKind, Session
from sessions_app.services import lock_live_session, lock_live_sessions_of, open_session
from tickets.errors import in_other_queue, taken
from tickets.models import Ticket
from tickets.services import open_ticket, open_ticket_of
from users.errors import DomainError
from users.models import Department, User


class StartRefused(DomainError):
    """A conversation that cannot be begun like that."""

    code = "start_refused"


@dataclass(frozen=True)
class Way:
    """A channel that reaches a person. `address` is where, as E.164 or as the channel knows it;
    `ticket` the open one of the live conversation there."""

    channel: Channel
    address: str
    is_window_open: bool
    window_expires_at: datetime | None = None
    ticket: Ticket | None = None

    def is_taken_from(self, user: User) -> bool:
        """Does a colleague have the conversation?"""
        return self.ticket is not None and self.ticket.assignee_id not in (None, user.pk)


@dataclass(frozen=True)
class Opening:
    """What is written first: a text, or a message template with its values."""

    text: str = ""
    template: str = ""
    language: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


# --- Where -------------------------------------------------------------------------------------


def ways_to(lead: Lead, *, at: datetime) -> list[Way]:
    """The active channels that reach this person, with an open window first; four statements.
    `lead` may be one that is not saved yet and has a phone."""
    kind = Q(kind=ChannelKind.SIMULATOR)
    channels = Channel.objects.active().filter(kind if lead.is_simulated else ~kind)
    identities = list(lead.identities.order_by("-id")) if lead.pk else []
    sessions = _last_sessions(lead) if lead.pk else {}
    tickets = _open_tickets(sessions.values())
    ways = []
    for channel in channels.defer("settings").order_by("-is_default", "name"):
        address = _address_on(channel, lead, identities)
        session = sessions.get(channel.pk)
        if address:
            ways.append(
                Way(
                    channel=channel,
                    address=address,
                    is_window_open=_is_window_open(channel, session, at),
                    window_expires_at=session.window_expires_at if session else None,
                    ticket=tickets.get(session.pk) if session else None,
                )
            )
    return sorted(ways, key=lambda way: not way.is_window_open)


def known_person(number: str) -> Lead | None:
    """The live lead of a number (E.164), known by a channel or as one that somebody noted."""
    found = Lead.objects.live().real().with_phone(number).order_by("id")
    address = canonical_phone(number.removeprefix("+"))
    by_channel = found.filter(identities__scheme=Scheme.PHONE, identities__address=address)
    return by_channel.first() or found.first()


def departments_of(user: User) -> list[Department]:
    """In whose name somebody may write first."""
    active = Department.objects.active().order_by("name")
    return list(active if user.is_admin else active.filter(pk__in=user.departments.values("pk")))


def _address_on(channel: Channel, lead: Lead, identities: Sequence[Identity]) -> str:
    identity = _identity_on(channel, identities)
    if identity is not None:
        return f"+{identity.address}" if identity.scheme == Scheme.PHONE else identity.address
    reaches_phones = Scheme.PHONE in transport_class(channel.kind).reaches
    return lead.phone if reaches_phones else ""


def _identity_on(channel: Channel, identities: Iterable[Identity]) -> Identity | None:
    """The address that the channel reaches best, the newest of its scheme first."""
    reaches = transport_class(channel.kind).reaches
    mine = [
        one
        for one in identities
        if one.scheme in reaches and one.scope in ("", channel.identity_scope)
    ]
    return min(mine, key=lambda one: reaches.index(one.scheme), default=None)


def _last_sessions(lead: Lead) -> dict[int, Session]:
    """By channel: the live session, else the last one."""
    mine = Session.objects.filter(lead=lead)
    last = mine.order_by().values("channel").annotate(last=Max("pk")).values("last")
    rows = mine.filter(Q(ended_at=None) | Q(pk__in=last)).defer("context", "flow_state")
    found: dict[int, Session] = {}
    for session in rows.order_by("pk"):
        if session.channel_id not in found or not found[session.channel_id].is_live:
            found[session.channel_id] = session
    return found


def _open_tickets(sessions: Iterable[Session]) -> dict[int, Ticket]:
    live = [session.pk for session in sessions if session.is_live]
    rows = Ticket.objects.open().filter(session__in=live).select_related("assignee", "department")
    return {ticket.session_id: ticket for ticket in rows} if live else {}


def _is_window_open(channel: Channel, session: Session | None, at: datetime) -> bool:
    if _window_hours(channel) is None:
        return True
    if session is None or session.window_expires_at is None:
        return False
    return session.window_is_open(at)


def _window_hours(channel: Channel) -> int | None:
    return transport_class(channel.kind).capabilities.service_window_hours


# --- Beginning ---------------------------------------------------------------------------------


@transaction.atomic
def start_conversation(  # noqa: PLR0913  # keyword-only
    lead: Lead,
    *,
    channel: Channel,
    user: User,
    department: Department | None,
    opening: Opening,
    client_id: UUID | None,
    at: datetime,
) -> Ticket:
    """Write to a lead first. The ticket is the writer's; the same `client_id` twice is one message.

    Raises TicketConflict with the name of the colleague who has the conversation, and ReplyRefused
    when WhatsApp would not take the message; then nothing is stored. Of two who start at once one
    has the ticket, and the other is told. Locks: session, ticket, lead, counter.
    """
    if (already := _begun_by(client_id, lead)) is not None:
        return already
    session = lock_live_session(lead_id=lead.pk, channel_id=channel.pk)
    if session is None:
        identity = _identity_for(lead, channel, at=at)
        session = open_session(lead=lead, channel=channel, identity=identity, at=at)
        if (already := _begun_by(client_id, lead)) is not None:
            return already
    _close_unknown_window(session, channel, at=at)
    ticket = _ticket_in(session, user=user, department=department, at=at)
    send_reply(session, user=user, client_id=client_id, at=at, **_said(channel, opening))
    return ticket


@transaction.atomic
def start_with_number(  # noqa: PLR0913  # keyword-only
    number: str,
    *,
    name: str,
    channel: Channel,
    user: User,
    department: Department | None,
    opening: Opening,
    client_id: UUID | None,
    at: datetime,
) -> Ticket:
    """Write to a number (E.164) first: to the lead that has it, or to a new one called `name`. No
    lead is made when the message is refused."""
    lead = known_person(number)
    if lead is None:
        addresses = [_phone_address(number)]
        lock_live_sessions_of(addresses, channel_id=channel.pk)
        resolved = resolve_lead(addresses=addresses, name=name, source=LeadSource.MANUAL, at=at)
        lead = resolved.lead
    return start_conversation(
        lead,
        channel=channel,
        user=user,
        department=department,
        opening=opening,
        client_id=client_id,
        at=at,
    )


def _begun_by(client_id: UUID | None, lead: Lead) -> Ticket | None:
    """The ticket of the conversation that this very form has begun already."""
    if client_id is None:
        return None
    sent = MessageLog.objects.filter(session__lead=lead, client_id=client_id)
    sessions = sent.values("session")
    return Ticket.objects.filter(session__in=sessions).order_by("-pk").first()


def _identity_for(lead: Lead, channel: Channel, *, at: datetime) -> Identity:
    """Where a new conversation goes; a number that only a person noted becomes an address."""
    identity = _identity_on(channel, lead.identities.order_by("-id"))
    if identity is not None:
        return identity
    if not lead.phone or Scheme.PHONE not in transport_class(channel.kind).reaches:
        raise StartRefused(
            _("%(channel)s has no address of this person.") % {"channel": channel},
            code="no_address",
        )
    addresses = [_phone_address(lead.phone)]
    link_identities(lead, addresses, at=at)
    linked = preferred_of(lead, addresses)
    if linked is None:
        raise StartRefused(
            _("This number belongs to another lead. Merge the two, or correct the number."),
            code="number_of_another",
        )
    return linked


def _phone_address(number: str) -> ScopedAddress:
    digits = number.removeprefix("+")
    return ScopedAddress(Scheme.PHONE, "", canonical_phone(digits), digits)


def _close_unknown_window(session: Session, channel: Channel, *, at: datetime) -> None:
    """Who has never written on a channel with a window has none: only a template may go."""
    if session.window_expires_at is None and _window_hours(channel) is not None:
        session.window_expires_at = at
        session.save(update_fields=["window_expires_at"])


def _ticket_in(
    session: Session, *, user: User, department: Department | None, at: datetime
) -> Ticket:
    """The open ticket of a locked session, if the writer may have it; else a new one of theirs."""
    ticket = open_ticket_of(session)
    if ticket is None:
        return open_ticket(session, department=department, actor=user, assignee=user, at=at)
    if ticket.assignee_id not in (None, user.pk):
        raise taken(ticket)
    if not Ticket.objects.visible_to(user).filter(pk=ticket.pk).exists():
        raise in_other_queue(ticket)
    return ticket


def _said(channel: Channel, opening: Opening) -> dict[str, Any]:
    if not opening.template:
        return {"text": opening.text}
    return {"content": content_for(channel, opening.template, opening.language, opening.values)}
