"""When somebody last did something, which is what a login lives from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from users import logins
from users.models import User

ACTIVE_AT = "active_at"  # in the login session: seconds since 1970
EXACT_TO = timedelta(minutes=1)  # spares a write per request


def is_expired(request: HttpRequest, at: datetime) -> bool:
    """Has nobody used this login for longer than LOGIN_IDLE_HOURS? A login from before there was
    such a limit counts from now on."""
    last = request.session.get(ACTIVE_AT)
    return last is not None and at.timestamp() - last > settings.LOGIN_IDLE_HOURS * 3600


def note(request: HttpRequest, at: datetime) -> None:
    """Remember that somebody is at work: in the login and in the person, once a minute."""
    last = request.session.get(ACTIVE_AT)
    if last is not None and at.timestamp() - last < EXACT_TO.total_seconds():
        return
    request.session[ACTIVE_AT] = int(at.timestamp())
    User.objects.filter(pk=request.user.pk).update(last_active_at=at)
    logins.note_use(request, at)


@receiver(user_logged_in)
def begin(request: HttpRequest | None, user: User, **_signal: Any) -> None:
    if request is None or not hasattr(request, "session"):
        return
    at = timezone.now()
    request.session[ACTIVE_AT] = int(at.timestamp())
    User.objects.filter(pk=user.pk).update(last_active_at=at)
