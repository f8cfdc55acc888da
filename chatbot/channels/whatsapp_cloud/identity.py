"""Who is meant: phone numbers and business-scoped user ids (BSUID) as neutral addresses.

A person may have both, either, or (with a username) only the BSUID; absent, null and "" are the
same. Meta's docs: "Business-scoped user IDs".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from chatbot.channels import reading
from chatbot.channels.inbound import Address, Sender
from leads.phones import canonical_phone

PHONE, BSUID, PARENT_BSUID = "phone", "bsuid", "parent_bsuid"
_RANK = {BSUID: 0, PHONE: 1, PARENT_BSUID: 2}
_BSUID = re.compile(r"[A-Z]{2}\.(ENT\.)?[A-Za-z0-9]{1,128}")
_PHONE = re.compile(r"\+?[0-9][0-9 ().-]{3,28}")

Json = dict[str, Any]


def is_bsuid(value: str) -> bool:
    return _BSUID.fullmatch(value) is not None


def address(scheme: str, value: str) -> Address | None:
    """One address, or None when the value is not one. What looks like a BSUID is never a phone."""
    value = value.strip()
    if is_bsuid(value):
        return Address(BSUID if scheme == PHONE else scheme, value, value)
    if scheme != PHONE or not _PHONE.fullmatch(value):
        return None
    digits = re.sub(r"[^0-9]", "", value)
    return Address(PHONE, canonical_phone(digits), digits)


def addresses(*found: Address | None) -> tuple[Address, ...]:
    """Without gaps and repetitions, the best identity first."""
    unique: dict[tuple[str, str], Address] = {}
    for one in found:
        if one is not None:
            unique.setdefault((one.scheme, one.address), one)
    return tuple(sorted(unique.values(), key=lambda one: _RANK[one.scheme]))


def phone_in(source: Json, key: str) -> Address | None:
    return address(PHONE, reading.words(source, key))


def user_in(source: Json, key: str) -> Address | None:
    return address(BSUID, reading.words(source, key))


def read(source: Json, phone: str, user: str, *parents: str) -> tuple[Address, ...]:
    """The addresses under these keys of an object."""
    found = (address(PARENT_BSUID, reading.words(source, parent)) for parent in parents)
    return addresses(phone_in(source, phone), user_in(source, user), *found)


class ContactBook:
    """The `contacts` of a change by address: a batch holds up to a thousand of each."""

    def __init__(self, contacts: Iterable[Json]) -> None:
        self._by_address: dict[tuple[str, str], list[Json]] = {}
        for contact in contacts:
            for one in contact_addresses(contact):
                self._by_address.setdefault((one.scheme, one.address), []).append(contact)

    def find(self, known: tuple[Address, ...]) -> Json | None:
        """The entry about this person; the first one of a batch may be somebody else."""
        for one in known:
            for contact in self._by_address.get((one.scheme, one.address), ()):
                if not _contradicts(contact, known):
                    return contact
        return None


def _contradicts(contact: Json, known: tuple[Address, ...]) -> bool:
    theirs = {one.scheme: one.address for one in contact_addresses(contact)}
    return any(theirs.get(one.scheme, one.address) != one.address for one in known)


def contact_addresses(contact: Json) -> tuple[Address, ...]:
    return read(contact, "wa_id", "user_id", "parent_user_id")


def sender(known: tuple[Address, ...], contact: Json | None) -> Sender:
    """The person of `known`, with what the matching contact adds: name, username, other address."""
    if contact is None:
        return Sender(known)
    profile = reading.mapping(contact, "profile")
    return Sender(
        addresses=addresses(*known, *contact_addresses(contact)),
        name=reading.text(profile, "name") or "",
        username=(reading.text(profile, "username") or "").removeprefix("@"),
    )
