"""Login in two steps: an app that shows codes, and recovery codes for when it is lost.

A login that gave its code carries the mark of django-otp in its session. Taking the app away ends
the other logins of the person, so the mark alone says that a code was given: no statement is run.
Recovery codes are stored as a keyed digest, in the column that the library has for them.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import django_otp
import qrcode
import qrcode.image.svg
from django.conf import settings
from django.contrib.auth import login
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from users import login_history, logins
from users.errors import DomainError
from users.models import LoginEventKind, User
from users.permissions import person
from users.services import NotAllowed, may_manage

APP_NAME = "app"
RECOVERY_CODES = 10
FEW_CODES = 3  # so many left and the page says that it is time for new ones
CODE_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # none that reads like another one
CODE_LENGTH = 12
TOTP_DIGITS = 6
PENDING = "pending_login"  # in the session: who gave the password and must give the code now
PENDING_FOR = timedelta(minutes=5)


class CodeRefused(DomainError):
    """This code does not open anything, or must not be tried yet."""

    code = "code_refused"
    status = 400


@dataclass(frozen=True)
class Enrolment:
    """What an app needs to show codes: a picture to scan, or the secret to type."""

    picture: str
    secret: str


# --- What there is -----------------------------------------------------------------------------


def has_app(user: User) -> bool:
    return TOTPDevice.objects.filter(user=user, confirmed=True).exists()


def app_of(user: User) -> TOTPDevice | None:
    return TOTPDevice.objects.filter(user=user, confirmed=True).first()


def codes_left(user: User) -> int:
    """How many recovery codes can still be used."""
    return StaticToken.objects.filter(device__user=user, device__confirmed=True).count()


def is_given(request: HttpRequest) -> bool:
    """Did this login give its code? No statement beyond the session's own."""
    return django_otp.DEVICE_ID_SESSION_KEY in request.session


def is_required(user: User) -> bool:
    """Must this person log in with a code?"""
    return bool(settings.REQUIRE_2FA) and user.is_admin


def is_owed(request: HttpRequest) -> bool:
    """Must this login have given a code, and has not?"""
    return is_required(person(request)) and not is_given(request)


# --- Setting it up ------------------------------------------------------------------------------


@transaction.atomic
def enrolment_of(user: User) -> Enrolment:
    """The secret that an app is to learn now, the same one until a code has proved it."""
    User.objects.select_for_update().get(pk=user.pk)  # one secret, also for two pages at once
    device = TOTPDevice.objects.filter(user=user, confirmed=False).first()
    device = device or TOTPDevice.objects.create(user=user, name=APP_NAME, confirmed=False)
    secret = base64.b32encode(device.bin_key).decode()
    groups = [secret[at : at + 4] for at in range(0, len(secret), 4)]
    return Enrolment(_picture(device.config_url), " ".join(groups))


def confirm(request: HttpRequest, written: str) -> list[str]:
    """The app has learnt the secret: from now on logins ask for its codes. Returns the recovery
    codes, shown once. Other browsers must log in again. Raises CodeRefused."""
    user = person(request)
    with transaction.atomic():
        device = TOTPDevice.objects.select_for_update().filter(user=user, confirmed=False).first()
        refusal = _refusal_of(device, _squeezed(written))
        if device is not None and refusal is None:
            if has_app(user):
                raise CodeRefused(_("There is an app already. Remove it first."))
            device.confirmed = True
            device.save(update_fields=["confirmed"])
            _mark(request, device)
            logins.end_all(user, keep=request.session.session_key, request=request)
            return _new_codes(user)
    raise refusal or CodeRefused(_("Start again: this secret is not known any more."))


@transaction.atomic
def renew_codes(user: User) -> list[str]:
    """Ten new recovery codes, shown once; the old ones open nothing any more."""
    if not has_app(user):
        raise DomainError(_("Set up an app first."), code="no_app")
    return _new_codes(user)


@transaction.atomic
def remove(user: User, *, request: HttpRequest) -> bool:
    """Take app and recovery codes away: one's own, or those of somebody one may manage who lost
    them. False if there were none."""
    actor = person(request)
    is_own = actor.pk == user.pk
    if not is_own and not may_manage(actor, user):
        raise NotAllowed(_("You may not manage people who stand above you."))
    found = TOTPDevice.objects.filter(user=user).delete()[0]
    found += StaticDevice.objects.filter(user=user).delete()[0]
    if is_own:
        request.session.pop(django_otp.DEVICE_ID_SESSION_KEY, None)
    keep = request.session.session_key if is_own else None
    logins.end_all(user, keep=keep, request=request)
    return bool(found)


