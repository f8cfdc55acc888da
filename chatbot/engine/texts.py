"""The texts of a node: what is filled in, what customers see, what is sent as it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chatbot.engine.kinds import (
    AnyNode,
    Ask,
    Call,
    End,
    Handoff,
    Http,
    LeadNode,
    Menu,
    SendNode,
    SetNode,
)

Field = tuple[str, str]  # (name of the field, text)


def said_by(node: AnyNode) -> Iterator[Field]:
    """The texts of a node that customers get, filled in; empty ones too."""
    match node:
        case SendNode() as send:
            yield from (("text", send.text), ("footer", send.footer))
        case Ask() as ask:
            yield from (("text", ask.text), ("invalid", ask.invalid), ("only_text", ask.only_text))
        case Menu() as menu:
            yield from (("text", menu.text), ("header", menu.header), ("footer", menu.footer))
            yield from (("fallback", menu.fallback), ("ambiguous", menu.ambiguous))
            yield "only_text", menu.only_text
        case Handoff() as handoff:
            yield from (("text", handoff.text), ("closed_text", handoff.closed_text))
        case End() as end:
            yield "text", end.text


def filled_by(node: AnyNode) -> Iterator[Field]:
    """All texts of a node whose placeholders are filled, but for those of `set`."""
    yield from said_by(node)
    match node:
        case SendNode(media=media, template=template):
            if media:
                yield from (("url", media.url), ("ref", media.ref), ("filename", media.filename))
            if template:
                yield from (("template", text) for text in template.values.values())
        case LeadNode() as lead:
            yield from (("fields", text) for text in lead.fields.values())
            yield from (("tags", text) for text in (*lead.add_tags, *lead.remove_tags))
            if lead.consent:
                yield "consent", lead.consent.text
        case Call() as call:
            yield from (("args", text) for text in strings(call.args))
        case Http() as http:
            yield from sent_by(http)
        case Handoff() as handoff:
            yield "reason", handoff.reason


def sent_by(http: Http) -> Iterator[Field]:
    """What a request tells the other system."""
    yield "url", http.url
    yield from (("headers", text) for text in http.headers.values())
    yield "body", http.body


def fixed_in(node: AnyNode) -> Iterator[Field]:
    """The texts of a node that customers get as they are written."""
    if isinstance(node, Menu):
        yield "list_button", node.list_button
        for option in node.options:
            yield from (("option", option.label), ("description", option.description))


def changed_by(node: AnyNode) -> Iterator[Field]:
    """The texts from which `set` makes values."""
    if isinstance(node, SetNode):
        yield from (("value", one.value) for one in node.values if isinstance(one.value, str))


def strings(value: Any) -> Iterator[str]:
    """Every text in a value, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from strings(one)
