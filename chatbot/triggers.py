"""Which flow a conversation starts with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from chatbot.engine.matching import normalise
from chatbot.models import Trigger, TriggerKind
from sessions_app.models import Channel

# Of two triggers with the same priority the more particular one wins.
PARTICULAR = (
    TriggerKind.TEMPLATE_BUTTON,
    TriggerKind.KEYWORD,
    TriggerKind.REFERRAL,
    TriggerKind.FIRST_CONTACT,
    TriggerKind.CATCH_ALL,
)


@dataclass(frozen=True)
class Occasion:
    """What a trigger may look at when a customer writes and no flow is running."""

    at: datetime
    text: str = ""
    choice_id: str = ""
    ad_id: str = ""
    is_first_contact: bool = False
    has_referral: bool = False


def find_trigger(channel: Channel, occasion: Occasion) -> Trigger | None:
    """The matching active trigger of a published flow with the highest priority; ties go to the
    more particular kind, then to the older row. One statement."""
    return next(matching(channel, occasion), None)


def matching(channel: Channel, occasion: Occasion) -> Iterator[Trigger]:
    """Every trigger that would do, the winner first. One statement."""
    rows = [row for row in _candidates(channel) if row.kind != TriggerKind.TICKET_CLOSED]
    rows.sort(key=lambda row: (-row.priority, PARTICULAR.index(TriggerKind(row.kind)), row.pk))
    return (row for row in rows if _matches(row, occasion))


def find_closing_trigger(channel: Channel, at: datetime) -> Trigger | None:
    """The trigger that a closed ticket fires, such as a satisfaction survey."""
    rows = (row for row in _candidates(channel) if row.kind == TriggerKind.TICKET_CLOSED)
    return next((row for row in rows if _is_in_schedule(row, at)), None)


def _candidates(channel: Channel) -> Iterable[Trigger]:
    return (
        Trigger.objects.filter(Q(channel=None) | Q(channel=channel), is_active=True)
        .filter(flow__is_active=True, flow__published__isnull=False)
        .select_related("flow", "calendar")
        .defer("flow__draft")
    )


def _matches(trigger: Trigger, occasion: Occasion) -> bool:
    return _is_in_schedule(trigger, occasion.at) and _is_about(trigger, occasion)


def _is_about(trigger: Trigger, occasion: Occasion) -> bool:
    words = [str(word) for word in trigger.keywords] if isinstance(trigger.keywords, list) else []
    match trigger.kind:
        case TriggerKind.CATCH_ALL:
            return True
        case TriggerKind.FIRST_CONTACT:
            return occasion.is_first_contact
        case TriggerKind.KEYWORD:
            return normalise(occasion.text) in {normalise(word) for word in words} - {""}
        case TriggerKind.TEMPLATE_BUTTON:
            return bool(occasion.choice_id) and occasion.choice_id in words
        case TriggerKind.REFERRAL:
            return occasion.has_referral and (not words or occasion.ad_id in words)
    return False


def _is_in_schedule(trigger: Trigger, at: datetime) -> bool:
    return trigger.calendar is None or trigger.calendar.is_open(at) == trigger.when_open
