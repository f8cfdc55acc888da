"""Whether a channel can do its job, for whoever must mend it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Max, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from chatbot import incidents_watch, pace
from chatbot.channels import UnknownKind, transport_for
from chatbot.channels.base import Check, CheckLevel, Transport
from chatbot.models import Direction, Incident, IncidentKind, MessageLog, TrafficHour
from sessions_app.models import Channel
from sessions_app.services import resume_sending

RESUME = "resume"
NEWEST = 5_000  # rows of the log that are looked through for the last use


@dataclass(frozen=True)
class Use:
    """Where a channel takes its bodies, and when it last received and sent anything; to the hour,
    when that was a while ago."""

    webhook_url: str
    received_at: datetime | None
    sent_at: datetime | None


def webhook_path(channel: Channel) -> str:
    """The address for the provider; the default channel answers at the short one too."""
    if channel.is_default:
        return reverse("webhook")
    return reverse("webhook_channel", args=[channel.slug])


def use_of(channel: Channel) -> Use:
    """Two or three statements, each bounded however long the log is."""
    last = MessageLog.objects.aggregate(last=Max("pk"))["last"] or 0
    newest = MessageLog.objects.filter(pk__gt=last - NEWEST, channel=channel)
    found = newest.aggregate(
        received=Max("created_at", filter=Q(direction=Direction.INBOUND)), sent=Max("sent_at")
    )
    hours = TrafficHour.objects.filter(channel=channel).order_by("-hour").values_list("hour")
    received = (
        found["received"] or hours.filter(received__gt=0).values_list("hour", flat=True).first()
    )
    sent = found["sent"] or hours.filter(sent__gt=0).values_list("hour", flat=True).first()
    return Use(f"{settings.SITE_URL}{webhook_path(channel)}", received, sent)


def examine(channel: Channel, *, now: datetime) -> list[Check]:
    """What can be said without asking the provider."""
    return list(_known_here(channel, now))


def run(channel: Channel, *, now: datetime) -> list[Check]:
    """All of it, the provider asked; incidents that an answer proves to be over are closed. Takes
    as long as the provider's time limits: never inside a transaction."""
    checks = examine(channel, now=now)
    transport = _transport(channel)
    if transport is not None and not channel.is_unreadable:
        checks += transport.diagnose(webhook_path(channel))
    proven = [check.proves for check in checks if check.proves]
    incidents_watch.note_test(channel, proven, now=now)
    return checks


def mend(channel: Channel, what: str) -> None:
    """Do what a check offered. Raises SendError."""
    if what == RESUME:
        resume_sending(channel)
        pace.forgive(channel, now=timezone.now())
    else:
        transport_for(channel).mend(what)


def _known_here(channel: Channel, now: datetime) -> Iterator[Check]:
    if _transport(channel) is None:
        what = _("There is no program for this kind of channel.")
        yield Check(CheckLevel.ERROR, _("Kind"), what, _("Switch the channel off."))
    if channel.is_unreadable:
        what = _("The stored credentials cannot be read: FIELD_ENCRYPTION_KEY has changed.")
        advice = _("Type all of them again, or put the old key last in FIELD_ENCRYPTION_KEY.")
        yield Check(CheckLevel.ERROR, _("Credentials"), what, advice)
    if not channel.is_active:
        what = _("The channel is switched off: messages are kept and people get them; no bot.")
        yield Check(CheckLevel.WARNING, _("Channel"), what, _("Switch it on on its page."))
    yield _sending(channel, now)
    if not channel.is_simulator:
        yield _receiving(channel)
        yield from _signatures(channel)


def _sending(channel: Channel, now: datetime) -> Check:
    about = _("Sending")
    if channel.paused_until is None or channel.paused_until <= now:
        if not pace.is_open(channel):
            return Check(CheckLevel.OK, about, _("Not paused."))
        what = _("The provider did not take the last messages: one at a time is tried.")
        advice = _(
            "Messages are kept. When the provider answers again, all of them go by themselves."
        )
        return Check(CheckLevel.ERROR, about, what, advice, mend=RESUME)
    what = _("Paused until %(time)s: %(reason)s") % {
        "time": _moment(channel.paused_until),
        "reason": channel.pause_reason or "?",
    }
    advice = _("Messages are kept. When the reason is mended, resume sending.")
    return Check(CheckLevel.ERROR, about, what, advice, mend=RESUME)


def _receiving(channel: Channel) -> Check:
    about, received_at = _("Receiving"), use_of(channel).received_at
    if received_at is not None:
        what = _("The last message came at %(time)s.") % {"time": _moment(received_at)}
        return Check(CheckLevel.OK, about, what)
    what = _("No message has come lately.")
    advice = _("Write to the number from a phone, then look here again.")
    return Check(CheckLevel.WARNING, about, what, advice)


def _signatures(channel: Channel) -> Iterator[Check]:
    wrong = Incident.objects.filter(kind=IncidentKind.SIGNATURE, channel=channel).order_by("-id")
    last = wrong.first()
    if last is None:
        return
    when = {"time": _moment(last.last_seen_at)}
    if last.closed_at is None:
        what = _("A body with a wrong signature came at %(time)s.") % when
        advice = _("If messages are missing, the app secret is wrong: copy it again.")
        yield Check(CheckLevel.ERROR, _("Signatures"), what, advice)
    else:
        what = _("The last wrong signature came at %(time)s; none since.") % when
        yield Check(CheckLevel.OK, _("Signatures"), what)


def _transport(channel: Channel) -> Transport | None:
    try:
        return transport_for(channel)
    except UnknownKind:
        return None


def _moment(at: datetime) -> str:
    return date_format(timezone.localtime(at), "d/m/Y H:i")
