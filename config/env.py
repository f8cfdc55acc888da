"""Typed readers of the environment that refuse a bad value instead of guessing.

A variable that is set but empty counts as not set, so `NAME=` in a `.env` file means "default".
"""

import os
import shlex
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import environ
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured

T = TypeVar("T")
Network = IPv4Network | IPv6Network

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


def load(path: Path) -> None:
    """Read a `.env` file; variables already in the environment win."""
    if path.is_file():
        environ.Env.read_env(path, overwrite=False)


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def required(name: str) -> str:
    value = text(name)
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. `make run` writes one into .env.")
    return value


def flag(name: str, *, default: bool = False) -> bool:
    value = text(name).lower()
    if not value:
        return default
    if value in TRUE | FALSE:
        return value in TRUE
    raise ImproperlyConfigured(f"{name} must be on or off, not {value!r}.")


def number(name: str, default: int, *, at_least: int = 0) -> int:
    value = _converted(name, int, text(name, str(default)), "a whole number")
    if value < at_least:
        raise ImproperlyConfigured(f"{name} must be at least {at_least}, not {value}.")
    return value


def words(name: str) -> list[str]:
    """A comma-separated list."""
    return [word.strip() for word in text(name).split(",") if word.strip()]


def command(name: str) -> list[str]:
    """A program with its arguments, quoted as in a shell that will never see it; [] for none."""
    return _converted(name, shlex.split, text(name), "a command whose quotes are closed")


def networks(name: str) -> list[Network]:
    """A comma-separated list of addresses or networks in CIDR form."""
    return [_converted(name, ip_network, word, "a list of IP addresses") for word in words(name)]


def http_url(name: str, default: str) -> str:
    """An absolute http(s) address, without a closing slash."""
    value = text(name, default).rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ImproperlyConfigured(f"{name} must be an http:// or https:// address, not {value!r}.")
    return value


def time_zone(name: str, default: str) -> str:
    return _converted(name, ZoneInfo, text(name, default), "an IANA time zone").key


def fernet_keys(name: str) -> list[str]:
    """The keys of a MultiFernet: the first encrypts, all decrypt."""
    for key in words(name):
        try:
            Fernet(key)
        except ValueError as error:
            # The value is a secret: it must not appear in the message.
            raise ImproperlyConfigured(
                f"{name} must hold Fernet keys (32 bytes, base64)."
            ) from error
    return words(name)


def database(name: str, default: str) -> dict:
    return environ.Env.db_url_config(text(name, default))


def email(name: str, default: str) -> dict:
    return environ.Env.email_url_config(text(name, default))


def _converted(name: str, convert: Callable[[str], T], value: str, kind: str) -> T:
    try:
        return convert(value)
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"{name} must be {kind}, not {value!r}.") from error
