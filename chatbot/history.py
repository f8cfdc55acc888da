"""What customer and company do to earlier messages: reactions, edits, revokes. No flow is advanced.

Meta promises no order: what is about a message that we do not have yet waits for it. The session
remembers the ids of such messages (`flow_state["early"]`), so that an ordinary message costs no
statement more.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from chatbot.channels.inbound import EchoMessage, InboundMessage, Kind
from chatbot.models import Direction, MessageLog
from sessions_app.models import Channel, Session
from sessions_app.services import lock_session
from users.frozen import Frozen

HISTORY_KINDS = frozenset({Kind.REACTION, Kind.REACTION_REMOVED, Kind.EDIT, Kind.REVOKE})
REACTIONS = (Kind.REACTION, Kind.REACTION_REMOVED)
EARLY = "early"
EARLY_KEPT = 20  # ids a session remembers


def target_of(channel: Channel, item: InboundMessage | EchoMessage) -> MessageLog | None:
    """The message that the item is about; None when we do not have it."""
    if not item.target_id:
        return None
    # One statement a direction: each has its own partial index.
    for direction in (Direction.INBOUND, Direction.OUTBOUND):
        found = MessageLog.objects.filter(
            channel=channel, provider_id=item.target_id, direction=direction
        ).first()
        if found is not None:
            return found
    return None


def apply_to(target: MessageLog, item: InboundMessage | EchoMessage, *, at: datetime) -> None:
    """Show on `target` what the item says, unless something newer stands there already. A message
    is edited or revoked by whoever wrote it: by a customer, or on the company's phone."""
    direction = Direction.INBOUND if isinstance(item, InboundMessage) else Direction.OUTBOUND
    _change(target, item.kind, item.text or "", at=at, is_own=target.direction == direction)


def note_early(session: Session, item: InboundMessage) -> list[str]:
    """Remember that the item waits for a message; returns the session's fields to save."""
    if not item.target_id:
        return []
    waiting = [*session.flow_state.get(EARLY, ()), item.target_id]
    session.flow_state = {**session.flow_state, EARLY: waiting[-EARLY_KEPT:]}
    return ["flow_state"]


def catch_up(session: Session, message: MessageLog) -> list[str]:
    """Apply to a message that has just become known what came about it before; returns the fields
    of the locked session to save."""
    waiting = session.flow_state.get(EARLY, [])
    if not message.provider_id or message.provider_id not in waiting:
        return []
    about_it = MessageLog.objects.filter(
        session=session, kind__in=HISTORY_KINDS, payload__target_id=message.provider_id
    )
    for row in about_it.order_by("provider_at", "id"):
        is_own = message.direction == row.direction
        _change(
            message, Kind(row.kind), row.text, at=row.provider_at or row.created_at, is_own=is_own
        )
    rest = [one for one in waiting if one != message.provider_id]
    session.flow_state = {**session.flow_state, EARLY: rest}
    if not rest:
        del session.flow_state[EARLY]
    return ["flow_state"]


def catch_up_later(message: MessageLog) -> None:
    """The same for a message of ours whose provider id came after its row, outside of the lock of
    its session. One look by key when nothing waits in the conversation."""
    if _WAITING.first(session=message.session_id) is not None:
        _catch_up_locked(message)


_WAITING = Frozen(
    lambda _shape, session: (
        Session.objects.filter(pk=session, flow_state__has_key=EARLY)
        .order_by()
        .values_list("pk")[:1]
    )
)


@transaction.atomic
def _catch_up_locked(message: MessageLog) -> None:
    session = lock_session(message.session_id)
    message.refresh_from_db()
    changed = catch_up(session, message)
    if changed:
        session.save(update_fields=changed)


def early_of(session: Session) -> dict[str, Any]:
    """What a new run must not forget."""
    stored = session.flow_state
    return {EARLY: stored[EARLY]} if stored.get(EARLY) else {}


def _change(target: MessageLog, kind: Kind, text: str, *, at: datetime, is_own: bool) -> None:
    match kind:
        case Kind.REACTION | Kind.REACTION_REMOVED if not _has_newer_reaction(target, at):
            target.reaction = text[:40] if kind == Kind.REACTION else ""
            target.save(update_fields=["reaction"])
        case Kind.EDIT if is_own and (target.edited_at is None or target.edited_at <= at):
            target.payload = {"original_text": target.text, **target.payload}
            target.text, target.edited_at = text, at
            target.save(update_fields=["payload", "text", "edited_at"])
        case Kind.REVOKE if is_own and target.revoked_at is None:
            target.revoked_at = at
            target.save(update_fields=["revoked_at"])


def _has_newer_reaction(target: MessageLog, at: datetime) -> bool:
    """Reactions are rows of the conversation themselves: one that came late must not win."""
    others = MessageLog.objects.filter(session_id=target.session_id, kind__in=REACTIONS)
    about_it = others.filter(payload__target_id=target.provider_id)
    return about_it.filter(provider_at__gt=at).exists()
