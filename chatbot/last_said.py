"""The last message of each of several conversations, as a row of a list shows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import OuterRef, Subquery
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from chatbot.channels.inbound import Kind
from chatbot.labels import preview_label
from chatbot.models import Author, MessageLog, MessageStatus
from sessions_app.models import Session
from users.models import User

LENGTH = 160  # characters shown of a text

# What says something about another message, or about nothing, is not what was said last.
UNSAID = (Kind.REACTION, Kind.REACTION_REMOVED, Kind.EDIT, Kind.REVOKE, Kind.SYSTEM)

KIND_ICONS: dict[str, str] = {
    Kind.IMAGE: "image",
    Kind.VIDEO: "video",
    Kind.AUDIO: "play",
    Kind.VOICE: "play",
    Kind.DOCUMENT: "clip",
    Kind.LOCATION: "pin",
    Kind.CONTACTS: "contact",
}
ARRIVED = (MessageStatus.DELIVERED, MessageStatus.READ, MessageStatus.PLAYED)


@dataclass(frozen=True)
class Said:
    """`by` is empty for the customer; `label` is the icon in words, where it says more than the
    text does."""

    text: str
    by: str = ""
    icon: str = ""
    label: str = ""
    is_failed: bool = False


def last_said(session_ids: Iterable[int], *, reader: User) -> dict[int, Said]:
    """By session, what was said last; one statement that reads one index entry of each.

    The sessions are those of rows that `reader` may see.
    """
    said = MessageLog.objects.filter(session=OuterRef("pk")).exclude(kind__in=UNSAID)
    said = said.exclude(status=MessageStatus.SUPERSEDED)
    last = Session.objects.filter(pk__in=set(session_ids)).values(
        last=Subquery(said.order_by("-id").values("pk")[:1])
    )
    rows = MessageLog.objects.filter(pk__in=last).select_related("author_user")
    shown = rows.only(
        "session_id",
        "author",
        "kind",
        "text",
        "status",
        "author_user__username",
        "author_user__first_name",
        "author_user__last_name",
    )
    return {row.session_id: _said(row, reader) for row in shown}


def _said(row: MessageLog, reader: User) -> Said:
    text = Truncator(row.text or preview_label(row.kind)).chars(LENGTH)
    if row.author == Author.CUSTOMER:
        return Said(text, icon=KIND_ICONS.get(row.kind, ""))
    icon, label = _delivery(row)
    return Said(text, _by(row, reader), icon, label, row.status == MessageStatus.FAILED)


def _delivery(row: MessageLog) -> tuple[str, str]:
    status = MessageStatus(row.status)
    label = str(status.label)
    if status == MessageStatus.FAILED:
        return "erro", label
    if row.author == Author.BOT:
        return "bot", ""
    if status in ARRIVED:
        return "check2", label
    return ("check" if status == MessageStatus.SENT else "clock"), label


def _by(row: MessageLog, reader: User) -> str:
    if row.author == Author.BOT:
        return _("Bot")
    if row.author_user_id == reader.pk:
        return _("You")
    if row.author_user is None:
        return _("Team")
    return row.author_user.first_name or str(row.author_user)
