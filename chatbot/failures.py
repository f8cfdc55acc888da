"""What came in and could not be handled is kept here, with all that is needed to handle it
later."""

from __future__ import annotations

import hashlib
import json
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.utils import timezone
from pydantic import TypeAdapter

from chatbot.channels.inbound import (
    AccountNotice,
    EchoMessage,
    IdentityChange,
    Inbound,
    InboundMessage,
    MarketingPreference,
    StatusUpdate,
    TemplateNews,
    Unusable,
)
from chatbot.cleaning import clean_item, clean_text
from chatbot.models import FailedEvent, FailedEventState, MessageLog
from sessions_app.models import Channel

_TYPES: dict[str, TypeAdapter[Any]] = {
    one.__name__: TypeAdapter(one)
    for one in (
        InboundMessage,
        EchoMessage,
        StatusUpdate,
        IdentityChange,
        MarketingPreference,
        AccountNotice,
        TemplateNews,
        Unusable,
    )
}
ERROR_LENGTH = 500
_collecting: ContextVar[list[FailedEvent] | None] = ContextVar("collecting", default=None)


def keep_item(  # noqa: PLR0913  # keyword-only
    item: Inbound,
    *,
    channel: Channel | None,
    error: str,
    message: MessageLog | None = None,
    cause: BaseException | None = None,
    state: FailedEventState = FailedEventState.NEW,
) -> FailedEvent:
    """A parsed item; it can go through `receive` again."""
    stored = as_stored(item)
    # A step fails once a message, and each message comes in once. Trouble of the account has no
    # id and may come back: it is news again on another day.
    day = timezone.localdate().isoformat() if isinstance(item, AccountNotice) else ""
    digest = "" if message else _digest(channel, json.dumps(stored, sort_keys=True), day)
    return _keep(
        channel=channel,
        message=message,
        item=stored,
        digest=digest,
        error=clean_text(error)[:ERROR_LENGTH],
        details=details_of(cause),
        state=state,
    )


def as_stored(item: Inbound) -> dict[str, Any]:
    """An item as JSON that every database takes; `item_of` reads it."""
    name = type(item).__name__
    return {"type": name, "item": _TYPES[name].dump_python(clean_item(item), mode="json")}


def keep_body(
    body: bytes, *, channel: Channel | None, error: str, cause: BaseException | None = None
) -> FailedEvent:
    """A body that was proven to come from the provider and could not be parsed."""
    return _keep(
        channel=channel,
        body=body,
        digest=_digest(channel, body),
        error=clean_text(error)[:ERROR_LENGTH],
        details=details_of(cause),
    )


def _keep(*, digest: str, **values: Any) -> FailedEvent:
    """The event, or the one that an earlier delivery of the same thing left; in memory it says why
    it failed this time."""
    if digest:
        event = FailedEvent.objects.get_or_create(digest=digest, defaults=values)[0]
        event.error, event.details = values["error"], values["details"]
    else:
        event = FailedEvent.objects.create(**values)
    kept = _collecting.get()
    if kept is not None:
        kept.append(event)
    return event


@contextmanager
def collected() -> Iterator[list[FailedEvent]]:
    """The events that this thread keeps meanwhile, those of rolled-back transactions included."""
    kept: list[FailedEvent] = []
    before = _collecting.set(kept)
    try:
        yield kept
    finally:
        _collecting.reset(before)


def _digest(channel: Channel | None, *parts: str | bytes) -> str:
    found = hashlib.sha256(str(channel and channel.pk).encode())
    for part in parts:
        found.update(b"\0" + (part if isinstance(part, bytes) else part.encode()))
    return found.hexdigest()


def item_of(event: FailedEvent) -> Inbound | None:
    """The item that `keep_item` stored; None when the event has only a body. Raises pydantic's
    ValidationError on a row that an older version wrote differently."""
    name = event.item.get("type")
    if name not in _TYPES:
        return None
    item: Inbound = _TYPES[name].validate_python(event.item["item"])
    return item


def details_of(cause: BaseException | None) -> str:
    """Where it failed: file, line and function, without the values that a traceback's message may
    hold."""
    if cause is None:
        return ""
    frames = traceback.extract_tb(cause.__traceback__)[-12:]
    places = [
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} {frame.name}" for frame in frames
    ]
    return clean_text("\n".join([type(cause).__name__, *places]))
