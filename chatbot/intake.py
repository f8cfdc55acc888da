"""The parts of a body around the customer's messages: where an item belongs, what of it is stored,
and the items that are no message of a customer (statuses, echoes, changed identities, preferences,
notices)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from chatbot import failures, incidents_watch
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
    TemplateNews,
    Unusable,
)
from chatbot.file_names import cut
from chatbot.history import HISTORY_KINDS, apply_to, catch_up, target_of
from chatbot.labels import preview_label
from chatbot.media import ask_for
from chatbot.message_templates import apply_news
from chatbot.models import (
    Author,
    Direction,
    FailedEvent,
    FailedEventState,
    Media,
    MessageLog,
    MessageStatus,
)
from chatbot.statuses import apply_early, apply_status
from leads.models import LeadSource, Scheme
from leads.phones import canonical_phone
from leads.services import (
    known_lead,
    learn_addresses,
    link_identities,
    opt_in,
    opt_out,
    preferred_of,
    resolve_lead,
    tell_of_conflict,
)
from sessions_app.models import Channel, Owner, Session
from sessions_app.services import (
    lock_live_sessions_of,
    lock_session,
    note_outbound,
    open_session,
)
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


def learn_account(channel: Channel, item: Inbound) -> None:
    """The first body that names the channel's number also says which account owns it."""
    if channel.account_id or item.account is None or item.account != channel.external_id:
        return
    business = transport_for(channel).business_of(item)
    if business and Channel.objects.filter(pk=channel.pk, account_id="").update(
        account_id=business
    ):
        channel.account_id = business
        logger.info("channel %s belongs to account %s", channel.slug, business)


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


def keep_media(row: MessageLog, media: MediaRef) -> None:
    """The file of a message, still to be fetched by a worker."""
    kept = Media.objects.create(
        message=row,
        provider_id=media.provider_id[:255],
        url=media.url[:2000],
        mime_type=media.mime_type[:120],
        filename=cut(media.filename, 300),
        sha256=media.sha256[:64],
        size=media.size,
    )
    ask_for(kept)


def preview_of(item: InboundMessage | EchoMessage) -> str:
    """One line for lists: what was said, else what kind of thing it was."""
    return item.text or preview_label(item.kind.value)


def own_phone(item: InboundMessage) -> list[Address]:
    """The sender's own number, when a shared card gave it."""
    digits = item.payload.get("own_phone")
    if not isinstance(digits, str) or not digits:
        return []
    return [Address(Scheme.PHONE.value, canonical_phone(digits), digits)]


def is_too_big(item: InboundMessage) -> bool:
    """The provider did not deliver a file because of its size."""
    return names_too_big(item.payload)


def names_too_big(payload: dict[str, Any]) -> bool:
    errors = payload.get("errors")
    found = errors if isinstance(errors, list) else []
    return MEDIA_TOO_BIG in [str(one.get("code")) for one in found if isinstance(one, dict)]


def keep_ignored(item: Inbound, channel: Channel, reason: str) -> str:
    """Kept for whoever asks, but nothing to do."""
    failures.keep_item(item, channel=channel, error=reason, state=FailedEventState.IGNORED)
    return "ignored"


# --- Everything but messages -------------------------------------------------------------------


def handle(  # noqa: PLR0911  # one a kind
    channel: Channel, item: Inbound, *, now: datetime
) -> str:
    """Apply an item that is no message of a customer; returns the field of the Receipt it counts
    under."""
    match item:
        case StatusUpdate():
            return _receive_status(channel, item, now=now)
        case EchoMessage():
            outcome = _receive_echo(channel, item, now=now)
            if outcome == "stored":
                apply_early(channel, item.provider_id, now=now)
            return outcome
        case IdentityChange():
            return _change_identity(channel, item, now=now)
        case MarketingPreference():
            return _set_preference(channel, item, now=now)
        case TemplateNews():
            return "stored" if apply_news(channel, item, now=now) else "ignored"
        case AccountNotice():
            return _notice(channel, item, now=now)
        case Unusable():
            return _unusable(channel, item)
    raise TypeError(type(item).__name__)


def _receive_status(channel: Channel, item: StatusUpdate, *, now: datetime) -> str:
    """Statuses also name people: who hides the number later is known by the user id kept here.
    Looked at once a message."""
    if not apply_status(channel, item, now=now):
        return "ignored"
    if item.status == MessageStatus.DELIVERED:
        learn_addresses(scoped(item.recipient.addresses, channel), at=now)
    return "stored"


def _receive_echo(channel: Channel, item: EchoMessage, *, now: datetime) -> str:
    """Somebody wrote on the company's phone: it stands in the history, and the bot is silent."""
    if not item.to.addresses:
        return keep_ignored(item, channel, "echo without a recipient")
    if item.kind not in HISTORY_KINDS:
        return _add_echo(channel, item, at=min(item.at or now, now), now=now)
    if _change_by_echo(channel, item, at=min(item.at or now, now)):
        return "stored"
    if item.kind != Kind.EDIT:
        return keep_ignored(item, channel, "echo about a message that we do not have")
    # The first that we hear of the message; should it itself come later, it is a duplicate.
    kind = Kind(item.payload.get("kind", Kind.UNSUPPORTED))
    message = replace(item, kind=kind, provider_id=item.target_id, target_id="")
    return _add_echo(channel, message, at=min(item.at or now, now), now=now, is_edit=True)


