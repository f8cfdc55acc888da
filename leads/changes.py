"""One field of a lead changed on its page, and taken back from the toast that tells of it.

What it held is kept with the login, not in the address of the undo: addresses end up in logs.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils.crypto import get_random_string
from django.utils.translation import gettext as _

from leads import columns
from leads.models import Lead
from leads.services import LeadRefusal, lock_lead, set_attendant, update_lead
from users.models import User

UNDONE_WITHIN = timedelta(minutes=2)
KEPT = 5  # changes of a login: older ones are not offered any more
KEY = "lead_changes"
STATUS, ATTENDANT = "status", "attendant"
UNDONE = "undone"  # the reason of a move in the funnel that was taken back


@dataclass(frozen=True)
class Change:
    """What a field held and holds now, as texts; an attendant as an id."""

    name: str
    before: str
    after: str

    @property
    def is_none(self) -> bool:
        return self.before == self.after


def value_of(lead: Lead, name: str) -> str:
    value = lead.attendant_id if name == ATTENDANT else getattr(lead, name)
    return "" if value is None else str(value)


def remember(login: MutableMapping[str, Any], lead: Lead, change: Change, *, at: datetime) -> str:
    """Keep the change for an undo; the word that names it."""
    word = get_random_string(16)
    kept = dict(list(login.get(KEY, {}).items())[1 - KEPT :])
    said = [lead.pk, change.name, change.before, change.after, at.timestamp()]
    login[KEY] = {**kept, word: said}
    return word


@transaction.atomic
def take_back(
    login: MutableMapping[str, Any], lead: Lead, word: str, *, actor: User, at: datetime
) -> None:
    """Undo the change that `word` names. Raises LeadRefusal when it is too old, of another lead or
    login, or when somebody has changed the field since."""
    change = _kept(login, lead, word, at)
    lock_lead(lead)
    if value_of(lead, change.name) != change.after:
        raise LeadRefusal(
            _("Somebody has changed this since. Nothing was undone."), code="changed_since"
        )
    write(lead, change.name, change.before, actor=actor, reason=UNDONE)


def write(lead: Lead, name: str, value: str, *, actor: User, reason: str = "") -> None:
    """Write one field as a person says it, by the service that it belongs to."""
    if name == ATTENDANT:
        attendant = User.objects.filter(pk=value).first() if value else None
        set_attendant(lead, attendant=attendant, actor=actor)
    elif name == STATUS:
        update_lead(lead, status=value, actor=actor, reason=reason)
    elif name in columns.CLEANERS:
        update_lead(lead, fields={name: value}, actor=actor)


def _kept(login: MutableMapping[str, Any], lead: Lead, word: str, at: datetime) -> Change:
    pk, name, before, after, said_at = login.get(KEY, {}).get(word, (None, "", "", "", 0))
    if pk != lead.pk or at.timestamp() - said_at > UNDONE_WITHIN.total_seconds():
        raise _too_late()
    return Change(name, before, after)


def _too_late() -> LeadRefusal:
    return LeadRefusal(_("It is too late to undo this."), code="too_late")
