"""One message made ready for a page: its text, options, media, quote and delivery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol
from zlib import crc32

from django.conf import settings
from django.db.models import Q
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot.channels.explanation import DECIDED_HERE
from chatbot.channels.inbound import Kind
from chatbot.delivery import may_go_again
from chatbot.file_names import safe_name
from chatbot.file_types import SHOWN_TYPES
from chatbot.intake import names_too_big
from chatbot.labels import DISCARDED, PREVIEW_LABELS, pacing_of, why_failed
from chatbot.media import error_code, may_fetch_again
from chatbot.models import Author, Direction, Media, MediaStatus, MessageLog, MessageStatus
from users import contact
from users.digits import whole

PREVIEW = 90  # characters of a quoted message

MEDIA_KINDS = {
    Kind.IMAGE,
    Kind.AUDIO,
    Kind.VOICE,
    Kind.VIDEO,
    Kind.DOCUMENT,
    Kind.STICKER,
}
REMARKS = {
    Kind.REACTION,
    Kind.REACTION_REMOVED,
    Kind.EDIT,
    Kind.REVOKE,
    Kind.SYSTEM,
}
CHOICES = {Kind.BUTTON_REPLY, Kind.LIST_REPLY}


@dataclass(frozen=True)
class Offer:
    """One option of a message with buttons or a list."""

    id: str
    title: str
    description: str = ""
    is_chosen: bool = False


@dataclass(frozen=True)
class Attachment:
    """A file of a message. `view` says how it is shown: picture, sticker, sound, video or document;
    `pk` is None when nothing of it is kept. `reason`: why there is no file, in words."""

    name: str
    view: str = "document"
    pk: int | None = None
    size: int | None = None
    type_label: str = ""
    is_stored: bool = False
    is_expected: bool = False
    is_blocked: bool = False
    has_thumbnail: bool = False
    reason: str = ""
    may_fetch_again: bool = False

    @property
    def poll_seconds(self) -> int:
        """A file that comes at once is asked about often, one that is tried later is not."""
        return 30 if self.reason else 3


@dataclass(frozen=True)
class Place:
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""

    @property
    def geo_url(self) -> str:
        return f"https://www.openstreetmap.org/?mlat={self.latitude}&mlon={self.longitude}#map=16/{self.latitude}/{self.longitude}"


@dataclass(frozen=True)
class Quote:
    pk: int
    by: str
    text: str
    author_id: int | None = None


@dataclass(frozen=True)
class Delivery:
    """How far a message of ours has come, as an icon and in words."""

    pk: int
    status: str
    icon: str
    label: str
    reason: str = ""
    detail: str = ""  # the provider's own words, for admins


@dataclass(frozen=True)
class Bubble:
    pk: int
    author: str  # customer, bot, attendant, system
    by: str
    kind: str
    text: str
    at: datetime
    day: date | None = None  # set on the first of a day
    new: int = 0  # set on the first of so many unread messages
    is_continued: bool = False
    offers: tuple[Offer, ...] = ()
    list_button: str = ""
    header: str = ""
    footer: str = ""
    chosen_from: str = ""  # buttons or list, when the customer tapped
    attachments: tuple[Attachment, ...] = ()
    place: Place | None = None
    contacts: tuple[str, ...] = ()
    quote: Quote | None = None
    reaction: str = ""
    delivery: Delivery | None = None
    is_remark: bool = False
    is_edited: bool = False
    is_revoked: bool = False
    may_go_again: bool = False  # it failed, and nobody has sent it once more or set it aside
    discarded_by: str = ""
    is_sent_again: bool = False
    may_be_quoted: bool = False
    author_id: int | None = None
    client_id: str = ""
    flow_log_id: int | None = None

    is_bubble = True

    @property
    def is_inbound(self) -> bool:
        return self.author == Author.CUSTOMER


def bubbles_of(
    rows: Sequence[MessageLog],
    known: Sequence[MessageLog] = (),
    later: Sequence[MessageLog] = (),
) -> Iterator[Bubble]:
    """What a page shows of these rows; `known` are the rows just before them, `later` those after,
    in which an option of theirs may have been chosen."""
    files = _files(rows)
    quoted = _quoted(rows, known)
    chosen = chosen_in([*known, *rows, *later])
    previous = known[-1] if known else None
    for row in rows:
        day = timezone.localdate(row.created_at)
        is_new_day = previous is None or timezone.localdate(previous.created_at) != day
        yield Bubble(
            pk=row.pk,
            author=row.author,
            by=_by(row),
            kind=row.kind,
            text=_text(row),
            at=row.created_at,
            day=day if is_new_day else None,
            is_continued=not is_new_day and _is_same_speaker(previous, row),
            offers=_offers(row, chosen.get(row.pk, "")),
            list_button=_word(row.payload, "list_button"),
            header=_word(row.payload, "header"),
            footer=_word(row.payload, "footer"),
            chosen_from={Kind.BUTTON_REPLY: "buttons", Kind.LIST_REPLY: "list"}.get(row.kind, ""),  # type: ignore[call-overload]  # a stored kind may be unknown here
            attachments=_attachments(row, files.get(row.pk, ())),
            place=_place(row.payload),
            contacts=_contacts(row.payload),
            quote=_quote(quoted.get(row.reply_to)) if row.reply_to else None,
            reaction=row.reaction,
            delivery=delivery_of(row) if row.direction == Direction.OUTBOUND else None,
            is_remark=is_remark(row),
            is_edited=row.edited_at is not None,
            is_revoked=row.revoked_at is not None,
            may_go_again=may_go_again(row),
            discarded_by=_word(_mapping(row.payload.get(DISCARDED)), "name"),
            is_sent_again="sent_again_as" in row.payload,
            may_be_quoted=bool(row.provider_id) and row.kind not in REMARKS,
            author_id=row.author_user_id,
            client_id=str(row.client_id or ""),
            flow_log_id=row.flow_log_id,
        )
        previous = row


def _files(rows: Sequence[MessageLog]) -> dict[int, list[Media]]:
    """By message: its own files, or the one that it names (sent once more, or by a flow)."""
    holders = {row.pk: row for row in rows if _media_kind(row) in MEDIA_KINDS}
    if not holders:
        return {}
    named = {pk: ref for pk, row in holders.items() if (ref := _media_ref(row)) is not None}
    wanted = Q(message__in=holders) | Q(pk__in=named.values())
    found: dict[int, list[Media]] = {}
    by_pk: dict[int, Media] = {}
    for media in Media.objects.filter(wanted).select_related("message").order_by("pk"):
        by_pk[media.pk] = media
        found.setdefault(media.message_id, []).append(media)
    for pk, ref in named.items():
        if pk not in found and ref in by_pk and _is_same_talk(by_pk[ref].message, holders[pk]):
            found[pk] = [by_pk[ref]]
    return found


def _is_same_talk(one: MessageLog, other: MessageLog) -> bool:
    """Whoever sees the one message may see the other."""
    return one.session_id == other.session_id


def _media_ref(row: MessageLog) -> int | None:
    return whole(row.payload.get("media_ref"))


def _media_kind(row: MessageLog) -> str:
    """An edit may hold a file, and says of what kind."""
    return _word(row.payload, "kind") if row.kind == Kind.EDIT else row.kind


def _quoted(rows: Sequence[MessageLog], known: Sequence[MessageLog]) -> dict[str, MessageLog]:
    """Messages that others answer, by the provider's id; looked up only when not at hand."""
    at_hand = {row.provider_id: row for row in (*known, *rows) if row.provider_id}
    missing = {row.reply_to for row in rows if row.reply_to} - at_hand.keys()
    if missing:
        channel = rows[0].channel_id
        found = MessageLog.objects.filter(channel=channel, provider_id__in=missing)
        at_hand.update({row.provider_id: row for row in found.select_related("author_user")})
    return at_hand


