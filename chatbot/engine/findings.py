"""What the verification finds, and what it must know of the world around the flow."""

from __future__ import annotations

import hashlib
import json
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
    "unknown_skill": "There is no skill called “%(skill)s”.",
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
    "never_returns": "The sub-flow “%(flow)s” never comes back: what follows is never reached.",
    "missing_else": "Nothing is said about what happens when no case holds.",
    "dangling_word": "The word “%(word)s” leads nowhere.",
    "too_many_in_a_row": "%(count)s in a row without the customer, and the limit is %(limit)s.",
    "text_after_window": "The customer may have last written %(hours)s hours ago.",
    "over_limit_when_filled": "%(field)s has up to %(length)s characters and the channel takes "
    "%(limit)s; the longest part is “%(variable)s”.",
    "overlapping_options": "“%(said)s” may be “%(label)s” or “%(other)s”.",
    "option_is_word": "“%(word)s” is an option here, and a word that leads elsewhere.",
    "empty_option": "The option “%(option)s” has no label.",
    "unheard_word": "The word “%(word)s” can never be heard.",
    "skip_word_taken": "“%(word)s” works anywhere, so it does not skip this question.",
    "wrong_type": "“%(variable)s” is %(is)s and is compared as %(wanted)s.",
    "never_equal": "“%(variable)s” is never “%(value)s”.",
    "dead_case": "Case %(case)s is never taken: case %(earlier)s takes all that it would.",
    "impossible_case": "The condition of case %(case)s can never hold.",
    "no_valid_answer": "No answer is valid: the least allowed is more than the most.",
    "raw_placeholder": "“%(text)s” would be sent as it is written.",
    "secret_in_text": "%(field)s seems to hold a secret: %(hint)s.",
    "unknown_secret": "There is no secret called “%(secret)s”.",
    "secret_shown": "The secret “%(secret)s” has no value outside a call to another system.",
    "sensitive_in_url": "“%(variable)s” is sensitive and stands in the address.",
    "silent_end": "The customer has answered and the conversation ends without a word.",
    "no_answer_to_media": "Who sends a photo or an audio is not told that only text is read.",
}

# Fields that a message names; the shell has words for them.
FIELDS = {
    "text": "The text",
    "invalid": "The answer to what is not valid",
    "fallback": "The answer to what is not understood",
    "ambiguous": "The question when several fit",
    "only_text": "The answer to media",
    "header": "The header",
    "footer": "The footer",
    "closed_text": "The text outside business hours",
    "option": "The option “%(label)s”",
    "description": "The description “%(label)s”",
    "list_button": "The list's button “%(label)s”",
    "url": "The address",
    "headers": "A header",
    "body": "The body",
    "args": "An argument",
    "reason": "The reason",
    "value": "A value",
    "template": "A value of the message template",
    "fields": "A field of the lead",
    "consent": "The consent",
    "tags": "A tag",
    "filename": "The name of the file",
    "ref": "The file",
}
TYPES = {
    "text": "a text",
    "number": "a number",
    "date": "a date",
    "boolean": "yes or no",
    "list": "a list",
    "thing": "a file or a place",
    "time": "a time of day",
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
        return MESSAGES[self.code] % in_words(self.params, FIELDS, TYPES)

    @property
    def key(self) -> str:
        return key_of(self.code, self.node, self.params)


def key_of(code: str, node: str, params: Mapping[str, Any]) -> str:
    """A short name of a finding that stays while it is about the same thing: code, node and
    parameters, whatever the way that leads there."""
    about = json.dumps([code, node, params], sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(about.encode()).hexdigest()[:16]


def in_words(
    params: Mapping[str, Any], fields: Mapping[str, Any], types: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters with the codes of fields and types in words."""
    told = dict(params)
    if "field" in told:
        told["field"] = str(fields.get(told["field"], told["field"])) % {"label": "", **params}
    for name in ("is", "wanted"):
        if name in told:
            told[name] = str(types.get(told[name], told[name]))
    return told


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
    secrets: Collection[str] | None = None  # names in the vault
    skills: Collection[str] | None = None  # names, in lower case


def is_known(name: str, known: Collection[str] | Mapping[str, Any] | None) -> bool:
    return known is None or name in known
