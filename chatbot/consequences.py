"""What a provider's refusal means beyond its message: for the channel, the account, the customer.

The same failure may come in the answer to a send, as a `failed` status, or as both: each of these
does nothing the second time.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Q

from chatbot import incidents_watch
from chatbot.channels.base import Meaning, SendError
from chatbot.models import MessageLog
from chatbot.other_form import untried_form
from chatbot.pace import hold_back, note_trouble
from leads.models import Identity
from sessions_app.models import Channel

logger = logging.getLogger(__name__)

PAUSE_FOR = timedelta(minutes=5)  # a channel that must be mended is tried again after this long
WHOLE_CHANNEL = frozenset({"account", "number"})


def follow(
    message: MessageLog,
    error: SendError,
    *,
    until: datetime,
    now: datetime,
    by_status: bool = False,
) -> None:
    """Everything but what becomes of the message. `until` is when it would be tried again;
    `by_status`: the provider had accepted the message first."""
    channel = message.channel
    tell = incidents_watch.note_failed_status if by_status else incidents_watch.note_stop
    tell(channel, error, now=now)
    if stops_channel(error):
        logger.error("channel %s is paused: %s", channel.slug, error)
        _stop(channel, error, until=now + PAUSE_FOR, now=now)
    elif error.meaning == Meaning.SPAM:
        _stop(channel, error, until=until, now=now)
    elif error.retryable and error.scope in WHOLE_CHANNEL:
        channels = [one.pk for one in _scope_of(channel, error)]
        hold_back(channels, until=until, now=now, slow_down=error.meaning == Meaning.THROTTLE)
    elif error.meaning == Meaning.UNREACHABLE and untried_form(message, error) is None:
        reached = Identity.objects.filter(pk=message.identity_id or 0, unreachable_at=None)
        reached.update(unreachable_at=now)


def stops_channel(error: SendError) -> bool:
    """Will nothing go on this channel before a person has mended it?"""
    return error.is_stop and error.scope in WHOLE_CHANNEL


def _stop(channel: Channel, error: SendError, *, until: datetime, now: datetime) -> None:
    """Pause what `error` is about; after that one message at a time is risked, until one goes. A
    longer pause is left alone."""
    for one in _scope_of(channel, error):
        note_trouble(one, reason=error.code, now=now, is_over=True)
        shorter = Channel.objects.filter(pk=one.pk).exclude(Q(paused_until__gt=until))
        shorter.update(paused_until=until, pause_reason=str(error)[:300])


def _scope_of(channel: Channel, error: SendError) -> list[Channel]:
    """The channel; for trouble of the account every channel of that account, in id order."""
    if error.scope != "account" or not channel.account_id:
        return [channel]
    same = Channel.objects.filter(kind=channel.kind, account_id=channel.account_id)
    return list(same.order_by("pk"))
