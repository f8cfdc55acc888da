"""The inbound ledger: which failed events match, and in words what each is, whose, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from typing import Any

from django.db import models, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot.cleaning import clean_text
from chatbot.labels import KIND_LABELS
from chatbot.models import FailedEvent, FailedEventState, MessageStatus
from chatbot.reprocessing import add_to_history
from users.digits import whole
from users.errors import DomainError

NO_CHANNEL = "none"
NOTICE, UNUSABLE = "AccountNotice", "Unusable"
TAIL = 4  # of an address as much is shown in lists
HIDDEN_FIELDS = {"raw", "addresses"}


class Part(models.TextChoices):
    """What failed of what came in."""

    BODY = "body", gettext_lazy("the whole body")
    ITEM = "item", gettext_lazy("one item")
    STEP = "step", gettext_lazy("the bot's step")


TYPE_LABELS: dict[str, str | Promise] = {
    "InboundMessage": gettext_lazy("message of a customer"),
    "EchoMessage": gettext_lazy("message from the phone"),
    "StatusUpdate": gettext_lazy("delivery status"),
    "IdentityChange": gettext_lazy("changed number or user id"),
    "MarketingPreference": gettext_lazy("marketing preference"),
    NOTICE: gettext_lazy("notice of the provider"),
    UNUSABLE: gettext_lazy("item that was not understood"),
}
FIELD_LABELS: dict[str, str | Promise] = {
    "account": gettext_lazy("number it came to"),
    "at": gettext_lazy("time of the provider"),
    "provider_id": gettext_lazy("provider id"),
    "kind": gettext_lazy("kind"),
    "text": gettext_lazy("text"),
    "choice_id": gettext_lazy("option chosen"),
    "media": gettext_lazy("file"),
    "payload": gettext_lazy("payload"),
    "reply_to": gettext_lazy("answers"),
    "target_id": gettext_lazy("is about the message"),
    "group_id": gettext_lazy("group"),
    "sender": gettext_lazy("sender"),
    "to": gettext_lazy("recipient"),
    "recipient": gettext_lazy("recipient"),
    "old": gettext_lazy("before"),
    "new": gettext_lazy("now"),
    "status": gettext_lazy("status"),
    "callback_data": gettext_lazy("our own id"),
    "error_code": gettext_lazy("error code"),
    "error_detail": gettext_lazy("error detail"),
    "pricing": gettext_lazy("pricing"),
    "body": gettext_lazy("text"),
    "opted_out": gettext_lazy("unsubscribed"),
    "detail": gettext_lazy("detail"),
    "field_name": gettext_lazy("subject"),
    "code": gettext_lazy("code"),
    "is_error": gettext_lazy("is an error"),
    "reason": gettext_lazy("reason"),
    "is_quarantined": gettext_lazy("kept for a person"),
}
WHAT_LABELS: dict[str, str | Promise] = {
    **KIND_LABELS,
    **{status.value: status.label for status in MessageStatus},
    "errors": gettext_lazy("trouble of the account"),
}
# Why, as the program stored it. What is not here is shown as it stands.
REASONS: dict[str, Promise] = {
    "group message": gettext_lazy("It was sent in a group."),
    "echo without a recipient": gettext_lazy("The message from the phone names no recipient."),
    "identity change without addresses": gettext_lazy("The change names no address."),
    "changed address of somebody whom we do not know": gettext_lazy(
        "Somebody whom nobody here knows has another number or id."
    ),
    "preference without a sender": gettext_lazy("The preference names no sender."),
    "message without sender": gettext_lazy("The message names no sender."),
    "message without id": gettext_lazy("The message has no id."),
    "status without id": gettext_lazy("The status has no id."),
    "echo without id, without receiver or in a group": gettext_lazy(
        "The message from the phone has no id or no recipient, or belongs to a group."
    ),
    "unknown preference or nobody's": gettext_lazy("The preference is unknown, or nobody's."),
    "user id update without old or new": gettext_lazy("The change lacks the old or the new id."),
    "entry is not an object": gettext_lazy("A part of the body has an unknown form."),
    "changes is not a list": gettext_lazy("A part of the body has an unknown form."),
    "change has no value": gettext_lazy("A part of the body is empty."),
}
DID_LABELS: dict[str, Promise] = {
    "processed": gettext_lazy("processed again"),
    "ignored": gettext_lazy("ignored"),
    "reopened": gettext_lazy("taken up again"),
}
_NO_CHANNEL_FOR = re.compile(r"no channel for the number (.+)", re.DOTALL)
_STEP_FAILED = re.compile(r"step failed: (.+)", re.DOTALL)
_MALFORMED = re.compile(r"malformed: (.+)", re.DOTALL)
_CLASS_NAME = re.compile(r"[A-Z][A-Za-z]+")


class CannotSettle(DomainError):
    """Somebody has settled the event meanwhile."""

    code = "cannot_settle"


# --- Which ------------------------------------------------------------------------------------


def matching(wanted: Mapping[str, str]) -> QuerySet[FailedEvent]:
    """The events that these filters of the list leave; what cannot be read leaves none.

    For admins alone: failed events have no narrower rule of who may see them.
    """
    events = FailedEvent.objects.all()
    for name, value in filters_in(wanted).items():
        events = narrowed(events, name, value)
    return events


def narrowed(events: QuerySet[FailedEvent], name: str, value: str) -> QuerySet[FailedEvent]:
    """What one filter leaves. No stored text holds a NUL, and PostgreSQL refuses to look for it."""
    return events.none() if "\x00" in value else FILTERS[name](events, value)


def processable(events: QuerySet[FailedEvent]) -> QuerySet[FailedEvent]:
    """Those that a second try can settle: a notice is only read."""
    is_notice = Q(item__type=NOTICE)
    waiting = events.filter(state=FailedEventState.NEW)
    return waiting.filter(Q(item__type__isnull=True) | ~is_notice)  # a body has no item


def filters_in(query: Mapping[str, str]) -> dict[str, str]:
    """The filters that the address of a list carries."""
    return {name: query[name] for name in FILTERS if query.get(name)}


def _in_state(events: QuerySet[FailedEvent], value: str) -> QuerySet[FailedEvent]:
    return events.filter(state=value)


def _on_channel(events: QuerySet[FailedEvent], value: str) -> QuerySet[FailedEvent]:
    if value == NO_CHANNEL:
        return events.filter(channel=None)
    key = whole(value)
    return events.none() if key is None else events.filter(channel=key)


def _of_part(events: QuerySet[FailedEvent], value: str) -> QuerySet[FailedEvent]:
    match value:
        case Part.STEP:
            return events.exclude(message=None)
        case Part.BODY:
            return events.filter(message=None).exclude(body=None)
        case Part.ITEM:
            return events.filter(message=None, body=None)
    return events.none()


def _of_type(events: QuerySet[FailedEvent], value: str) -> QuerySet[FailedEvent]:
    return events.filter(item__type=value)


def _since(events: QuerySet[FailedEvent], value: str) -> QuerySet[FailedEvent]:
    try:
        day = date.fromisoformat(value)
    except ValueError:
        return events.none()
    return events.filter(created_at__gte=timezone.make_aware(datetime.combine(day, time.min)))


def search(events: QuerySet[FailedEvent], words: str) -> QuerySet[FailedEvent]:
    """Each word in the error, the outcome, the item (texts, ids, numbers) or the lead's name."""
    for word in words.split():
        found = (
            Q(error__icontains=word)
            | Q(outcome__icontains=word)
            | Q(item__icontains=word)
            | Q(message__session__lead__name__icontains=word)
        )
        escaped = json.dumps(word)[1:-1]  # how SQLite keeps letters with accents
        if escaped != word:
            found |= Q(item__icontains=escaped)
        events = events.filter(found)
    return events


