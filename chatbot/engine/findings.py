"""What the verification finds, and what it must know of the world around the flow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from chatbot.engine.nodes import FlowDocument

Severity = Literal["error", "warning", "hint"]

MESSAGES = {
    "missing_start": "The flow has no start step.",
    "dangling_exit": "The exit “%(exit)s” leads nowhere.",
    "unreachable": "No button, condition or step leads here.",
    "silent_loop": "These steps can go round without ever waiting for the customer.",
    "timed_loop": "These steps can go round without the customer ever answering.",
    "unknown_handler": "There is no integration called “%(handler)s”.",
    "bad_args": "The argument “%(argument)s” of the integration is missing or does not fit.",
    "unknown_route": "The integration never leaves by “%(route)s”.",
    "missing_route": "The integration may leave by “%(route)s”, which leads nowhere.",
    "missing_error_route": "Nothing is said about what happens when this fails.",
    "unknown_department": "There is no department called “%(department)s”.",
    "unknown_flow": "There is no flow called “%(flow)s”.",
    "subflow_recursion": "This flow would run inside itself: %(flows)s.",
    "unknown_variable": "“%(variable)s” has no value on this way here.",
    "over_channel_limit": "%(field)s has %(length)s characters and the channel takes %(limit)s.",
    "too_many_options": "%(count)s options, and the channel shows %(limit)s.",
    "no_way_to_human": "From here there is no way to a person.",
    "duplicate_labels": "“%(label)s” stands for more than one option.",
    "duplicate_words": "The word “%(word)s” leads to more than one step.",
    "missing_fallback": "Nothing is said when the answer is not understood.",
    "no_try_limit": "There is no limit of tries: who answers wrongly is stuck.",
    "empty_text": "There is nothing to say.",
    "unknown_template": "There is no approved message template “%(template)s” in %(language)s.",
    "template_value": "The message template “%(template)s” needs a value for “%(value)s”.",
    "unknown_template_value": "The message template “%(template)s” has no value “%(value)s”.",
    "bad_url": "The address must begin with https:// and a fixed host.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`path` is a witness: the ids of the nodes from the start to the defect. `code` is a key of
    MESSAGES, and `params` fill its placeholders."""

    code: str
    severity: Severity
    node: str = ""
    path: tuple[str, ...] = ()
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The English sentence; the shell translates MESSAGES[code] instead."""
        return MESSAGES[self.code] % self.params


class ChannelLimits(Protocol):
    """The part of a channel's capabilities that matters here; 0 means: cannot."""

    @property
    def buttons(self) -> int: ...
    @property
    def button_title(self) -> int: ...
    @property
    def list_rows(self) -> int: ...
    @property
    def list_row_title(self) -> int: ...
    @property
    def list_row_description(self) -> int: ...
    @property
    def list_button(self) -> int: ...
    @property
    def header(self) -> int: ...
    @property
    def footer(self) -> int: ...
    @property
    def text_length(self) -> int: ...
    @property
    def body_length(self) -> int: ...
    @property
    def caption_length(self) -> int: ...


@dataclass(frozen=True)
class Limits:
    """What WhatsApp takes; any object with these attributes will do instead."""

    buttons: int = 3
    button_title: int = 20
    list_rows: int = 10
    list_row_title: int = 24
    list_row_description: int = 72
    list_button: int = 20
    header: int = 60
    footer: int = 60
    text_length: int = 4096
    body_length: int = 1024
    caption_length: int = 1024


@dataclass(frozen=True)
class KnownHandler:
    """`args` is the JSON schema of the arguments."""

    args: Mapping[str, Any] = field(default_factory=dict)
    routes: tuple[str, ...] = ("ok", "error")
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Surroundings:
    """Plain facts about the world. None means unknown, and what depends on it is not checked."""

    handlers: Mapping[str, KnownHandler] | None = None
    departments: Collection[str] | None = None
    flows: Mapping[str, FlowDocument] | None = None
    channels: tuple[ChannelLimits, ...] = (Limits(),)
    # (name, language) of each approved message template → its values, True where one is needed
    templates: Mapping[tuple[str, str], Mapping[str, bool]] | None = None
    variables: Collection[str] = ()  # that whoever starts the flow gives


def is_known(name: str, known: Collection[str] | Mapping[str, Any] | None) -> bool:
    return known is None or name in known
