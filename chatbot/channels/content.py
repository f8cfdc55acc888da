"""What is sent, and what a channel can show, in neutral words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Option:
    id: str
    title: str
    description: str = ""


@dataclass(frozen=True)
class Content:
    """One message to send, in neutral words. `degrade()` turns what a channel cannot do into what
    it can; a transport is only given what its capabilities allow."""

    kind: str  # text, buttons, list, image, audio, voice, video, document, sticker, location, …
    text: str = ""  # … template, reaction (the emoji; "" takes it back)
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
class Capabilities:
    """Limits are in characters as the narrower count goes (UTF-16 units); 0 means: cannot."""

    buttons: int = 0  # how many reply buttons in one message; 0: none
    button_title: int = 0
    list_rows: int = 0
    list_row_title: int = 0
    list_row_description: int = 0
    list_button: int = 0  # the label that opens the list
    option_id: int = 200
    header: int = 0
    footer: int = 0
    text_length: int = 4096
    body_length: int = 1024  # text of a message with options
    caption_length: int = 1024
    media: frozenset[str] = frozenset()
    templates: bool = False
    mark_read: bool = False
    service_window_hours: int | None = None
    # One message every so many seconds to the same person, of which `pair_burst` may be borrowed
    # at once; 0: no such limit.
    pair_seconds: float = 0.0
    pair_burst: int = 1