FILTERS: dict[str, Callable[[QuerySet[FailedEvent], str], QuerySet[FailedEvent]]] = {
    "state__exact": _in_state,
    "channel": _on_channel,
    "part": _of_part,
    "type": _of_type,
    "since": _since,
    "q": search,
}


# --- In words ----------------------------------------------------------------------------------


def part_of(event: FailedEvent) -> Part:
    if event.message_id is not None:
        return Part.STEP
    return Part.ITEM if event.item else Part.BODY


def item_in(event: FailedEvent) -> dict[str, Any]:
    """The stored item, whatever version of the program wrote it."""
    item = event.item.get("item")
    return item if isinstance(item, dict) else {}


def what(event: FailedEvent) -> str:
    """What it is: the body, or the type of the item and what it holds."""
    if not event.item:
        return _("body that could not be read")
    name = str(event.item.get("type") or _("unknown"))
    label = str(TYPE_LABELS.get(name, name))
    item = item_in(event)
    kind = item.get("kind") or item.get("status") or item.get("field_name") or ""
    return f"{label}: {WHAT_LABELS.get(kind, kind)}" if isinstance(kind, str) and kind else label


def who(event: FailedEvent) -> str:
    """Whose it is, so that one can tell people apart without reading their numbers."""
    for address in _addresses(_person_in(item_in(event))):
        return f"…{address[-TAIL:]}"
    return "–"


def why(event: FailedEvent) -> str:
    """The reason as a sentence."""
    return in_words(event.error)


