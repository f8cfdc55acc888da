"""What a customer does to earlier messages: reactions, edits, revokes. None of it advances a
flow."""

from __future__ import annotations

from datetime import datetime

from chatbot.channels.inbound import InboundMessage, Kind
from chatbot.models import Direction, MessageLog
from sessions_app.models import Channel

HISTORY_KINDS = frozenset({Kind.REACTION, Kind.REACTION_REMOVED, Kind.EDIT, Kind.REVOKE})


def target_of(channel: Channel, item: InboundMessage) -> MessageLog | None:
    """The message that the item is about; None when we never had it."""
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


def apply_to(target: MessageLog, item: InboundMessage, *, at: datetime) -> None:
    """Show on `target` what the item says. Only a customer's own message may be edited or
    revoked."""
    is_theirs = target.direction == Direction.INBOUND
    match item.kind:
        case Kind.REACTION:
            target.reaction = (item.text or "")[:40]
            target.save(update_fields=["reaction"])
        case Kind.REACTION_REMOVED:
            target.reaction = ""
            target.save(update_fields=["reaction"])
        case Kind.EDIT if is_theirs:
            target.payload = {"original_text": target.text, **target.payload}
            target.text, target.edited_at = item.text or "", at
            target.save(update_fields=["payload", "text", "edited_at"])
        case Kind.REVOKE if is_theirs:
            target.revoked_at = at
            target.save(update_fields=["revoked_at"])
