"""The text of an API token, `atd_<prefix>_<secret>`: the prefix finds, the secret proves."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

LONGEST_LIFE = timedelta(days=3652)  # what is meant to be for ever has no end instead
TOO_LONG = _("Choose a day within the next ten years, or none.")

_WRITTEN = re.compile(r"atd_([0-9a-f]{12})_([0-9a-f]{64})")
_SCOPE = re.compile(r"(\*|[a-z]+(-[a-z]+)*):(read|write)")


class Resource(NamedTuple):
    """What a scope is about, for people."""

    scope: str
    name: Promise
    help: Promise


# The `scope` of every viewset of the API; a test compares them.
RESOURCES = (
    Resource("leads", _("Leads"), _("Names, contacts, stages, tags and notes of customers.")),
    Resource("sessions", _("Conversations"), _("Where conversations stand, with their variables.")),
    Resource("tickets", _("Tickets"), _("Open, take, transfer, resolve; events and notes.")),
    Resource("messages", _("Messages"), _("What was said. Writing sends to customers.")),
    Resource("message-templates", _("Message templates"), _("Approved texts and their state.")),
    Resource("users", _("People"), _("Names, roles and availability. Writing is for admins.")),
    Resource("departments", _("Departments"), _("Their rules. Writing is for admins.")),
    Resource("channels", _("Channels"), _("Numbers and their state. For admins.")),
    Resource("flows", _("Flows"), _("Drafts and versions. For admins.")),
    Resource("flow-logs", _("Flow logs"), _("What flows decided, step by step.")),
)


class TokenText(NamedTuple):
    prefix: str
    secret: str

    def __str__(self) -> str:
        return f"atd_{self.prefix}_{self.secret}"


def generate() -> TokenText:
    return TokenText(prefix=secrets.token_hex(6), secret=secrets.token_hex(32))


def parse(text: str) -> TokenText | None:
    match = _WRITTEN.fullmatch(text)
    return TokenText(*match.groups()) if match else None


def digest(secret: str) -> str:
    """SHA-256 is enough: the secret has 256 random bits, there is nothing to guess."""
    return hashlib.sha256(secret.encode()).hexdigest()


def is_scope(text: str) -> bool:
    """`leads:read`, `tickets:write`, or `*` in place of the resource."""
    return _SCOPE.fullmatch(text) is not None


def scope_choices() -> list[tuple[str, str]]:
    """Each scope that a person may tick."""
    return [
        (f"{one.scope}:{verb}", f"{one.scope}:{verb}")
        for one in RESOURCES
        for verb in ("read", "write")
    ]


def end_of(day: date) -> datetime:
    """The last moment of a day of the site, to which a token that names it is valid."""
    return timezone.make_aware(datetime.combine(day, time.max))  # made aware here


def lives_too_long(expires_at: datetime, at: datetime) -> bool:
    """Does it end later than anybody plans? The last moments of the year 9999 cannot even be read
    back from the database."""
    return expires_at > at + LONGEST_LIFE


def allows(scopes: list[str], resource: str, verb: str) -> bool:
    return bool(resource) and not {f"{resource}:{verb}", f"*:{verb}"}.isdisjoint(scopes)
