"""The parts of a body around the customer's messages: where an item belongs, what of it is stored,
and the items that are no message of a customer (statuses, echoes, changed identities, preferences,
notices)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chatbot import failures
from chatbot.channels import transport_for
from chatbot.channels.inbound import (
    AccountNotice,
    Address,
    EchoMessage,
    IdentityChange,
    Inbound,
    InboundMessage,
    Kind,
    MarketingPreference,
    MediaRef,
    Sender,
    StatusUpdate,
    Unusable,
)
from chatbot.models import (
    Author,
    Direction,
    FailedEvent,
    FailedEventState,
    Media,
    MessageLog,
    MessageStatus,
)
from chatbot.statuses import apply_status
from leads.models import LeadSource, Scheme
from leads.phones import canonical_phone
from leads.services import link_identities, opt_in, opt_out, resolve_lead
from sessions_app.models import Channel
from sessions_app.services import note_outbound, open_session
from tickets.services import take_over_from_phone

logger = logging.getLogger(__name__)

MEDIA_TOO_BIG = "131052"


# --- Where it belongs --------------------------------------------------------------------------


@dataclass(frozen=True)
class ScopedAddress:
    """A channel's address with the scope it is unique in (see leads.models.Identity)."""

    scheme: str
    scope: str
    address: str
    send_to: str


def scoped(addresses: Sequence[Address], channel: Channel) -> list[ScopedAddress]:
    """A phone is the same person everywhere; a user id only within the channel's portfolio."""
    return [
        ScopedAddress(
            one.scheme,
            "" if one.scheme == Scheme.PHONE else channel.identity_scope,
            one.address,
            one.send_to,
        )
        for one in addresses
    ]


class Router:
    """Finds the channel of each item of one body: one body may hold several business numbers."""

    def __init__(self, channel: Channel) -> None:
        self._default = channel
        self._known: dict[str, Channel | None] = {channel.external_id: channel}

    def channel_of(self, item: Inbound) -> Channel | None:
        """The channel of the number that the item came to; None for a number that we do not
        know."""
        if item.account is None or self._default.is_simulator:
            return self._default
        if item.account not in self._known:
            rows = Channel.objects.filter(kind=self._default.kind, external_id=item.account)
            self._known[item.account] = rows.first()
        return self._known[item.account]


def contact_of(item: Inbound) -> set[str]:
    """Whom the item is about, as comparable texts; empty for an item about nobody."""
    person = getattr(item, "sender", None) or getattr(item, "to", None)
    if isinstance(item, IdentityChange):
        person = item.old
    if not isinstance(person, Sender):
        return set()
    return {f"{one.scheme}:{one.address}" for one in person.addresses}


# --- What is stored ----------------------------------------------------------------------------


def stored_payload(item: InboundMessage) -> dict[str, Any]:
    """The neutral parts of a message beside its text. What we do not understand is kept raw."""
    payload = dict(item.payload)
    if item.choice_id:
        payload["choice_id"] = item.choice_id
    if item.target_id:
        payload["target_id"] = item.target_id
    if item.media is not None:
        payload["media"] = {name: one for name, one in asdict(item.media).items() if one}
    if item.kind in {Kind.UNSUPPORTED, Kind.SYSTEM}:
        payload["raw"] = item.raw
    return payload


def keep_media(row: MessageLog, media: MediaRef) -> Media:
    """The file of a message, still to be fetched."""
    return Media.objects.create(
        message=row,
        provider_id=media.provider_id[:255],
        url=media.url[:2000],
        mime_type=media.mime_type[:120],
        filename=media.filename[:300],
        sha256=media.sha256[:64],
        size=media.size,
    )


def preview_of(item: InboundMessage) -> str:
    """One line for lists: what was said, else what kind of thing it was."""
    return item.text or str(_LABELS.get(item.kind, item.kind.value))


def own_phone(item: InboundMessage) -> list[Address]:
    """The sender's own number, when a shared card gave it."""
    digits = item.payload.get("own_phone")
    if not isinstance(digits, str) or not digits:
        return []
    return [Address(Scheme.PHONE.value, canonical_phone(digits), digits)]


def is_too_big(item: InboundMessage) -> bool:
    """The provider did not deliver a file because of its size."""
    errors = item.payload.get("errors")
    codes = [str(one.get("code")) for one in errors if isinstance(one, dict)] if errors else []
    return MEDIA_TOO_BIG in codes


def keep_ignored(item: Inbound, channel: Channel, reason: str) -> str:
    """Kept for whoever asks, but nothing to do."""
    failures.keep_item(item, channel=channel, error=reason, state=FailedEventState.IGNORED)
    return "ignored"