def chosen_in(rows: Sequence[MessageLog]) -> dict[int, str]:
    """Which option of which message was tapped: of the one answered, else of the last offer."""
    chosen: dict[int, str] = {}
    offers: dict[str, MessageLog] = {}
    last: MessageLog | None = None
    for row in rows:
        if row.payload.get("options"):
            last = offers[row.provider_id] = row
        elif row.kind in CHOICES:
            offer = offers.get(row.reply_to, last)
            if offer is not None:
                chosen[offer.pk] = _word(row.payload, "choice_id") or row.text
    return chosen


def _offers(row: MessageLog, chosen: str) -> tuple[Offer, ...]:
    return tuple(
        Offer(
            id=_word(one, "id"),
            title=_word(one, "title"),
            description=_word(one, "description"),
            is_chosen=bool(chosen) and chosen in {_word(one, "id"), _word(one, "title")},
        )
        for one in _mappings(row.payload.get("options"))
    )


def _attachments(row: MessageLog, files: Sequence[Media]) -> tuple[Attachment, ...]:
    if files:
        return tuple(attachment_of(row, file) for file in files)
    if row.kind not in MEDIA_KINDS:
        return ()
    name = safe_name(_word(row.payload, "filename"))
    is_kept_elsewhere = "media_ref" in row.payload or "media_link" in row.payload
    reason = "" if is_kept_elsewhere else _("no file kept")
    return (Attachment(name=name or media_label(row.kind), reason=reason),)


