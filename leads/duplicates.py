"""Who may be the same person as a lead, and what a merge of two would keep."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from leads.models import Identity, Lead, LeadQuerySet, Scheme
from leads.phones import phone_variants, spaced
from users.masking import hint

MOST = 12
SHORTEST_NAME = 2  # words: by a first name alone nearly everybody would be a duplicate


@dataclass(frozen=True)
class Duplicate:
    lead: Lead
    reasons: tuple[str | Promise, ...]


@dataclass(frozen=True)
class Difference:
    """One column of two leads; `is_different`: the merge drops what the loser says."""

    label: str
    winner: str
    loser: str
    is_different: bool


def duplicates_of(lead: Lead, among: LeadQuerySet) -> list[Duplicate]:
    """Live leads with the same number, e-mail, document or a similar name; two statements."""
    numbers = _numbers_of(lead)
    condition = _same(lead, numbers)
    if condition is None:
        return []
    others = among.live().filter(condition, is_simulated=lead.is_simulated).exclude(pk=lead.pk)
    found = others.prefetch_related("identities").order_by("-id")[:MOST]
    pairs = (Duplicate(other, _reasons(lead, other, numbers)) for other in found)
    return sorted(pairs, key=lambda one: -len(one.reasons))


def differences(winner: Lead, loser: Lead) -> list[Difference]:
    """What stands on both sides. What the winner lacks is taken from the other."""
    return [_difference(winner, loser, name) for name in _COMPARED]


_COMPARED = ("name", "phone", "email", "document", "company", "need", "status", "attendant")


def _difference(winner: Lead, loser: Lead, name: str) -> Difference:
    mine, theirs = _shown(winner, name), _shown(loser, name)
    field = Lead._meta.get_field(name)
    label = str(getattr(field, "verbose_name", name))
    is_different = bool(mine and theirs) and mine.casefold() != theirs.casefold()
    return Difference(label, mine, theirs, is_different)


def _shown(lead: Lead, name: str) -> str:
    match name:
        case "document":
            return hint(lead.document)
        case "phone":
            return spaced(lead.phone)
        case "status":
            return str(lead.get_status_display())
    value: Any = getattr(lead, name)
    return "" if value is None else str(value)


def _numbers_of(lead: Lead) -> frozenset[str]:
    """Digits of every form of every number of the lead."""
    known = lead.identities.filter(scheme=Scheme.PHONE).values_list("address", flat=True)
    given = [*known, *([lead.phone] if lead.phone else [])]
    return frozenset(form for number in given for form in phone_variants(number))


def _same(lead: Lead, numbers: Collection[str]) -> Q | None:
    parts: list[Q] = []
    if numbers:
        by_channel = Identity.objects.filter(scheme=Scheme.PHONE, address__in=numbers)
        parts.append(Q(phone__in=[f"+{number}" for number in numbers]))
        parts.append(Q(pk__in=by_channel.values("lead")))
    if lead.email:
        parts.append(Q(email__iexact=lead.email))
    if lead.document:
        parts.append(Q(document=lead.document))
    words = lead.name.split()
    if len(words) >= SHORTEST_NAME:
        parts.append(Q(name__icontains=words[0]) & Q(name__icontains=words[-1]))
    if not parts:
        return None
    condition = parts[0]
    for part in parts[1:]:
        condition |= part
    return condition


def _reasons(lead: Lead, other: Lead, numbers: Collection[str]) -> tuple[str | Promise, ...]:
    theirs = {one.address for one in other.identities.all() if one.scheme == Scheme.PHONE}
    theirs |= {other.phone.removeprefix("+")} if other.phone else set()
    reasons: list[str | Promise] = []
    if theirs.intersection(numbers):
        reasons.append(_("same phone"))
    if lead.email and lead.email.casefold() == other.email.casefold():
        reasons.append(_("same e-mail"))
    if lead.document and lead.document == other.document:
        reasons.append(_("same CPF or CNPJ"))
    return tuple(reasons) or (_("similar name"),)
