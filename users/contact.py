"""Phone numbers and e-mail addresses of customers, as whoever looks may see them.

The rules of the team may hide them from everybody but admins; showing one is logged. Who looks goes
along with the request, like its language: a number stands in names, lists, searches and files, and
whoever draws one of these need not be told of the person. Without somebody who looks (the webhook,
the worker, a command) nothing is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db.models import Model

from users.masking import MASK
from users.models import TeamRules, User

PHONE, EMAIL = "phone", "email"
RULES = {PHONE: "mask_phone", EMAIL: "mask_email"}  # the field of TeamRules that hides each
READ_AS = "rule_"  # before the names of those fields, where they were read with the person

_viewer: ContextVar[User | None] = ContextVar("viewer", default=None)
_BRAZILIAN = re.compile(r"\+?55(\d{2})\d{6,7}(\d{2})")
_SHOWN_DIGITS = 2


@contextmanager
def seen_by(user: User | None) -> Iterator[None]:
    """What is drawn meanwhile is for `user`."""
    before = _viewer.set(user)
    try:
        yield
    finally:
        _viewer.reset(before)


def look(user: User) -> None:
    """From now on, until the request ends, it is `user` who looks."""
    _viewer.set(user)


def viewer() -> User | None:
    """Who looks: for what is drawn after the request, as a streamed file is."""
    return _viewer.get()


def hides(name: str) -> bool:
    """Is PHONE or EMAIL hidden from whoever looks?"""
    user = _viewer.get()
    if user is None or user.is_admin:
        return False
    told = vars(user)
    if READ_AS + RULES[name] not in told:
        rules = TeamRules.current()
        told |= {READ_AS + one: getattr(rules, one) for one in RULES.values()}
    return bool(told[READ_AS + RULES[name]])


def shown_phone(number: str) -> str:
    """The number, or its last two digits."""
    return phone_hint(number) if number and hides(PHONE) else number


def shown_email(address: str) -> str:
    """The address, or its first letter."""
    return email_hint(address) if address and hides(EMAIL) else address


def phone_hint(number: str) -> str:
    """Enough to tell two numbers apart, and to compare one with what somebody says."""
    match = _BRAZILIAN.fullmatch(number)
    if match:
        return "+55 {} •••••-••{}".format(*match.groups())
    return MASK + number[-_SHOWN_DIGITS:]


def email_hint(address: str) -> str:
    return f"{address[:1]}{MASK}@•••"


def searchable(names: Iterable[str], model: type[Model] | None = None) -> list[str]:
    """The search fields that tell nothing which is hidden: of that only the whole finds, since who
    may try parts of a number until something is found has read it. Of people who work here
    (`model`) nothing is hidden."""
    if model is User:
        return list(names)
    plain = [(one, one.lstrip("^=@$")) for one in names]
    return [one if is_searchable(name.rpartition("__")[2]) else f"={name}" for one, name in plain]


def is_searchable(name: str) -> bool:
    """Does a column of this name hold nothing that is hidden from whoever looks?"""
    if name in {PHONE, "address", "send_to"}:
        return not hides(PHONE)
    return name != EMAIL or not hides(EMAIL)