def attachment_of(row: MessageLog, file: Media) -> Attachment:
    """What a page shows of a file, by what its content is rather than by what it was sent as."""
    kind = _media_kind(row)
    is_stored = file.status == MediaStatus.STORED
    return Attachment(
        name=safe_name(file.filename) or media_label(kind),
        view=_view(kind, file.mime_type) if is_stored else "document",
        pk=file.pk,
        size=file.size,
        type_label=_type_label(file) if is_stored else "",
        is_stored=is_stored,
        is_expected=file.status == MediaStatus.PENDING and bool(file.url or file.provider_id),
        is_blocked=file.status == MediaStatus.BLOCKED,
        has_thumbnail=bool(file.thumbnail),
        reason="" if is_stored else _why_missing(file),
        may_fetch_again=may_fetch_again(file),
    )


def _view(kind: str, mime_type: str) -> str:
    """As a picture or a player only what a browser may show; a WebP that is no sticker is a
    picture."""
    if mime_type not in SHOWN_TYPES:
        return "document"
    if kind == Kind.DOCUMENT and not mime_type.startswith("image/"):
        return "document"
    if mime_type.startswith("image/"):
        return "sticker" if kind == Kind.STICKER else "picture"
    return "sound" if mime_type.startswith("audio/") else "video"


def _type_label(file: Media) -> str:
    """A few letters for the card of a document: by its content."""
    known = {
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "DOCX",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "XLSX",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PPTX",
        "application/msword": "DOC",
        "application/vnd.ms-excel": "XLS",
        "application/vnd.ms-powerpoint": "PPT",
        "application/vnd.microsoft.portable-executable": "EXE",
        "image/svg+xml": "SVG",
        "text/plain": "TXT",
    }
    short = file.mime_type.partition(";")[0].rpartition("/")[2].upper()
    return known.get(file.mime_type) or (short if short.isalnum() and len(short) <= 5 else "")  # noqa: PLR2004  # what fits on the card


def _why_missing(file: Media) -> str:
    """What happened to a file, and what to do, in words."""
    if not file.error:
        is_coming = file.status == MediaStatus.PENDING and bool(file.url or file.provider_id)
        return "" if is_coming else _("no file kept")
    limit = {"most": filesizeformat(settings.MEDIA_LARGEST_BYTES)}
    sentences = {
        "too_large": _("Larger than %(most)s: it was not kept. Ask for a smaller file.") % limit,
        "media_expired": _(
            "WhatsApp no longer has this file: it keeps files for seven days. "
            "Ask for it to be sent again."
        ),
        "wrong_hash": _("The file arrived damaged."),
        "empty": _("The file arrived empty."),
        "infected": _("Blocked: the virus scanner found something in this file."),
        "not_scanned": _("The virus scanner did not answer, so the file was not kept."),
        "storage": _("The file could not be stored."),
        "media_host": _("WhatsApp named an unknown host for this file. Tell an administrator."),
        "190": _("WhatsApp refused the access token of the channel. Tell an administrator."),
    }
    return sentences.get(error_code(file), _("WhatsApp did not hand out the file."))


def media_label(kind: str) -> str:
    return str(PREVIEW_LABELS.get(kind, _("File")))


def _place(payload: dict[str, Any]) -> Place | None:
    told = payload.get("location")
    place: dict[str, Any] = told if isinstance(told, dict) else payload
    try:
        latitude, longitude = float(place["latitude"]), float(place["longitude"])
    except (KeyError, TypeError, ValueError):
        return None
    return Place(latitude, longitude, _word(place, "name"), _word(place, "address"))


def _contacts(payload: dict[str, Any]) -> tuple[str, ...]:
    return tuple(filter(None, (_card(card) for card in _mappings(payload.get("contacts")))))


def _card(card: dict[str, Any]) -> str:
    name = card.get("name")
    shown = _word(name, "formatted_name") if isinstance(name, dict) else _word(card, "name")
    phones = [_word(one, "phone") for one in _mappings(card.get("phones"))]
    return " · ".join(filter(None, [shown, *phones]))


def _quote(row: MessageLog | None) -> Quote | None:
    if row is None:
        return None
    text = _text(row) or media_label(row.kind)
    shown = text if len(text) <= PREVIEW else f"{text[:PREVIEW]}…"
    return Quote(row.pk, _by(row), shown, row.author_user_id)