# --- Codes --------------------------------------------------------------------------------------


def check(request: HttpRequest, user: User, written: str) -> Any:
    """The device whose code this is: of the app, or a recovery code, which is then used up. Wrong
    ones make the next try wait. Raises CodeRefused."""
    code = _squeezed(written)
    is_recovery = not (code.isdigit() and len(code) == TOTP_DIGITS)
    model: Any = StaticDevice if is_recovery else TOTPDevice
    with transaction.atomic():
        device = model.objects.select_for_update().filter(user=user, confirmed=True).first()
        refusal = _refusal_of(device, _digest(code) if is_recovery else code)
    if refusal is not None:
        login_history.record(LoginEventKind.CODE_REFUSED, request, user=user)
        raise refusal
    if is_recovery:
        login_history.record(LoginEventKind.RECOVERY_CODE, request, user=user)
    return device


def _refusal_of(device: Any, token: str) -> CodeRefused | None:
    """Why not; None: the code is right. What is refused is counted, so this must be committed."""
    if device is None:
        return CodeRefused(_("This code is not right."))
    may_try, why = device.verify_is_allowed()
    if not may_try:
        left = (why["locked_until"] - timezone.now()).total_seconds()
        seconds = max(1, round(left))
        text = ngettext(
            "Too many wrong codes. Try again in %(seconds)d second.",
            "Too many wrong codes. Try again in %(seconds)d seconds.",
            seconds,
        )
        return CodeRefused(text % {"seconds": seconds}, code="wait")
    if not device.verify_token(token):
        return CodeRefused(_("This code is not right. Codes of an app change every 30 seconds."))
    return None


# --- The second step of a login -----------------------------------------------------------------


def begin(request: HttpRequest, user: User, *, lead_to: str, at: datetime) -> None:
    """The password was right: remember who is to give a code now. Nobody is logged in by it."""
    request.session.cycle_key()  # whoever knew the session before must not go on with it
    request.session[PENDING] = {
        "user": user.pk,
        "password": user.get_session_auth_hash(),
        "backend": user.backend,  # type: ignore[attr-defined]  # set by authenticate()
        "next": lead_to,
        "at": int(at.timestamp()),
    }


def pending(request: HttpRequest, at: datetime) -> tuple[User, str] | None:
    """Who is to give a code in this browser, and where the login leads; None: nobody, or not any
    more (too long ago, deactivated, or the password was changed meanwhile)."""
    kept = request.session.get(PENDING)
    if not kept or at.timestamp() - kept["at"] > PENDING_FOR.total_seconds():
        return None
    user = User.objects.active().filter(pk=kept["user"]).first()
    if user is None or not hmac.compare_digest(user.get_session_auth_hash(), kept["password"]):
        return None
    return user, kept["next"]


def finish(request: HttpRequest, user: User, device: Any) -> None:
    """The code was right: the login takes place, under a new session key."""
    kept = request.session.pop(PENDING)
    login(request, user, backend=kept["backend"])
    _mark(request, device)


# --- Parts --------------------------------------------------------------------------------------


def _mark(request: HttpRequest, device: Any) -> None:
    request.session[django_otp.DEVICE_ID_SESSION_KEY] = device.persistent_id


def _new_codes(user: User) -> list[str]:
    StaticDevice.objects.filter(user=user).delete()
    device = StaticDevice.objects.create(user=user, name="recovery")
    codes = [
        "".join(secrets.choice(CODE_LETTERS) for _letter in range(CODE_LENGTH))
        for _code in range(RECOVERY_CODES)
    ]
    StaticToken.objects.bulk_create(
        StaticToken(device=device, token=_digest(code)) for code in codes
    )
    return ["-".join(code[at : at + 4] for at in range(0, CODE_LENGTH, 4)) for code in codes]


def _digest(code: str) -> str:
    """80 bits, keyed: as much as the library's column takes. A code itself has 60, at random."""
    digest = salted_hmac("users.two_factor", code, algorithm="sha256").digest()
    return base64.b32encode(digest[:10]).decode().lower()


def _squeezed(written: str) -> str:
    return "".join(letter for letter in written.lower() if letter.isalnum())[:64]


def _picture(url: str) -> str:
    """A QR code as a data: image, which the content security policy lets a page show."""
    image = qrcode.make(url, image_factory=qrcode.image.svg.SvgPathFillImage, border=2)
    out = BytesIO()
    image.save(out)
    return f"data:image/svg+xml;base64,{base64.b64encode(out.getvalue()).decode()}"
