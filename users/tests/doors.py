"""The way in as people take it: password, code, and a clock of their app."""

from __future__ import annotations

from typing import Any

from django.test import Client
from django.urls import reverse
from django_otp.oath import TOTP
from django_otp.plugins.otp_totp.models import TOTPDevice

from users import confirming, two_factor
from users.models import User

PASSWORD = "uma-senha-de-teste-77"
LOGIN = "/admin/login/"


def with_password(user: User) -> User:
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])
    return user


def with_app(user: User) -> TOTPDevice:
    """An app that is set up, with recovery codes that nobody has seen."""
    device: TOTPDevice = TOTPDevice.objects.create(user=user, name="app", confirmed=True)
    return device


def code_of(device: TOTPDevice, *, steps: int = 0) -> str:
    """What the app shows now; `steps` of 30 seconds later."""
    device.refresh_from_db()
    clock = TOTP(device.bin_key, device.step, device.t0, device.digits, device.drift)
    clock.time = clock.time + 30 * steps
    return f"{clock.token():06d}"


def give_password(client: Client, user: User, password: str = PASSWORD, **more: Any) -> Any:
    form = {"username": user.username, "password": password, "next": "/admin/", **more}
    return client.post(LOGIN, form)


def give_code(client: Client, code: str) -> Any:
    return client.post(reverse("login_code"), {"code": code})


def forget_confirmation(client: Client) -> None:
    """As if the login were older than ten minutes."""
    session = client.session
    session.pop(confirming.CONFIRMED_AT, None)
    session.save()


def answered(response: Any, password: str = PASSWORD, code: str = "") -> dict[str, Any]:
    """What the page that asks again posts: all that it carries, and who it is."""
    carried: dict[str, Any] = {}
    for name, value in response.context["carried"]:
        carried.setdefault(name, []).append(value)
    said = {confirming.PASSWORD: password, confirming.CODE: code}
    return {**carried, **said, confirming.ASKED: response.context["asked"]}


def recovery_codes(user: User) -> list[str]:
    return two_factor.renew_codes(user)
