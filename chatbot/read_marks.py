"""Blue ticks, and the sign that somebody is writing: due by the worker, never in the way."""

from __future__ import annotations

from datetime import datetime

from chatbot.channels import transport_class
from chatbot.models import Direction, MessageLog, Task, TaskKind
from sessions_app.models import Session


def mark_read(session: Session, *, at: datetime, is_writing: bool = False) -> None:
    """The customer may see that their last message was read, and with `is_writing` that an answer
    is on its way; nothing where the channel shows no such thing."""
    capabilities = transport_class(session.channel.kind).capabilities
    if not (capabilities.typing if is_writing else capabilities.mark_read):
        return
    last = MessageLog.objects.filter(session=session, direction=Direction.INBOUND)
    provider_id = last.order_by("-id").values_list("provider_id", flat=True).first()
    if provider_id:
        payload = {"provider_id": provider_id, **({"is_writing": True} if is_writing else {})}
        Task.objects.create(kind=TaskKind.MARK_READ, session=session, payload=payload, run_at=at)
