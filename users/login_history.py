"""Who logged in, tried to, or left, written as it happens. No secret is ever part of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from users import clients
from users.models import LoginEvent, LoginEventKind, User

LONGEST_NAME = 150


def record(
    kind: LoginEventKind,
    request: HttpRequest | None,
    *,
    user: User | None = None,
    username: str = "",
) -> None:
    """One line of the history: about `user`, or about a name that somebody typed."""
    LoginEvent.objects.create(
        kind=kind,
        user=user,
        username=(username or (user.username if user else ""))[:LONGEST_NAME],
        ip_address=clients.address_of(request) if request else None,
        user_agent=clients.agent_of(request) if request else "",
        at=timezone.now(),
    )


@receiver(user_logged_in)
def logged_in(request: HttpRequest | None, user: User, **_signal: Any) -> None:
    if request is not None:
        record(LoginEventKind.SUCCEEDED, request, user=user)


@receiver(user_login_failed)
def refused(
    credentials: Mapping[str, Any], request: HttpRequest | None = None, **_signal: Any
) -> None:
    if request is None or getattr(request, "axes_locked_out", False):
        return
    username = str(credentials.get("username") or "")[:LONGEST_NAME]
    record(LoginEventKind.FAILED, request, user=_of_name(username), username=username)


@receiver(user_locked_out)
def locked_out(request: HttpRequest | None, username: str | None = None, **_signal: Any) -> None:
    """Said at the attempt that locks, and at each that finds the door locked."""
    username = str(username or "")[:LONGEST_NAME]
    record(LoginEventKind.LOCKED, request, user=_of_name(username), username=username)


@receiver(user_logged_out)
def logged_out(request: HttpRequest | None, user: User | None, **_signal: Any) -> None:
    if request is not None and isinstance(user, User):
        record(LoginEventKind.ENDED, request, user=user)


def _of_name(username: str) -> User | None:
    return User.objects.filter(username=username).first() if username else None