@transaction.atomic
def _change_by_echo(channel: Channel, item: EchoMessage, *, at: datetime) -> bool:
    """An edit, revoke or reaction on the phone changes its message; False if we do not have it."""
    found = target_of(channel, item)
    if found is None:
        return False
    lock_session(found.session_id)
    found.refresh_from_db()
    apply_to(found, item, at=at)
    return True


@transaction.atomic
def _add_echo(
    channel: Channel, item: EchoMessage, *, at: datetime, now: datetime, is_edit: bool = False
) -> str:
    addresses = scoped(item.to.addresses, channel)
    lock_live_sessions_of(addresses, channel_id=channel.pk)  # before the lead is read
    resolved = resolve_lead(addresses=addresses, name=item.to.name, source=LeadSource.MANUAL, at=at)
    session = open_session(lead=resolved.lead, channel=channel, identity=resolved.identity, at=at)
    if _is_ours(session, item):
        return "duplicates"
    row = MessageLog.objects.create(
        channel=channel,
        session=session,
        direction=Direction.OUTBOUND,
        author=Author.ATTENDANT,
        identity=resolved.identity,
        kind=item.kind.value,
        text=item.text or "",
        payload={**item.payload, "from_phone": True},
        status=MessageStatus.SENT,
        provider_id=item.provider_id,
        provider_at=at,
        reply_to=item.reply_to,
        sent_at=at,
        edited_at=at if is_edit else None,
        epoch=session.epoch,
        created_at=now,
    )
    if item.media is not None:
        keep_media(row, item.media)
    changed = catch_up(session, row)
    if not _was_given_back_since(session, at):
        take_over_from_phone(session, at=now)
    changed += note_outbound(session, at=now, preview=preview_of(item), by_person=True)
    session.save(update_fields=changed)
    return "stored"


def _is_ours(session: Session, item: EchoMessage) -> bool:
    """Sent from here, or an echo that came before. Under the session lock: nobody inserts it
    meanwhile. The answer to our own call may still be on its way: then its id is told here."""
    known = MessageLog.objects.filter(
        channel=session.channel_id, provider_id=item.provider_id, direction=Direction.OUTBOUND
    )
    if known.exists():
        return True
    going = MessageLog.objects.filter(
        session=session, status=MessageStatus.SENDING, provider_id="", text=item.text or ""
    )
    row = going.order_by("id").first()
    if row is None or item.kind != Kind.TEXT:
        return False
    return going.filter(pk=row.pk).update(provider_id=item.provider_id) == 1


def _was_given_back_since(session: Session, at: datetime) -> bool:
    """The team has returned the conversation to the bot after this was written: an echo that comes
    hours late does not take it away again."""
    return session.owner == Owner.BOT and session.epoch > 0 and at < session.owner_since


@transaction.atomic
def _change_identity(channel: Channel, item: IdentityChange, *, now: datetime) -> str:
    """Old and new addresses are one person: the old ones stay as aliases, answers go to the new
    one, and the conversation says so. Nobody is greeted, and no lead is made, for a number that we
    never heard of."""
    at = min(item.at or now, now)
    old, new = scoped(item.old.addresses, channel), scoped(item.new, channel)
    sessions = lock_live_sessions_of([*old, *new], channel_id=channel.pk)
    lead = known_lead(old) or known_lead(new)
    if lead is None:
        return keep_ignored(item, channel, "changed address of somebody whom we do not know")
    link_identities(lead, [*old, *new], at=at)
    tell_of_conflict(lead, new)
    for session in sessions:
        if session.lead_id == lead.pk:
            _show_identity_change(session, item, new, at=at, now=now)
    return "stored"


def _show_identity_change(
    session: Session,
    item: IdentityChange,
    new: Sequence[ScopedAddress],
    *,
    at: datetime,
    now: datetime,
) -> None:
    """In the conversation, once; what is sent from now on goes to the new address."""
    provider_id = item.provider_id or f"user_id_update.{new[0].address}"[:255]
    known = MessageLog.objects.filter(channel=session.channel_id, direction=Direction.INBOUND)
    if known.filter(provider_id=provider_id).exists():
        return
    MessageLog.objects.create(
        channel_id=session.channel_id,
        session=session,
        direction=Direction.INBOUND,
        author=Author.CUSTOMER,
        identity=session.identity,
        kind=Kind.SYSTEM.value,
        payload={
            "system_type": "identity_change",
            "body": item.body,
            "old": [[one.scheme, one.address] for one in item.old.addresses],
            "new": [[one.scheme, one.address] for one in item.new],
        },
        status=MessageStatus.RECEIVED,
        provider_id=provider_id,
        provider_at=at,
        epoch=session.epoch,
        created_at=now,
    )
    answer_at = preferred_of(session.lead, new)
    if answer_at is not None and session.identity_id != answer_at.pk:
        session.identity = answer_at
        session.save(update_fields=["identity"])


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


def _notice(channel: Channel, item: AccountNotice, *, now: datetime) -> str:
    """Trouble of the account belongs to no conversation: kept for the admin, who is told."""
    incidents_watch.note_notice(channel, item, now=now)
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
