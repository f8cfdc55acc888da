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
    media_ref: str = ""  # a stored Media row of ours, uploaded before it is sent
    has_file: bool = False  # the row gets a Media of its own when it is written
    filename: str = ""
    reply_to: str = ""  # provider id to quote
    target_id: str = ""  # provider id reacted to
    latitude: float | None = None
    longitude: float | None = None
    template: dict[str, Any] = field(default_factory=dict)  # name, language, components


@dataclass(frozen=True)
class TemplateDraft:
    """A message template as it is submitted. `provider_id` names the one that it replaces."""

    name: str
    language: str
    category: str
    parameter_format: str
    components: list[dict[str, Any]]
    provider_id: str = ""


@dataclass(frozen=True)
class ListedTemplate:
    """A message template as the provider has it. `status` is a TemplateStatus: what the provider's
    new words mean is never "approved"."""

    provider_id: str
    name: str
    language: str
    status: str
    category: str = ""
    components: list[dict[str, Any]] = field(default_factory=list)
    parameter_format: str = "POSITIONAL"
    quality: str = ""
    previous_category: str = ""
    reason: str = ""


@dataclass(frozen=True)
class FileRule:
    """What a channel takes as one kind of file. Sizes in bytes.

    types: MIME types as chatbot.file_types tells them; None: any. colours: modes of a picture with
    eight bits a colour; empty: any.
    """

    kind: str
    types: frozenset[str] | None
    largest: int
    largest_animated: int | None = None  # None: the same
    colours: frozenset[str] = frozenset()
    is_mono: bool = False  # Opus with one channel only


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
    files: tuple[FileRule, ...] = ()  # the first that takes a file says as what it is sent
    media_kept_days: int = 7  # for how long the provider hands out a received file
    templates: bool = False
    mark_read: bool = False
    typing: bool = False  # shows that an answer is being written; marks as read, too
    service_window_hours: int | None = None
    # One message every so many seconds to the same person, of which `pair_burst` may be borrowed
    # at once; 0: no such limit.
    pair_seconds: float = 0.0
    pair_burst: int = 1