def in_words(error: str) -> str:
    if known := REASONS.get(error):
        return str(known)
    if found := _NO_CHANNEL_FOR.fullmatch(error):
        return _("There is no channel for the number %(number)s.") % {"number": found[1]}
    if found := _STEP_FAILED.fullmatch(error):
        return _("The bot's step failed (%(error)s).") % {"error": found[1]}
    if found := _MALFORMED.fullmatch(error):
        return _("The body cannot be read (%(error)s).") % {"error": found[1]}
    if _CLASS_NAME.fullmatch(error):
        return _("The program failed (%(error)s).") % {"error": error}
    return error


def fields_of(event: FailedEvent) -> Iterator[tuple[str, str]]:
    """What the item holds, as (label, text); empty parts are left out."""
    for name, value in item_in(event).items():
        text = "" if name in HIDDEN_FIELDS else _in_words(name, value)
        if text:
            yield str(FIELD_LABELS.get(name, name)), text


def unknown_number(event: FailedEvent) -> dict[str, str] | None:
    """The number that no channel has: its id, and how the provider shows it; None for others."""
    if event.channel_id is not None or event.state != FailedEventState.NEW:
        return None
    account = item_in(event).get("account")
    if not isinstance(account, str) or not account:
        return None
    return {"external_id": account, "display_number": _display_number(item_in(event).get("raw"))}


def history_of(event: FailedEvent) -> list[dict[str, Any]]:
    """What was done with it, newest first."""
    lines = [line for line in event.history if isinstance(line, dict)]
    return [
        {
            "at": datetime.fromisoformat(line["at"]),
            "did": DID_LABELS.get(line["did"], line["did"]),
            "outcome": in_words(line["outcome"]),
            "by": line["by"],
        }
        for line in reversed(lines)
    ]


def _in_words(name: str, value: Any) -> str:
    if value in (None, "", [], {}):
        return ""
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(_address(one) for one in value)
    if isinstance(value, dict):
        return _person(value) if "addresses" in value else _pairs(value)
    if name == "at":
        return _as_time(str(value))
    return str(KIND_LABELS.get(value, value)) if name == "kind" else str(value)


def _pairs(value: dict[str, Any]) -> str:
    return ", ".join(f"{key}: {one}" for key, one in value.items() if one not in ("", None))


def _as_time(value: str) -> str:
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return date_format(timezone.localtime(moment), "d/m/Y H:i:s")


def _person(person: dict[str, Any]) -> str:
    names = [str(person.get(name) or "") for name in ("name", "username")]
    addresses = [_address(one) for one in person.get("addresses") or ()]
    return ", ".join(filter(None, [*names, *addresses]))


def _address(one: Any) -> str:
    return str(one.get("address", one)) if isinstance(one, dict) else str(one)


def _person_in(item: Mapping[str, Any]) -> Mapping[str, Any]:
    for name in ("sender", "to", "recipient", "old"):
        if isinstance(item.get(name), dict):
            person: Mapping[str, Any] = item[name]
            return person
    return {}


def _addresses(person: Mapping[str, Any]) -> list[str]:
    return [_address(one) for one in person.get("addresses") or ()]


def _display_number(raw: Any) -> str:
    """As the body says it; a body may hold anything."""
    try:
        number = raw["entry"][0]["changes"][0]["value"]["metadata"]["display_phone_number"]
    except (KeyError, IndexError, TypeError):
        return ""
    return str(number)[:32]


# --- Settled by a person -----------------------------------------------------------------------


def ignore(event: FailedEvent, *, reason: str, by: str, now: datetime) -> FailedEvent:
    """Nobody shall look at it any more, for this reason. Raises CannotSettle."""
    return _settle(
        event, FailedEventState.NEW, FailedEventState.IGNORED, "ignored", reason, by=by, now=now
    )


def take_up(event: FailedEvent, *, by: str, now: datetime) -> FailedEvent:
    """An ignored event waits again. Raises CannotSettle."""
    return _settle(
        event, FailedEventState.IGNORED, FailedEventState.NEW, "reopened", "", by=by, now=now
    )


@transaction.atomic
def _settle(  # noqa: PLR0913  # keyword-only where it could be mistaken
    event: FailedEvent,
    before: FailedEventState,
    after: FailedEventState,
    did: str,
    reason: str,
    *,
    by: str,
    now: datetime,
) -> FailedEvent:
    rows = FailedEvent.objects.select_for_update(no_key=True, of=("self",))
    row = rows.defer("body", "item").get(pk=event.pk)
    if row.state != before:
        raise CannotSettle(_("Somebody has settled it meanwhile. Look at it again."))
    reason = clean_text(reason)[:300]
    row.state, row.outcome = after, reason
    add_to_history(row, did, reason, by=by, now=now)
    row.save(update_fields=["state", "outcome", "history", "updated_at"])
    return row
