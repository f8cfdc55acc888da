"""A decision as people read it: who was looked at, who was left out and why, what decided."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from tickets.distribution.deciding import WEIGHTS, Candidate, Exclusion, TieBreak
from tickets.distribution.records import candidates_of, rules_of
from tickets.models import AssignmentDecision, DecisionOutcome


@dataclass(frozen=True)
class Line:
    """One person, as the decision saw them."""

    name: str
    is_chosen: bool
    why_not: str
    slots: str
    load: int
    received: str


@dataclass(frozen=True)
class Told:
    title: str
    sentence: str
    at: datetime
    needs: str
    lines: tuple[Line, ...]
    row: AssignmentDecision


def told(row: AssignmentDecision) -> Told:
    """No statement, when department and chosen are read already."""
    is_returned = row.outcome == DecisionOutcome.RETURNED
    return Told(
        title=_title(row),
        sentence=_sentence(row),
        at=row.at,
        needs="" if is_returned else ", ".join(rules_of(row).needs),
        lines=() if is_returned else _lines(row),
        row=row,
    )


def weights_in_words() -> str:
    """What counts as load, from the rule itself."""
    return _(
        "Load: a ticket that is open weighs %(open)d, one in progress %(in_progress)d, one that "
        "waits for the customer %(waiting_customer)d, one put aside %(snoozed)d. A slot is taken "
        "by each that is not put aside."
    ) % {**WEIGHTS}


def reasons_in_words(codes: str) -> str:
    """The reasons of a record that chose nobody, without people."""
    names = dict(Exclusion.choices)
    return ", ".join(str(names.get(code, code)) for code in codes.split(",") if code)


def _title(row: AssignmentDecision) -> str:
    match DecisionOutcome(row.outcome):
        case DecisionOutcome.ASSIGNED:
            return _("Why %(name)s?") % {"name": row.chosen or _("somebody")}
        case DecisionOutcome.RETURNED:
            return _("Not accepted in time")
        case DecisionOutcome.OVERFLOW:
            return _("To another department")
    return _("Still in the queue")


def _sentence(row: AssignmentDecision) -> str:
    match DecisionOutcome(row.outcome):
        case DecisionOutcome.ASSIGNED:
            known = dict(TieBreak.choices)
            return capfirst(str(known.get(row.tie_break, row.tie_break)))
        case DecisionOutcome.RETURNED:
            return _("%(name)s did not accept it in time: it went back to the queue.") % {
                "name": row.chosen or _("Somebody")
            }
        case DecisionOutcome.OVERFLOW:
            return _("Nobody of %(department)s could take it for too long.") % {
                "department": row.department or "–"
            }
    if not row.reason:
        return _("Nobody is in %(department)s.") % {"department": row.department or "–"}
    return _("Nobody could take it: %(reasons)s.") % {"reasons": reasons_in_words(row.reason)}


def _lines(row: AssignmentDecision) -> tuple[Line, ...]:
    names = dict(Exclusion.choices)
    chosen = row.chosen_id
    found = []
    for one, stored in zip(candidates_of(row), row.candidates, strict=True):
        why = ", ".join(str(names.get(code, code)) for code in stored["excluded"])
        found.append(_line(one, is_chosen=one.id == chosen, why="" if one.id == chosen else why))
    return tuple(sorted(found, key=_place))


def _place(line: Line) -> tuple[bool, bool, int]:
    return not line.is_chosen, bool(line.why_not), line.load


def _line(one: Candidate, *, is_chosen: bool, why: str) -> Line:
    received = one.last_received_at
    return Line(
        name=one.name,
        is_chosen=is_chosen,
        why_not=why,
        slots=f"{one.taken}/{one.slots}",
        load=one.load,
        received=date_format(localtime(received), "SHORT_DATETIME_FORMAT") if received else "–",
    )
