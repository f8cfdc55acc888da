"""What a webhook body says, in neutral words. Every transport parses into these and nothing else.

Times are timezone-aware or None (the payload had none that could be read: receipt time is used).
Texts are as received; the shell cleans NUL and lone surrogates before storing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What a message is. The values are stored in MessageLog.kind."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VOICE = "voice"
    VIDEO = "video"
    DOCUMENT = "document"
    STICKER = "sticker"
    LOCATION = "location"
    CONTACTS = "contacts"
    BUTTON_REPLY = "button_reply"
    LIST_REPLY = "list_reply"
    FLOW_REPLY = "flow_reply"
    ORDER = "order"
    REACTION = "reaction"
    REACTION_REMOVED = "reaction_removed"
    EDIT = "edit"
    REVOKE = "revoke"
    SYSTEM = "system"
    UNSUPPORTED = "unsupported"
    GROUP_TEXT = "group_text"
    ECHO = "echo"
    # outbound only
    BUTTONS = "buttons"
    LIST = "list"
    TEMPLATE = "template"


@dataclass(frozen=True)
class Address:
    """How a channel knows a person.

    `address` is canonical (a Brazilian mobile with its ninth digit, digits only); `send_to` is the
    form last received, which is the one to answer to.
    """

    scheme: str  # phone, bsuid, parent_bsuid, telegram, lid, simulator
    address: str
    send_to: str


@dataclass(frozen=True)
class Sender:
    addresses: tuple[Address, ...] = ()  # best identity first: bsuid before phone
    name: str = ""
    username: str = ""  # mutable: shown, never a key


@dataclass(frozen=True)
class MediaRef:
    provider_id: str = ""
    url: str = ""
    mime_type: str = ""
    sha256: str = ""
    filename: str = ""
    size: int | None = None


@dataclass(frozen=True)
class Inbound:
    """Base of everything in a body. `account` is the business number or bot it came to, if said.

    `raw` is a whole body with this item alone: `parse` of its JSON gives the item again.
    """

    account: str | None
    at: datetime | None
    raw: dict[str, Any] = field(repr=False, kw_only=True, default_factory=dict)


@dataclass(frozen=True)
class InboundMessage(Inbound):
    provider_id: str
    kind: Kind
    sender: Sender
    text: str | None = None  # what the conversation shows: body, caption, title of the option
    choice_id: str = ""  # id or payload of the tapped button or row
    media: MediaRef | None = None
    # location, contacts, own_phone, order, form, errors, referral …
    payload: dict[str, Any] = field(default_factory=dict)
    reply_to: str = ""  # provider id of the message this answers
    target_id: str = ""  # provider id of the message edited, revoked or reacted to
    group_id: str = ""


@dataclass(frozen=True)
class EchoMessage(Inbound):
    """A person of the company wrote from the phone app (coexistence). `kind` is what it holds."""

    provider_id: str
    kind: Kind
    to: Sender
    text: str | None = None
    media: MediaRef | None = None
    payload: dict[str, Any] = field(default_factory=dict)
    target_id: str = ""  # provider id of the message edited or revoked
    reply_to: str = ""


@dataclass(frozen=True)
class StatusUpdate(Inbound):
    """How far a message of ours has come: `status` is sent, delivered, read, played or failed."""

    provider_id: str
    status: str
    recipient: Sender
    callback_data: str = ""  # our own id, given back by the provider
    error_code: str = ""
    error_detail: str = ""
    pricing: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class IdentityChange(Inbound):
    """`old` and `new` are addresses of one person: evidence in one payload."""

    provider_id: str  # "" when the payload has none
    old: Sender
    new: tuple[Address, ...]
    body: str = ""


@dataclass(frozen=True)
class MarketingPreference(Inbound):
    sender: Sender
    opted_out: bool
    detail: str = ""


@dataclass(frozen=True)
class AccountNotice(Inbound):
    """Trouble or news of the account, belonging to no conversation (errors, template status …).

    owner, number: the business account and the number shown, where the notice says so: such notices
        often name no number that could be a channel's.
    trouble: what the notice says is wrong, in the words of SendError.reason; "" when nothing is.
    topic: what tells troubles of one kind apart. is_over: the notice takes an earlier one back.
    """

    field_name: str
    code: str = ""
    detail: str = ""
    is_error: bool = False
    owner: str = ""
    number: str = ""
    trouble: str = ""
    topic: str = ""
    is_over: bool = False


@dataclass(frozen=True)
class Unusable(Inbound):
    """An item without what is needed to handle it (no sender, no id): kept for a person to look at.

    `is_quarantined` False means nothing is worth keeping (an empty entry, an unknown status)."""

    reason: str
    is_quarantined: bool = True
