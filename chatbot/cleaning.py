"""What a provider may send and no database or encoder accepts: NUL and lone surrogates."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from chatbot.channels.inbound import InboundMessage

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """`text` with each NUL and lone surrogate as U+FFFD; otherwise exactly what came."""
    return _UNSTORABLE.sub("\ufffd", text)


def clean(value: Any) -> Any:
    """The same for every text inside a JSON value, keys included."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean(key): clean(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [clean(one) for one in value]
    return value


def clean_message(item: InboundMessage) -> InboundMessage:
    """An item whose texts can be stored."""
    media = item.media
    return replace(
        item,
        text=None if item.text is None else clean_text(item.text),
        choice_id=clean_text(item.choice_id),
        sender=replace(
            item.sender,
            name=clean_text(item.sender.name),
            username=clean_text(item.sender.username),
        ),
        media=media
        and replace(
            media,
            filename=clean_text(media.filename),
            mime_type=clean_text(media.mime_type),
            url=clean_text(media.url),
        ),
        payload=clean(item.payload),
        raw=clean(item.raw),
    )
