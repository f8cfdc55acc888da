"""Rows to be sent: how they are written. How they are delivered is delivery.py's business."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any
from uuid import UUID

from chatbot.channels import transport_class
from chatbot.channels.base import Content, Option, degrade, merge
from chatbot.engine.effects import Send
from chatbot.media import uploaded_id
from chatbot.message_templates import content_for
from chatbot.models import Author, Direction, FlowLog, MessageLog, MessageStatus
from sessions_app.models import Channel, Session
from users.models import User

_PAYLOAD_FIELDS = (
    "options",
    "list_button",
    "header",
    "footer",
    "media_link",
    "media_ref",
    "filename",
    "target_id",
    "latitude",
    "longitude",
    "template",
)


def content_of(send: Send, channel: Channel) -> Content:
    """What an engine's `Send` says on this channel, before the channel's limits."""
    if send.template is not None:
        use = send.template
        return content_for(channel, use.name, use.language, use.values)
    options = tuple(Option(one.id, one.title, one.description) for one in send.choices)
    return Content(
        kind=_kind_of(send),
        text=send.text,
        options=options,
        list_button=send.list_button,
        header=send.header,
        footer=send.footer,
        media_link="" if send.media_ref else send.media_url,
        media_ref=send.media_ref,
        filename=send.filename,
    )


def rows_for(  # noqa: PLR0913  # keyword-only
    session: Session,
    contents: Iterable[Content],
    *,
    author: Author,
    at: datetime,
    flow_log: FlowLog | None = None,
    user: User | None = None,
    client_id: UUID | None = None,
    extra: dict[str, Any] | None = None,
) -> list[MessageLog]:
    """Unsaved `queued` rows that say `contents` as the session's channel can, under its present
    epoch.

    A content that must be split becomes several rows; `client_id` goes on the first one.
    """
    capabilities = transport_class(session.channel.kind).capabilities
    merged = merge(list(contents), capabilities)
    parts = [part for content in merged for part in degrade(content, capabilities)]
    return [
        MessageLog(
            channel=session.channel,
            session=session,
            direction=Direction.OUTBOUND,
            author=author,
            author_user=user,
            identity=session.identity,
            kind=part.kind,
            text=part.text,
            payload={**_payload_of(part), **(extra or {})},
            reply_to=part.reply_to,
            status=MessageStatus.QUEUED,
            client_id=client_id if number == 0 else None,
            flow_log=flow_log,
            epoch=session.epoch,
            run_at=at,
            created_at=at,
        )
        for number, part in enumerate(parts)
    ]


def content_from(row: MessageLog) -> Content:
    """The content of a stored row, as the transport takes it; its file is one that was uploaded."""
    payload = row.payload
    options = tuple(Option(**one) for one in payload.get("options", ()))
    rest = {name: payload[name] for name in _PAYLOAD_FIELDS[1:] if name in payload}
    return Content(
        kind=row.kind,
        text=row.text,
        options=options,
        reply_to=row.reply_to,
        media_id=uploaded_id(row),
        **rest,
    )


def _kind_of(send: Send) -> str:
    if send.media:
        return send.media
    if not send.choices:
        return "text"
    return {"buttons": "buttons", "list": "list"}.get(send.presentation, "buttons")


def _payload_of(content: Content) -> dict[str, Any]:
    """Only what says something: empty fields are left out."""
    values = asdict(content)
    chosen = {name: values[name] for name in _PAYLOAD_FIELDS}
    return {name: value for name, value in chosen.items() if value not in ("", None, (), {}, [])}
