"""The contract between the conversation and a channel's protocol."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from chatbot.channels.inbound import Inbound
    from sessions_app.models import Channel


class BadSignature(Exception):
    """The body was not proven to come from the provider. Message is for the log, never for the answer."""


class Malformed(Exception):
    """The body was proven but cannot be parsed at all; it is kept as a FailedEvent with its raw bytes."""


class SendError(Exception):
    """The provider refused, or could not be reached before anything was sent.

    code: the provider's code as text, or "timeout", "connection", "http_500" …
    retryable: will trying again help?
    retry_after: seconds, when known.
    scope: what the trouble concerns: "message", "pair", "number", "account" (pause the channel).
    uncertain: it may have been accepted; never send blindly again.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        retryable: bool,
        retry_after: float | None = None,
        scope: str = "message",
        uncertain: bool = False,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.retryable = retryable
        self.retry_after = retry_after
        self.scope = scope
        self.uncertain = uncertain


@dataclass(frozen=True)
class Option:
    id: str
    title: str
    description: str = ""


@dataclass(frozen=True)
class Content:
    """One message to send, in neutral words. The transport has already been asked for its capabilities:
    `degrade()` below has turned what it cannot do into what it can."""

    kind: str  # text, buttons, list, image, audio, video, document, sticker, location, template, reaction
    text: str = ""
    options: tuple[Option, ...] = ()
    list_button: str = ""
    header: str = ""
    footer: str = ""
    media_id: str = ""  # provider's id of an uploaded file
    media_link: str = ""
    filename: str = ""
    reply_to: str = ""  # provider id to quote
    target_id: str = ""  # provider id reacted to
    latitude: float | None = None
    longitude: float | None = None
    template: dict[str, Any] = field(default_factory=dict)  # name, language, components


@dataclass(frozen=True)
class Recipient:
    """Where to send: `scheme` and the form last received. Opaque outside the transport."""

    scheme: str
    send_to: str


@dataclass(frozen=True)
class Sent:
    """The provider accepted. `aliases` are other addresses of the same person that the answer revealed,
    as (scheme, address, send_to)."""

    provider_id: str
    aliases: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class Capabilities:
    buttons: int = 0  # how many reply buttons in one message; 0: none
    button_title: int = 0
    list_rows: int = 0
    list_row_title: int = 0
    list_row_description: int = 0
    text_length: int = 4096
    body_length: int = 1024  # text of a message with options
    caption_length: int = 1024
    media: frozenset[str] = frozenset()
    templates: bool = False
    mark_read: bool = False
    service_window_hours: int | None = None


class Transport(ABC):
    """One channel's protocol. Holds no state but its channel row; a new one per request or worker batch."""

    kind: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    def handshake(self, request: HttpRequest) -> HttpResponse | None:
        """The answer to the provider's GET check, or None when this protocol has none."""
        return None

    @abstractmethod
    def verify(self, request: HttpRequest, body: bytes) -> None:
        """Prove the origin over the raw bytes, in constant time. Raises BadSignature."""

    @abstractmethod
    def parse(self, request: HttpRequest, body: bytes) -> Sequence[Inbound]:
        """Every item of the body, in its order. Raises Malformed only when nothing can be read."""

    @abstractmethod
    def send(self, to: Recipient, content: Content, *, callback_data: str) -> Sent:
        """Call the provider once, with a timeout. Raises SendError."""

    def mark_read(self, provider_id: str) -> None:
        """Show the customer that we read; quiet when the channel cannot. Raises SendError."""
        return None
