"""A decision as it is kept: enough to make it again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from tickets.distribution.deciding import POLICY, Candidate, Decision, Rules, decide
from tickets.models import AssignmentDecision, DecisionOutcome, Ticket

_FACTS = frozenset(one.name for one in fields(Candidate))
MORE = {"excluded", "load", "taken"}  # what followed from the facts, beside them


def keep(
    ticket: Ticket,
    decision: Decision,
    *,
    rules: Rules,
    candidates: Iterable[Candidate],
    at: datetime,
) -> AssignmentDecision:
    """Before anything is done about it: the department is the one that decided."""
    return AssignmentDecision.objects.create(
        ticket=ticket,
        department_id=ticket.department_id,
        outcome=decision.outcome,
        chosen_id=decision.chosen,
        tie_break=decision.tie_break,
        policy=rules.policy,
        reason=decision.reasons if decision.chosen is None else "",
        rules=_plain_rules(rules),
        candidates=[_plain(one, decision) for one in candidates],
        at=at,
    )


def keep_return(ticket: Ticket, *, at: datetime) -> AssignmentDecision:
    """Whoever was chosen has let the ticket lie: it is not theirs for this stay in the queue."""
    return AssignmentDecision.objects.create(
        ticket=ticket,
        department_id=ticket.department_id,
        outcome=DecisionOutcome.RETURNED,
        chosen_id=ticket.assignee_id,
        policy=POLICY,
        at=at,
    )


def rules_of(row: AssignmentDecision) -> Rules:
    stored = row.rules
    return Rules(**{**stored, "needs": tuple(stored.get("needs", ()))})


def candidates_of(row: AssignmentDecision) -> list[Candidate]:
    return [_candidate(stored) for stored in row.candidates]


def rederive(row: AssignmentDecision) -> Decision:
    """What the rule says to the same facts today."""
    return decide(rules_of(row), candidates_of(row))


def is_rederived(row: AssignmentDecision) -> bool:
    """Does the rule still say what was decided? What was returned was nobody's decision."""
    if row.outcome == DecisionOutcome.RETURNED:
        return True
    again = rederive(row)
    results = [_plain(one, again) for one in candidates_of(row)]
    told = (row.outcome, row.tie_break, row.candidates)
    # Somebody who is gone leaves no number behind, and what they were is still in the facts.
    is_same_person = row.chosen_id in (again.chosen, None)
    return is_same_person and (again.outcome, again.tie_break, results) == told


def _plain_rules(rules: Rules) -> dict[str, Any]:
    return {**asdict(rules), "needs": list(rules.needs)}


def _plain(one: Candidate, decision: Decision) -> dict[str, Any]:
    received = one.last_received_at
    excluded: Sequence[str] = decision.exclusions.get(one.id, ())
    return {
        **asdict(one),
        "skills": list(one.skills),
        "availability": str(one.availability),
        "last_received_at": received.isoformat() if received else None,
        "excluded": list(excluded),
        "load": one.load,
        "taken": one.taken,
    }


def _candidate(stored: dict[str, Any]) -> Candidate:
    received = stored["last_received_at"]
    return Candidate(
        **{
            **{name: stored[name] for name in _FACTS & stored.keys()},
            "skills": tuple(stored["skills"]),
            "last_received_at": parse_datetime(received) if received else None,
        }
    )
