"""What two leads that are one have said and asked for."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.utils import timezone

from leads.models import Lead
from sessions_app.models import EndReason, Owner, Session
from sessions_app.services import end_session, hand_over, lock_sessions_of, take_times_of
from tickets.models import Ticket, TicketEventKind, TicketStatus
from tickets.services.closing import AT_REST
from tickets.services.locking import open_ticket_of
from tickets.services.transition import CLOSED, move
from users.models import User


@transaction.atomic
def merge_conversations(
    winner: Lead, loser: Lead, *, actor: User | None, at: datetime | None = None
) -> None:
    """Give everything `loser` said and asked for to `winner`; called before the leads are locked.

    Two live sessions on one channel become one: the older ends. Its open ticket goes on in the
    newer, or is closed when that has one of its own.
    """
    if winner.pk == loser.pk:
        return
    at = at or timezone.now()
    live_on: dict[int, Session] = {}
    for session in lock_sessions_of([winner, loser]):
        if not session.is_live:
            continue
        older = live_on.get(session.channel_id)
        if older is not None:
            _join(older, into=session, actor=actor, at=at)
        live_on[session.channel_id] = session
    Session.objects.filter(lead=loser).update(lead=winner)
    Ticket.objects.filter(lead=loser).update(lead=winner)


def _join(older: Session, *, into: Session, actor: User | None, at: datetime) -> None:
    """End `older`; the people who spoke in it go on in `into`."""
    owner = Owner(older.owner)
    ticket, other = open_ticket_of(older), open_ticket_of(into)
    hand_over(older, to=Owner.BOT, at=at)
    end_session(older, reason=EndReason.MERGED, at=at)
    into.save(update_fields=take_times_of(into, older))
    if ticket is None:
        return
    move(
        ticket,
        TicketEventKind.MERGED,
        to=TicketStatus(ticket.status) if other is None else CLOSED,
        values={"session": into} if other is None else {**AT_REST, "closed_at": at},
        actor=actor,
        at=at,
        details={"into": other.protocol if other else None},
    )
    if other is None:
        hand_over(into, to=owner, at=at)