def _by(row: MessageLog) -> str:
    match row.author:
        case Author.CUSTOMER:
            return _("Customer")
        case Author.BOT:
            return _("Bot")
        case Author.ATTENDANT:
            return str(row.author_user) if row.author_user else _("Answered on the phone")
    return _("System")


def _text(row: MessageLog) -> str:
    """What the row says, or in words what it is when it has no text of its own."""
    match row.kind:
        case Kind.REACTION:
            return _("The customer reacted with %(emoji)s") % {"emoji": row.text or row.reaction}
        case Kind.EDIT:
            return _("The customer changed a message to: %(text)s") % {"text": row.text}
        case Kind.UNSUPPORTED if names_too_big(row.payload):
            return _(
                "The customer sent a file over 100 MB, which WhatsApp does not deliver. "
                "Ask for a smaller one."
            )
        case Kind.SYSTEM if row.payload.get("system_type") == "identity_change":
            return _of_identity_change(row.payload)
        case Kind.SYSTEM:
            return row.text or _word(row.payload, "body") or _without_text(row.kind)
    return row.text or _without_text(row.kind)


def _of_identity_change(payload: dict[str, Any]) -> str:
    phones = [
        [
            contact.shown_phone(f"+{address}")
            for scheme, address in payload.get(name, ())
            if scheme == "phone"
        ]
        for name in ("old", "new")
    ]
    if not phones[1]:
        return _("The customer has a new WhatsApp id. The conversation goes on with it.")
    about = {"old": phones[0][0] if phones[0] else "?", "new": phones[1][0]}
    return _("The customer changed their number from %(old)s to %(new)s.") % about


def _without_text(kind: str) -> str:
    return {
        Kind.REACTION_REMOVED.value: _("The customer took a reaction back"),
        Kind.REVOKE.value: _("The customer deleted a message"),
        Kind.SYSTEM.value: _("The customer opened the conversation"),
        Kind.UNSUPPORTED.value: _("A message of a kind that cannot be shown here"),
        Kind.ORDER.value: _("The customer sent an order"),
        Kind.FLOW_REPLY.value: _("The customer sent a form"),
    }.get(kind, "")


DELIVERY_ICONS = {
    MessageStatus.QUEUED: "clock",
    MessageStatus.SENDING: "clock",
    MessageStatus.SENT: "check",
    MessageStatus.DELIVERED: "check2",
    MessageStatus.READ: "check2",
    MessageStatus.PLAYED: "check2",
    MessageStatus.FAILED: "erro",
    MessageStatus.SUPERSEDED: "x",
}


def delivery_of(row: MessageLog) -> Delivery:
    """How far a message of ours has come; the row is annotated with its channel's kind."""
    status = MessageStatus(row.status)
    reason = pacing_of(row.payload) if status == MessageStatus.SENT else ""
    detail = ""
    if status == MessageStatus.FAILED:
        reason = why_failed(row, row.channel_kind)  # type: ignore[attr-defined]  # annotated
        is_known = row.error_code in DECIDED_HERE or row.error_detail in reason
        detail = "" if is_known else row.error_detail
    return Delivery(row.pk, row.status, DELIVERY_ICONS[status], str(status.label), reason, detail)


def _is_same_speaker(previous: MessageLog | None, row: MessageLog) -> bool:
    return (
        previous is not None
        and (previous.author, previous.author_user_id) == (row.author, row.author_user_id)
        and previous.kind not in REMARKS
    )


class Marked(Protocol):
    """A message as far as its mark goes."""

    @property
    def author(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def payload(self) -> dict[str, Any]: ...
    @property
    def reaction(self) -> str: ...
    @property
    def edited_at(self) -> datetime | None: ...
    @property
    def revoked_at(self) -> datetime | None: ...
    @property
    def error_code(self) -> str: ...


def is_remark(row: Marked) -> bool:
    """Is it a line between the bubbles, which has no delivery and does not change?"""
    return row.author == Author.SYSTEM or row.kind in REMARKS


def mark_of(row: Marked) -> str:
    """Changes with whatever a page that shows the message has to show anew: how far it has come
    (the part before the dash), and what has happened to it since."""
    status = _POSITIONS[row.status]
    later = (row.reaction, row.edited_at, row.revoked_at, row.error_code, pacing_of(row.payload))
    settled = ("sent_again_as" in row.payload, DISCARDED in row.payload)
    if not any((*later, *settled)):
        return str(status)
    return f"{status}-{crc32(repr((*later, *settled)).encode()) & 0xFFFF:x}"


_POSITIONS = {status: position for position, status in enumerate(MessageStatus.values)}


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _word(source: dict[str, Any], key: str) -> str:
    value = source.get(key)
    return value if isinstance(value, str) else ""
