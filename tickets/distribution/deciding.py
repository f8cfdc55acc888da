"""Who gets a ticket: a pure function of rules and candidates, so that a stored decision can be made
again.

Able to take it is who is active, may reply, is in the department, available, within their hours,
has the skills that the ticket needs and a free slot, and has not let it lie or given it back. Of
these the lead's own attendant comes first, if the department wants that; then who has the least to
do; then who has gone longest without receiving; then the lowest number. Who let it lie is asked
again when nobody else could take it and it does not go to another department.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.db import models
from django.utils.translation import gettext_lazy as _

from tickets.models import DecisionOutcome
from users.models import Availability

POLICY = "least_loaded"  # another rule gets another name: old decisions are judged by theirs

# What a ticket weighs for whoever has it, by its status; one that is put aside weighs nothing. A
# customer who is waited for may come back at any moment, but asks for nothing now.
WEIGHTS = {"open": 2, "in_progress": 2, "waiting_customer": 1, "snoozed": 0}
LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Exclusion(models.TextChoices):
    """Why somebody could not take a ticket."""

    INACTIVE = "inactive", _("not active any more")
    CANNOT_REPLY = "cannot_reply", _("may not answer customers")
    NOT_MEMBER = "not_member", _("not in the department")
    OFFLINE = "offline", _("offline")
    PAUSED = "paused", _("paused")
    HOURS = "hours", _("outside of their hours")
    SKILLS = "skills", _("without the skills needed")
    NO_SLOTS = "no_slots", _("takes no tickets")
    FULL = "full", _("no free slot")
    DECLINED = "declined", _("did not accept it, or gave it back")


class TieBreak(models.TextChoices):
    """What decided among those who could."""

    ONLY = "only", _("the only one who could")
    OWN = "own", _("the lead's own attendant")
    LOAD = "load", _("the least to do")
    WAITED = "waited", _("as little to do, and the longest without receiving")
    FIRST = "first", _("all the same, the first of the list")


@dataclass(frozen=True)
class Rules:
    """What the department and the ticket ask for."""

    prefers_attendant: bool = True
    needs: tuple[str, ...] = ()  # skills, by name
    overflows: bool = False  # has waited long enough for another department to take it
    policy: str = POLICY


@dataclass(frozen=True)
class Candidate:
    """One person, as far as the rule looks at them. The four counts are their open tickets by
    status; those put aside are `snoozed` and nothing else."""

    id: int
    name: str
    is_active: bool = True
    may_reply: bool = True
    is_member: bool = True
    availability: str = Availability.AVAILABLE
    in_hours: bool = True
    skills: tuple[str, ...] = ()
    slots: int = 0
    open: int = 0
    in_progress: int = 0
    waiting_customer: int = 0
    snoozed: int = 0
    last_received_at: datetime | None = None
    has_declined: bool = False
    is_own: bool = False  # takes care of the lead

    @property
    def taken(self) -> int:
        """How many slots are used: open tickets that are not put aside."""
        return self.open + self.in_progress + self.waiting_customer

    @property
    def load(self) -> int:
        return sum(weight * int(getattr(self, name)) for name, weight in WEIGHTS.items())

    def with_one_more(self, at: datetime) -> Candidate:
        """After receiving a ticket at that moment."""
        return replace(self, open=self.open + 1, last_received_at=at)


@dataclass(frozen=True)
class Decision:
    """`exclusions`: by the number of each person who could not take it, why."""

    outcome: DecisionOutcome
    chosen: int | None
    tie_break: str
    exclusions: dict[int, tuple[str, ...]]

    @property
    def reasons(self) -> str:
        """What stood in the way of anybody, each once: two decisions for nobody that say the same
        are the same."""
        return ",".join(sorted({one for why in self.exclusions.values() for one in why}))


def decide(rules: Rules, candidates: Iterable[Candidate]) -> Decision:
    people = list(candidates)
    exclusions = {one.id: exclusions_of(one, rules) for one in people}
    able = [one for one in people if not exclusions[one.id]]
    if not able and rules.overflows:
        return Decision(DecisionOutcome.OVERFLOW, None, "", exclusions)
    if not able:
        able = [one for one in people if exclusions[one.id] == (Exclusion.DECLINED,)]
    if not able:
        return Decision(DecisionOutcome.NOBODY, None, "", exclusions)
    chosen, tie_break = _best(able, prefers_attendant=rules.prefers_attendant)
    left_out = {number: why for number, why in exclusions.items() if number != chosen.id and why}
    return Decision(DecisionOutcome.ASSIGNED, chosen.id, tie_break, left_out)


def exclusions_of(one: Candidate, rules: Rules) -> tuple[str, ...]:
    """Everything that stands in the way; nothing when this person could take it."""
    why = {
        Exclusion.INACTIVE: not one.is_active,
        Exclusion.CANNOT_REPLY: not one.may_reply,
        Exclusion.NOT_MEMBER: not one.is_member,
        Exclusion.OFFLINE: one.availability == Availability.OFFLINE,
        Exclusion.PAUSED: one.availability == Availability.PAUSED,
        Exclusion.HOURS: not one.in_hours,
        Exclusion.SKILLS: not set(rules.needs) <= set(one.skills),
        Exclusion.NO_SLOTS: one.slots == 0,
        Exclusion.FULL: 0 < one.slots <= one.taken,
        Exclusion.DECLINED: one.has_declined,
    }
    return tuple(reason.value for reason, holds in why.items() if holds)


def _best(able: Sequence[Candidate], *, prefers_attendant: bool) -> tuple[Candidate, TieBreak]:
    if len(able) == 1:
        return able[0], TieBreak.ONLY
    own = [one for one in able if one.is_own]
    if prefers_attendant and own:
        return own[0], TieBreak.OWN
    ranked = sorted(able, key=_rank)
    first, second = ranked[:2]
    if first.load < second.load:
        return first, TieBreak.LOAD
    if _received(first) < _received(second):
        return first, TieBreak.WAITED
    return first, TieBreak.FIRST


def _rank(one: Candidate) -> tuple[int, datetime, int]:
    return one.load, _received(one), one.id


def _received(one: Candidate) -> datetime:
    return one.last_received_at or LONG_AGO