# --- Everything but messages -------------------------------------------------------------------


def handle(channel: Channel, item: Inbound, *, now: datetime) -> str:
    """Apply an item that is no message of a customer; returns the field of the Receipt it counts
    under."""
    match item:
        case StatusUpdate():
            return "stored" if apply_status(channel, item, now=now) else "ignored"
        case EchoMessage():
            return _receive_echo(channel, item, now=now)
        case IdentityChange():
            return _change_identity(channel, item, now=now)
        case MarketingPreference():
            return _set_preference(channel, item, now=now)
        case AccountNotice():
            return _notice(channel, item)
        case Unusable():
            return _unusable(channel, item)
    raise TypeError(type(item).__name__)


@transaction.atomic
def _receive_echo(channel: Channel, item: EchoMessage, *, now: datetime) -> str:
    """A person answered on the company's phone: it stands in the history, and the bot is silent."""
    if not item.to.addresses:
        return keep_ignored(item, channel, "echo without a recipient")
    at = min(item.at or now, now)
    resolved = resolve_lead(
        addresses=scoped(item.to.addresses, channel),
        name=item.to.name,
        source=LeadSource.MANUAL,
        at=at,
    )
    session = open_session(lead=resolved.lead, channel=channel, identity=resolved.identity, at=at)
    sent = MessageLog.objects.filter(
        channel=channel, provider_id=item.provider_id, direction=Direction.OUTBOUND
    )
    if sent.exists():  # under the session lock: nobody inserts it meanwhile
        return "duplicates"
    text = item.text or ""
    row = MessageLog.objects.create(
        channel=channel,
        session=session,
        direction=Direction.OUTBOUND,
        author=Author.ATTENDANT,
        identity=resolved.identity,
        kind=item.kind.value,
        text=text,
        payload={**item.payload, "from_phone": True},
        status=MessageStatus.SENT,
        provider_id=item.provider_id,
        provider_at=at,
        sent_at=at,
        epoch=session.epoch,
        created_at=now,
    )
    if item.media is not None:
        keep_media(row, item.media)
    take_over_from_phone(session, at=now)
    changed = note_outbound(session, at=now, preview=text or item.kind.value, by_person=True)
    session.save(update_fields=changed)
    return "stored"


@transaction.atomic
def _change_identity(channel: Channel, item: IdentityChange, *, now: datetime) -> str:
    """Old and new addresses are one person. Nobody is greeted, and no lead is made, for a number
    that we never heard of."""
    if not item.old.addresses or not item.new:
        return keep_ignored(item, channel, "identity change without addresses")
    known = resolve_lead(
        addresses=scoped(item.old.addresses, channel),
        name=item.old.name,
        source=LeadSource.BOT,
        at=item.at or now,
    )
    link_identities(known.lead, scoped(item.new, channel), at=item.at or now)
    return "stored"


@transaction.atomic
def _set_preference(channel: Channel, item: MarketingPreference, *, now: datetime) -> str:
    if not item.sender.addresses:
        return keep_ignored(item, channel, "preference without a sender")
    at = item.at or now
    lead = resolve_lead(
        addresses=scoped(item.sender.addresses, channel),
        name=item.sender.name,
        source=LeadSource.BOT,
        at=at,
    ).lead
    change = opt_out if item.opted_out else opt_in
    change(lead, text=item.detail, origin=channel.slug, at=at)
    return "stored"


def _notice(channel: Channel, item: AccountNotice) -> str:
    """Trouble of the account belongs to no conversation: kept for the admin."""
    if not item.is_error:
        logger.info("channel %s: notice %s", channel.slug, item.field_name)
        return "ignored"
    logger.error("channel %s: account trouble %s", channel.slug, item.code)
    error = f"{item.field_name} {item.code}: {item.detail}"
    failures.keep_item(item, channel=channel, error=error)
    return "kept"


def _unusable(channel: Channel, item: Unusable) -> str:
    if not item.is_quarantined:
        logger.info("channel %s: %s", channel.slug, item.reason)
        return "ignored"
    failures.keep_item(item, channel=channel, error=item.reason)
    return "kept"


# --- For a second try --------------------------------------------------------------------------


def channel_named_by(event: FailedEvent) -> Channel | None:
    """The channel of the number that a stored item came to, if an admin has added it since."""
    item = failures.item_of(event)
    if item is None or item.account is None:
        return None
    return Channel.objects.filter(external_id=item.account).first()


def parse_again(channel: Channel, body: bytes) -> Sequence[Inbound]:
    """A stored body, parsed by the transport of today. Raises Malformed as before."""
    return transport_for(channel).parse(HttpRequest(), body)


_LABELS = {
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
