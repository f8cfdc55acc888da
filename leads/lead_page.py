"""What the page of a lead shows beside its form: funnel, ways to reach the person, privacy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from leads.models import (
    CONTACT_PURPOSE,
    Consent,
    Lead,
    LeadStatus,
    LeadStatusChange,
    Tag,
)
from leads.services import FUNNEL
from users import contact
from users.masking import hint
from users.models import User

MOST_TAGS = 200  # offered; who needs another types its name
HIDDEN_LABELS = {contact.PHONE: _("phone"), contact.EMAIL: _("e-mail")}
CITY_NAMES = ("cidade", "city")
STATE_NAMES = ("uf", "estado", "state")


@dataclass(frozen=True)
class Stage:
    """A step of the funnel: `state` is done, current or ahead; `is_back`: before the present
    one."""

    status: str
    label: str | Promise
    state: str
    is_back: bool


@dataclass(frozen=True)
class Funnel:
    """Where a lead stands, since when, and, for a lost one, why."""

    stages: tuple[Stage, ...]
    label: str
    since: datetime
    is_lost: bool
    reason: str = ""


@dataclass(frozen=True)
class Hidden:
    """A phone number or e-mail address that the person sees in part. Without a value there is
    nothing to show, and nothing that a person without it may not know."""

    name: str
    label: str | Promise
    value: str


@dataclass(frozen=True)
class Attribute:
    """What a flow or a program keeps of the person beside the columns."""

    name: str
    value: str
    is_masked: bool


def page_of(lead: Lead, user: User) -> dict[str, Any]:
    """The context of the page. `user` decides what is offered, not what is known: who sees a lead
    sees all of it."""
    return {
        "funnel": funnel_of(lead),
        "identities": lead.identities.order_by("-id"),
        "place": place_of(lead),
        "attributes": [attribute_of(lead, name) for name in lead.attributes],
        "consents": latest_consents(lead.consents.all()),
        "document": hint(lead.document),
        "hidden": [hidden_of(lead, name) for name in contact.RULES if contact.hides(name)],
        "tags_shown": tags_of(lead),
        "may_merge": user.has_perm("leads.delete_lead"),
        "may_export": user.is_admin,
    }


def funnel_of(lead: Lead) -> Funnel:
    line = [str(status) for status in FUNNEL]
    here = line.index(lead.status) if lead.status in line else None
    last = _last_move(lead)
    return Funnel(
        stages=tuple(_stage(status, place, here) for place, status in enumerate(FUNNEL)),
        label=lead.get_status_display(),
        since=last.created_at if last else lead.created_at,
        is_lost=lead.status == LeadStatus.LOST,
        reason=last.reason if last else "",
    )


def is_backward(current: str, wanted: str) -> bool:
    """Does this move undo what was reached? Then it is asked about first."""
    line = [str(status) for status in FUNNEL]
    return current in line and wanted in line and line.index(wanted) < line.index(current)


def tags_of(lead: Lead) -> dict[str, Any]:
    """The tags of a lead, and the others that there are, by name."""
    mine = list(lead.tags.all())
    others = Tag.objects.exclude(pk__in=[tag.pk for tag in mine])
    return {"mine": mine, "others": list(others[:MOST_TAGS])}


def latest_consents(consents: Iterable[Consent]) -> list[Consent]:
    """The last word on each purpose; being written to has its own place on the page."""
    latest: dict[str, Consent] = {}
    for consent in consents:  # newest first
        if consent.purpose != CONTACT_PURPOSE:
            latest.setdefault(consent.purpose, consent)
    return list(latest.values())


def attribute_of(lead: Lead, name: str, *, is_shown: bool = False) -> Attribute:
    """Whoever has a hidden one shown logs it."""
    text, is_masked = str(lead.attributes[name]), name in lead.hidden_attributes and not is_shown
    return Attribute(name, hint(text) if is_masked else text, is_masked)


def hidden_of(lead: Lead, name: str) -> Hidden:
    """The phone or e-mail of a lead, as whoever looks may see it."""
    shown = {
        contact.PHONE: contact.shown_phone(lead.phone or lead.channel_number),
        contact.EMAIL: contact.shown_email(lead.email),
    }
    return Hidden(name, HIDDEN_LABELS[name], shown[name])


def place_of(lead: Lead) -> str:
    """City and state, where a flow asked for them."""
    hidden = lead.hidden_attributes
    by_name = {
        str(name).casefold(): value for name, value in lead.attributes.items() if name not in hidden
    }
    parts = (
        next((str(by_name[name]) for name in names if by_name.get(name)), "")
        for names in (CITY_NAMES, STATE_NAMES)
    )
    return ", ".join(filter(None, parts))


def _stage(status: LeadStatus, place: int, here: int | None) -> Stage:
    is_back = here is not None and place < here
    state = "done" if is_back else "current" if place == here else "ahead"
    return Stage(status, status.label, state, is_back)


def _last_move(lead: Lead) -> LeadStatusChange | None:
    return lead.status_changes.filter(to_status=lead.status).first()
