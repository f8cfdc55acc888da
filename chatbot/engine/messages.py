"""What can happen to a conversation, as the engine sees it.

Every message is frozen, JSON-able and carries its own clock (`at`) and everything a `branch` may
ask (`facts`), so a step needs nothing from outside and can be replayed from the FlowLog.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Happening(BaseModel):
    """Base of all messages. `at` is timezone-aware; `facts` is what the shell knew at that moment.

    facts = {
        "now": ISO local time of the department or site, "weekday": 0..6 (Monday 0),
        "open_departments": [slug, …], "departments": [slug, …],
        "lead": {"name", "email", "phone", "status", "source", "tags": [..], "opted_out": bool},
        "channel": {"kind", "slug"}, "first_contact": bool,
    }
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: datetime
    facts: dict[str, Any] = Field(default_factory=dict)


class Started(Happening):
    """A run begins (a trigger fired). `text` is the message that fired it; the start node says what
    becomes of it. `node`: where staff begins it again, instead of at the start."""

    kind: Literal["started"] = "started"
    text: str = ""
    node: str = ""


class TextReceived(Happening):
    kind: Literal["text"] = "text"
    text: str


class ChoiceReceived(Happening):
    """A button or list row was tapped: `id` is what we sent as its id, `title` what was shown."""

    kind: Literal["choice"] = "choice"
    id: str
    title: str = ""


class MediaReceived(Happening):
    """`media` is the neutral kind (image, audio, voice, video, document, sticker); `ref` our
    message id."""

    kind: Literal["media"] = "media"
    media: str
    caption: str = ""
    filename: str = ""
    ref: str = ""


class LocationReceived(Happening):
    kind: Literal["location"] = "location"
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class ContactsReceived(Happening):
    """Shared cards. `phone` is set only when the card is the sender's own number."""

    kind: Literal["contacts"] = "contacts"
    names: tuple[str, ...] = ()
    phone: str = ""


class FormReceived(Happening):
    """The answer of a channel-native form (WhatsApp Flow) or an order: flat values."""

    kind: Literal["form"] = "form"
    values: dict[str, Any] = Field(default_factory=dict)


class HandlerReturned(Happening):
    """Result of a `call` or `http` node: the route taken and the values it gives to the context."""

    kind: Literal["returned"] = "returned"
    route: str
    values: dict[str, Any] = Field(default_factory=dict)


class TicketOpened(Happening):
    """The shell opened the ticket a `handoff` asked for: its text may now name the protocol."""

    kind: Literal["ticket_opened"] = "ticket_opened"
    protocol: str
    department: str = ""
    is_open_now: bool = True


class TimerFired(Happening):
    """The time a `wait` asked for has come."""

    kind: Literal["timer"] = "timer"


Message = Annotated[
    Started
    | TextReceived
    | ChoiceReceived
    | MediaReceived
    | LocationReceived
    | ContactsReceived
    | FormReceived
    | HandlerReturned
    | TicketOpened
    | TimerFired,
    Field(discriminator="kind"),
]
MESSAGE: TypeAdapter[Message] = TypeAdapter(Message)
