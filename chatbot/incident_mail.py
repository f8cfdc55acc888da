"""E-mail to the admins when an incident opens and when it is over: once each, never a flood.

`notified_at` is both mark and claim. Empty: nobody was told yet. Before `closed_at`: told that it
began, not that it is over. After it: all is told. Whoever moves it with a guarded UPDATE sends the
mail, so that of several processes one does; when the mail cannot be sent it is moved back. A
process that dies in between leaves that mail unsent: the console shows the incident all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf
from time import monotonic

from django.conf import settings
from django.core.mail import EmailMessage
from django.db.models import F
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot.incident_words import describe
from chatbot.models import Incident, IncidentKind
from users.models import User

logger = logging.getLogger(__name__)

AT_MOST = 10  # mails an hour to each person; what is due meanwhile goes together in the next one
PERIOD = timedelta(hours=1)
TOLD_AGAIN = timedelta(hours=1)  # the same trouble, open again sooner, is no news
LOOKED_BACK = timedelta(days=1)  # an end that could not be told for so long is history
BATCH = 50
TRY_AGAIN_SECONDS = 300.0
SEND_SECONDS = 15.0


@dataclass(frozen=True)
class _News:
    """An incident that was claimed, and what to put back when the mail does not go."""

    incident: Incident
    before: datetime | None

    @property
    def is_over(self) -> bool:
        return self.incident.closed_at is not None


class _Pause:
    """A mail server that failed is left alone for a while by this process."""

    def __init__(self) -> None:
        self.until = -inf

    def is_on(self) -> bool:
        return monotonic() < self.until

    def begin(self) -> None:
        self.until = monotonic() + TRY_AGAIN_SECONDS


pause = _Pause()


def send_due(*, now: datetime, kind: IncidentKind | None = None) -> int:
    """Tell every admin with an address what is new, in one mail each; how many incidents were told.

    Not inside a transaction, and not while a provider waits for an answer: the mail server may take
    its time. An incident that ended before it could be told is not told. `kind`: only these.
    """
    if pause.is_on():
        return 0
    due = _due(now, kind)
    if not due:
        return 0
    people = list(User.objects.admins().active().exclude(email="").order_by("pk"))
    if not people or _is_flood(now):
        return 0
    claimed = [news for incident in due if (news := _claim(incident, now))]
    if claimed and not _send(people, claimed):
        _put_back(claimed, now)
        pause.begin()
        return 0
    return len(claimed)


def _due(now: datetime, kind: IncidentKind | None) -> list[Incident]:
    rows = Incident.objects.select_related("channel").defer("channel__credentials")
    if kind is not None:
        rows = rows.filter(kind=kind)
    begun = list(rows.open().filter(notified_at=None).order_by("id")[:BATCH])
    over = rows.filter(closed_at__gt=now - LOOKED_BACK, notified_at__lt=F("closed_at"))
    if begun:
        told = Incident.objects.filter(
            key__in=[one.key for one in begun], notified_at__gt=now - TOLD_AGAIN
        )
        lately = set(told.values_list("key", flat=True))
        begun = [one for one in begun if one.key not in lately]
    return [*begun, *over.order_by("id")[:BATCH]]


def _is_flood(now: datetime) -> bool:
    """All incidents of one mail are marked with one time: as many times, as many mails."""
    lately = Incident.objects.filter(notified_at__gt=now - PERIOD)
    return lately.order_by().values("notified_at").distinct().count() >= AT_MOST


def _claim(incident: Incident, now: datetime) -> _News | None:
    before = incident.notified_at
    same = Incident.objects.filter(pk=incident.pk, notified_at=before, closed_at=incident.closed_at)
    return _News(incident, before) if same.update(notified_at=now) else None


def _put_back(claimed: Sequence[_News], now: datetime) -> None:
    for news in claimed:
        Incident.objects.filter(pk=news.incident.pk, notified_at=now).update(
            notified_at=news.before
        )


def _send(people: Sequence[User], claimed: Sequence[_News]) -> bool:
    """True when at least one person was reached. A mail server that takes its time is not asked
    for everybody: the worker has other work, and its sign of life to give."""
    reached = 0
    began = monotonic()
    for person in people:
        if monotonic() - began > SEND_SECONDS:
            logger.error("the mail server is too slow: %s was not told of an incident", person)
            continue
        try:
            mail = _mail(person, claimed)
            reached += mail.get_connection().send_messages([mail]) or 0
        except Exception:
            # Whatever a mail server or its library can raise: the incident must stay to be told.
            logger.exception("%s could not be told of an incident by e-mail", person)
    return reached > 0


def _mail(person: User, claimed: Sequence[_News]) -> EmailMessage:
    with translation.override(person.language or settings.LANGUAGE_CODE):
        begun = [news.incident for news in claimed if not news.is_over]
        over = [news.incident for news in claimed if news.is_over]
        parts = [*map(_begun, begun), *map(_over, over)]
        url = settings.SITE_URL + reverse("admin:chatbot_incident_changelist")
        parts.append(_("All incidents: %(url)s") % {"url": url})
        return EmailMessage(_subject(begun, over), "\n\n".join(parts) + "\n", to=[person.email])


def _subject(begun: Sequence[Incident], over: Sequence[Incident]) -> str:
    """One line, whatever a channel is called."""
    first = [*begun, *over][0]
    said = describe(first).title
    if not begun:
        said = _("Over: %(what)s") % {"what": said}
    more = len(begun) + len(over) - 1
    if more:
        rest = ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more}
        said = f"{said} ({rest})"
    return " ".join(f"[Atende] {said}".split())


def _begun(incident: Incident) -> str:
    words = describe(incident)
    since = _("Since %(time)s.") % {"time": _moment(incident.opened_at)}
    return "\n".join(filter(None, (words.title, f"{since} {words.what}", words.advice, words.url)))


def _over(incident: Incident) -> str:
    closed_at = incident.closed_at or incident.opened_at
    lasted = _("It began %(begin)s and ended %(end)s.") % {
        "begin": _moment(incident.opened_at),
        "end": _moment(closed_at),
    }
    return "\n".join((_("Over: %(what)s") % {"what": describe(incident).title}, lasted))


def _moment(at: datetime) -> str:
    return date_format(timezone.localtime(at), "d/m/Y H:i")
