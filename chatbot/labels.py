"""What people read instead of stored codes."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from chatbot.channels import transport_class
from chatbot.channels.inbound import Kind
from chatbot.models import MessageLog

KIND_LABELS: dict[str, str | Promise] = {
    Kind.TEXT: _("text"),
    Kind.IMAGE: _("image"),
    Kind.AUDIO: _("audio"),
    Kind.VOICE: _("voice message"),
    Kind.VIDEO: _("video"),
    Kind.DOCUMENT: _("document"),
    Kind.STICKER: _("sticker"),
    Kind.LOCATION: _("location"),
    Kind.CONTACTS: _("contacts"),
    Kind.BUTTON_REPLY: _("button chosen"),
    Kind.LIST_REPLY: _("option chosen"),
    Kind.FLOW_REPLY: _("form"),
    Kind.ORDER: _("order"),
    Kind.REACTION: _("reaction"),
    Kind.REACTION_REMOVED: _("reaction removed"),
    Kind.EDIT: _("edit"),
    Kind.REVOKE: _("deleted by the customer"),
    Kind.SYSTEM: _("system"),
    Kind.UNSUPPORTED: _("not supported"),
    Kind.GROUP_TEXT: _("group message"),
    Kind.ECHO: _("from the phone"),
    Kind.BUTTONS: _("buttons"),
    Kind.LIST: _("list"),
    Kind.TEMPLATE: _("message template"),
}

# What lists show of a message without words.
PREVIEW_LABELS: dict[str, str | Promise] = {
    Kind.IMAGE: _("Image"),
    Kind.AUDIO: _("Audio"),
    Kind.VOICE: _("Voice message"),
    Kind.VIDEO: _("Video"),
    Kind.DOCUMENT: _("Document"),
    Kind.STICKER: _("Sticker"),
    Kind.LOCATION: _("Location"),
    Kind.CONTACTS: _("Contact"),
    Kind.ORDER: _("Order"),
    Kind.FLOW_REPLY: _("Form"),
    Kind.UNSUPPORTED: _("Message that cannot be shown"),
}


def why_failed(message: MessageLog, channel_kind: str) -> str:
    """What happened to a message that was not delivered and what to do, with the code last; empty
    while nothing did."""
    if not message.error_code:
        return ""
    said = transport_class(channel_kind).explain(message.error_code, message.error_detail)
    return f"{said.sentence} ({message.error_code})"


DISCARDED = "discarded"  # of a message that failed: who has set it aside, in the row's payload

PROVIDER_AWAY = "provider_away"  # of a message to somebody in the simulator
STALE = "stale"  # the error code of an answer of the bot that waited too long to be of use

# The provider's word for a message template that it holds back for now; kept in the row's payload.
PACING = "pacing"
PACING_LABELS: dict[str, Promise] = {
    "held_for_quality_assessment": _("held back by WhatsApp while it checks the template"),
    "paused": _("held back by WhatsApp: the template is paused"),
}


def pacing_of(payload: dict[str, Any]) -> str:
    """Why an accepted message with this payload has not gone out yet; empty for one that goes at
    once."""
    return str(PACING_LABELS.get(str(payload[PACING]), "")) if PACING in payload else ""


# What a step's trace holds as codes. What is not here is an id, a label or a word of the flow.
MATCH_LABELS: dict[str, Promise] = {
    "answer": _("answered"),
    "skip": _("skipped"),
    "choice": _("tap on an older menu"),
    "invalid": _("not valid"),
    "ambiguous": _("several fit"),
    "fallback": _("not understood"),
    "only_text": _("text was asked for"),
    "open": _("team is there"),
    "closed": _("outside business hours"),
    "lost": _("lost its place"),
    "nodes": _("too many steps"),
    "calls": _("too many calls"),
}
EXIT_LABELS: dict[str, Promise] = {
    "on_fail": _("after the last try"),
    "otherwise": _("otherwise"),
    "on_message": _("interrupted by a message"),
    "ok": _("with a result"),
    "error": _("with an error"),
    "word": _("word that works anywhere"),
    "enter": _("into the sub-flow"),
    "return": _("back from the sub-flow"),
    "trouble": _("given up"),
}


TEMPLATE_CATEGORIES: dict[str, Promise] = {
    "MARKETING": _("marketing"),
    "UTILITY": _("utility"),
    "AUTHENTICATION": _("authentication"),
}


def template_category(code: str) -> str:
    return str(TEMPLATE_CATEGORIES.get(code.upper(), code))


def preview_label(kind: str) -> str:
    """What kind of thing a message without words is."""
    return str(PREVIEW_LABELS.get(kind, kind))
