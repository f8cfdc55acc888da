"""Real processes on PostgreSQL: many who open tickets, people who come and go, and several who give
out. `DISTRIBUTION_SCALE=1` runs the full figures: 1,000 tickets and 2,000 claims."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from functools import partial
from time import monotonic, sleep
from urllib.parse import quote, urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection
from django.db.models import Count
from django.utils import timezone

from leads.tests.recipes import davi
from sessions_app.models import Owner, Session
from sessions_app.tests import recipes as sessions
from tickets import services
from tickets.distribution import records, tick
from tickets.errors import TicketConflict
from tickets.models import (
    AssignmentDecision,
    DecisionOutcome,
    Ticket,
    TicketEvent,
    TicketEventKind,
)
from tickets.tests import recipes
from tickets.tests.test_distribution import person, vendas
from users.models import Availability, User
from users.tests.racing import at_once

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]

SCALE = float(os.environ.get("DISTRIBUTION_SCALE", "0.12"))
TICKETS, CLAIMS = round(1000 * SCALE), round(2000 * SCALE)
OPENERS, PEOPLE, SLOTS, GIVERS = 16, 20, 4, 3
PATIENCE = 900 * max(SCALE, 0.3)  # seconds: of a busy machine


def database_url():
    """The test's own database, as another process reaches it."""
    parts = urlsplit(os.environ["TEST_PG_URL"])
    return urlunsplit(parts._replace(path="/" + quote(connection.settings_dict["NAME"])))


def start(part, *arguments):
    """A process of its own that plays a part of `tickets.tests.shift`."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATABASE_URL": database_url(),
    }
    program = [sys.executable, "-m", "tickets.tests.shift", part, *map(str, arguments)]
    return subprocess.Popen(program, cwd=settings.BASE_DIR, env=environment)


def left():
    return Ticket.objects.open().count()


def above_their_slots():
    """How many people have more than they should."""
    counted = Ticket.objects.open().exclude(assignee=None).values("assignee")
    return counted.annotate(taken=Count("pk")).filter(taken__gt=SLOTS).order_by().count()


def test_tickets_opened_at_once_are_given_out_once_each_evenly_and_never_above_the_slots():
    vendas(accept_minutes=1)
    people = [person(f"p{number:02}", capacity=SLOTS) for number in range(PEOPLE)]
    opened = [sessions.session(davi()).pk for _ in range(TICKETS)]
    shift = start("work", GIVERS, 2)
    openers = start("open", OPENERS, *opened)
    try:
        until = monotonic() + PATIENCE
        above = 0
        while (openers.poll() is None or left()) and monotonic() < until:
            above = max(above, above_their_slots())
            sleep(0.2)
        assert (openers.poll(), left(), above) == (0, 0, 0)
    finally:
        shift.terminate()
        openers.kill()
        assert shift.wait(60) == 0

    assert Ticket.objects.count() == TICKETS
    assert not Session.objects.exclude(owner=Owner.BOT).exists()
    given = Counter(TicketEvent.objects.filter(kind="assigned").values_list("ticket", flat=True))
    returned = Counter(
        AssignmentDecision.objects.filter(outcome="returned").values_list("ticket", flat=True)
    )
    assert all(count == 1 + returned[ticket] for ticket, count in given.items())
    assert len(given) == TICKETS
    decisions = list(AssignmentDecision.objects.all())
    assert all(map(records.is_rederived, decisions))
    for one in decisions:
        if one.outcome == DecisionOutcome.ASSIGNED:
            assert_fair(one)

    User.objects.update(availability=Availability.AVAILABLE)
    number = PEOPLE * 2 + PEOPLE // 2
    for _ in range(number):
        recipes.ticket(sessions.session(davi()))
    at_once(*[partial(tick, timezone.now())] * 2)
    tick(timezone.now())  # what one of them left to the other
    loads = [one.assigned_tickets.open().count() for one in people]  # type: ignore[attr-defined]
    assert (sum(loads), max(loads) - min(loads)) == (number, 1)


def assert_fair(decision):
    """Of those who could, the chosen one had the least to do, and a free slot."""
    able = [one for one in decision.candidates if not one["excluded"]]
    chosen = next(one for one in decision.candidates if one["id"] == decision.chosen_id)
    assert chosen["taken"] < chosen["slots"]
    assert not able or chosen["load"] == min(one["load"] for one in able)


def test_of_those_who_claim_one_ticket_at_once_one_wins_also_against_distribution():
    """Two people and one who gives out, for each ticket."""
    vendas()
    one, two = person("um", capacity=10_000), person("dois", capacity=10_000)
    at = 100
    for _ in range(max(1, CLAIMS // at)):
        batch = [recipes.ticket(sessions.session(davi())) for _ in range(at)]
        pks = [ticket.pk for ticket in batch]
        claims = [partial(claim_all, pks, user) for user in (one, two)]
        won = at_once(*claims, partial(tick, timezone.now()))
        assert not [problem for problem in won if isinstance(problem, Exception)]
        mine, theirs, given = set(won[0]), set(won[1]), won[2].assigned
        for ticket in Ticket.objects.filter(pk__in=pks).select_related("assignee", "session"):
            assert ticket.session.owner == Owner.ATTENDANT
            assert ticket.assignee in {one, two}
            winners = {one.pk: mine, two.pk: theirs}
            assert ticket.pk not in winners[two.pk if ticket.assignee == one else one.pk]
        assert not mine & theirs
        assert given + len(mine | theirs) >= at
        events = TicketEvent.objects.filter(ticket__in=pks)
        claimed = events.filter(kind=TicketEventKind.CLAIMED).values_list("ticket", flat=True)
        assert max(Counter(claimed).values()) == 1


def claim_all(pks, user):
    """Those of them that were won."""
    won = []
    for ticket in Ticket.objects.filter(pk__in=pks):
        try:
            services.claim(ticket, user=user)
        except TicketConflict:
            continue
        won.append(ticket.pk)
    return won


def test_a_claim_does_not_let_distribution_go_above_the_slots():
    vendas()
    user = person("um", capacity=3)
    for _ in range(10):
        Ticket.objects.open().update(status="closed")
        first, *rest = [recipes.ticket(sessions.session(davi())) for _ in range(4)]
        results = at_once(
            partial(services.claim, Ticket.objects.get(pk=first.pk), user=user),
            partial(tick, timezone.now()),
        )
        problems = [one for one in results if isinstance(one, Exception)]
        assert all(isinstance(one, TicketConflict) for one in problems)
        taken = user.assigned_tickets.open().count()
        given = AssignmentDecision.objects.filter(outcome="assigned")
        assert all(map(records.is_rederived, given))
        assert taken <= 3
        assert rest
