"""Where somebody is logged in: one row a browser, from the login until it ends or expires."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import QuerySet
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from users import clients
from users.login_history import record
from users.models import Login, LoginEventKind, User
from users.permissions import person


def live_of(user: User, at: datetime) -> QuerySet[Login]:
    """The browsers in which this person is logged in, last used first."""
    return user.logins.filter(seen_at__gt=at - _idle_limit()).order_by("-seen_at", "-pk")


def note_use(request: HttpRequest, at: datetime) -> None:
    """This browser is in use. One from before there was such a list gets its row now."""
    key = request.session.session_key
    address = clients.address_of(request)
    if key and not Login.objects.filter(session_key=key).update(seen_at=at, ip_address=address):
        _begin(request, person(request), at)


def moved(request: HttpRequest, from_key: str | None) -> None:
    """The login got another key, after a change of the password for instance."""
    if from_key:
        key = request.session.session_key
        Login.objects.filter(session_key=from_key).update(session_key=key)


@transaction.atomic
def end(login: Login, *, request: HttpRequest | None = None) -> None:
    """Sign one browser out: its next request leads to the login page."""
    Session.objects.filter(session_key=login.session_key).delete()
    if Login.objects.filter(pk=login.pk).delete()[0]:
        record(LoginEventKind.ENDED_ELSEWHERE, request, user=login.user)


@transaction.atomic
def end_all(user: User, *, keep: str | None = None, request: HttpRequest | None = None) -> int:
    """Sign the person out of every browser but the one whose session has the key `keep`; how many
    there were. One line of the history says it."""
    rows = Login.objects.filter(user=user)
    rows = rows.exclude(session_key=keep) if keep else rows
    keys = list(rows.values_list("session_key", flat=True))
    if not keys:
        return 0
    Session.objects.filter(session_key__in=keys).delete()
    Login.objects.filter(session_key__in=keys).delete()
    record(LoginEventKind.ENDED_ELSEWHERE, request, user=user)
    return len(keys)


@receiver(user_logged_in)
def begin(request: HttpRequest | None, user: User, **_signal: Any) -> None:
    """A new row; those of this person that nobody can use any more go."""
    if request is None or not hasattr(request, "session"):
        return
    at = timezone.now()
    expired = list(
        Login.objects.filter(user=user, seen_at__lte=at - _idle_limit()).values_list(
            "session_key", flat=True
        )
    )
    if expired:
        Session.objects.filter(session_key__in=expired).delete()
        Login.objects.filter(session_key__in=expired).delete()
    _begin(request, user, at)


@receiver(user_logged_out)
def forget(request: HttpRequest | None, user: User | None, **_signal: Any) -> None:
    if request is not None and hasattr(request, "session") and request.session.session_key:
        Login.objects.filter(session_key=request.session.session_key).delete()


def _begin(request: HttpRequest, user: User, at: datetime) -> None:
    if not request.session.session_key:  # somebody else was logged in: their session is gone
        request.session.create()
    Login.objects.update_or_create(
        session_key=request.session.session_key,
        defaults={
            "user": user,
            "ip_address": clients.address_of(request),
            "user_agent": clients.agent_of(request),
            "started_at": at,
            "seen_at": at,
        },
    )


def _idle_limit() -> timedelta:
    return timedelta(hours=settings.LOGIN_IDLE_HOURS)
