"""Texts: is something said, does it fit the channel, and is every placeholder one that is filled?

A text is over the channel's limit by itself, or when its variables are at their longest
(`chatbot.engine.bounds`).
"""

from __future__ import annotations

from collections.abc import Iterator

from chatbot.engine.findings import ChannelLimits, Finding, Severity
from chatbot.engine.ground import Desk, Ground
from chatbot.engine.kinds import AnyNode, Ask, Menu, SendNode
from chatbot.engine.limits import TEXT_LENGTH
from chatbot.engine.render import leftovers, literal_length
from chatbot.engine.texts import filled_by, fixed_in, said_by

_SHOWN = 40


def check_texts(desk: Desk, ground: Ground) -> Iterator[Finding]:
    yield from _nothing_said(desk)
    yield from _raw(desk)
    for field, text in said_by(desk.node):
        if not text and field == "only_text" and isinstance(desk.node, Ask | Menu):
            text = desk.document.only_text_answer  # noqa: PLW2901 - what is said instead
        limit = min((_limit(desk.node, field, one) for one in ground.around.channels), default=0)
        yield from _over(desk, field, text, limit, ground)


def _nothing_said(desk: Desk) -> Iterator[Finding]:
    match desk.node:
        case Ask(text=text) | Menu(text=text) if not text.strip():
            yield desk.finding("empty_text", "error")
        case SendNode(template=None, media=None, text=text) if not text.strip():
            yield desk.finding("empty_text", "error")
        case SendNode(media=media) if media and not (media.url.strip() or media.ref.strip()):
            yield desk.finding("empty_text", "error")


def _raw(desk: Desk) -> Iterator[Finding]:
    """Braces that stay braces: a name that cannot be one, or a text that is never filled."""
    for _field, text in filled_by(desk.node):
        left = leftovers(text)
        if "{{" in left:
            yield desk.finding("raw_placeholder", "error", text=_around(left))
    for _field, text in fixed_in(desk.node):
        if "{{" in text:
            yield desk.finding("raw_placeholder", "error", text=_around(text))


def check_settings(ground: Ground) -> Iterator[Finding]:
    """The sentences of the flow itself, which are sent as they are written."""
    flow = ground.flow
    for text in (flow.trouble_text, flow.idle.warning_text, flow.idle.end_text):
        if "{{" in text:
            yield Finding("raw_placeholder", "error", params={"text": _around(text)})


def _around(text: str) -> str:
    at = text.find("{{")
    end = text.find("}}", at)
    return text[at : end + 2 if 0 <= end - at < _SHOWN else at + _SHOWN]


def _over(desk: Desk, field: str, text: str, limit: int, ground: Ground) -> Iterator[Finding]:
    """A limit of 0 says that the channel has no such part: what is there goes into the text."""
    if not limit or not text:
        return
    length = literal_length(text)
    if length > limit:
        about = {"field": field, "length": length, "limit": limit}
        yield desk.finding("over_channel_limit", "warning", **about)
        return
    longest, variable = ground.bounds.longest(text)
    if longest > limit:
        about = {"field": field, "length": longest, "limit": limit, "variable": variable}
        # An answer without a limit of its own: set one, and it fits.
        is_unlimited = bool(variable) and ground.bounds.of(variable) >= TEXT_LENGTH
        severity: Severity = "hint" if is_unlimited else "warning"
        yield desk.finding("over_limit_when_filled", severity, **about)


def _limit(node: AnyNode, field: str, channel: ChannelLimits) -> int:
    match node:
        case Menu() as menu:
            return _menu_limit(menu, field, channel)
        case SendNode(media=media) if media:
            return channel.caption_length if field == "text" else 0
    return channel.text_length if field != "footer" else 0


def _menu_limit(menu: Menu, field: str, channel: ChannelLimits) -> int:
    if field == "header":
        return channel.header
    if field == "footer":
        return channel.footer
    has_options = menu.presentation != "text" and (channel.buttons or channel.list_rows)
    return channel.body_length if has_options else channel.text_length
