"""What the pages of the console cost on this database: statements, and time in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db import connection
from django.db.models import Count
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import NoReverseMatch, reverse

from chatbot.benchmark_polls import Poll, Polls
from chatbot.models import MessageLog
from leads.models import Lead
from tickets.models import Ticket
from users.models import User

TIMES = 5  # of which the median counts; one before them fills what is cached
OK = 200
SEARCHED = "fatura"


class NothingToShow(Exception):
    """There is no ticket, or nobody who could open one."""


@dataclass(frozen=True)
class Cost:
    """Of one page for one person."""

    name: str
    statements: int
    milliseconds: float
    kilobytes: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure() -> Iterator[Cost]:
    """The pages of an attendant's day, then every list of an admin."""
    attendant = _attendant()
    client = _client(attendant)
    for name, path in _daily(client, attendant):
        yield _cost(client, name, path)
    boss = User.objects.active().admins().order_by("pk").first()
    if boss is None:
        return
    client = _client(boss)
    for name, path in _lists():
        yield _cost(client, name, path)


def _daily(client: Client, user: User) -> Iterator[tuple[str, str]]:
    inbox = reverse("admin:tickets_ticket_changelist")
    ticket = _longest(user)
    session = ticket.session_id
    yield "start page", reverse("admin:index")
    yield "inbox", inbox
    yield "inbox, searched", f"{inbox}?q={SEARCHED}"
    page = reverse("admin:tickets_ticket_change", args=[ticket.pk])
    yield "ticket", page
    for poll in _polls(client, page):
        yield f"poll {poll.key.rstrip('0123456789-')}", poll.path
    yield "lead", reverse("admin:leads_lead_change", args=[ticket.lead_id])
    yield "session", reverse("admin:sessions_app_session_change", args=[session])
    for name, address, query in (
        ("search for a word", "search", f"?q={SEARCHED}"),
        ("search for a protocol", "search", f"?q={ticket.protocol}"),
    ):
        try:
            yield name, reverse(address) + query
        except NoReverseMatch:
            continue


def _polls(client: Client, page: str) -> list[Poll]:
    """What the open page asks for again and again; a heartbeat is a POST and counts elsewhere."""
    polls = Polls()
    polls.read(client.get(page, secure=settings.IS_HTTPS).content.decode())
    return [one for one in polls.polls.values() if one.method == "GET"]


def _lists() -> Iterator[tuple[str, str]]:
    for model in sorted(admin.site._registry, key=lambda one: one._meta.label):
        meta = model._meta
        path = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        yield f"list of {meta.label}", path


def _attendant() -> User:
    """Whoever has most to do."""
    open_tickets = Ticket.objects.open().exclude(assignee=None).order_by()
    busiest = open_tickets.values("assignee").annotate(n=Count("pk")).order_by("-n", "assignee")
    for row in busiest[:1]:
        return User.objects.get(pk=row["assignee"])
    raise NothingToShow("Nobody has an open ticket here: run benchmark fill, or seed_demo.")


def _longest(user: User) -> Ticket:
    """Of their open tickets the one about which most was said."""
    mine = list(Ticket.objects.open().filter(assignee=user).order_by("-pk")[:50])
    counted = MessageLog.objects.filter(session__in=[one.session_id for one in mine]).order_by()
    longest = dict(counted.values_list("session").annotate(n=Count("pk")))
    return max(mine, key=lambda one: longest.get(one.session_id, 0))


def _client(user: User) -> Client:
    client = Client(SERVER_NAME=settings.SITE_HOST, raise_request_exception=True)
    client.force_login(user, backend=settings.AUTHENTICATION_BACKENDS[-1])
    return client


def _cost(client: Client, name: str, path: str) -> Cost:
    def ask() -> Any:
        response = client.get(path, secure=settings.IS_HTTPS, follow=True)
        if response.status_code not in (OK, 204):
            raise ValueError(f"{path} answered {response.status_code}")
        return response

    ask()
    with CaptureQueriesContext(connection) as statements:
        response = ask()
    return Cost(name, len(statements), _median_of(ask), len(response.content) / 1024)


def _median_of(work: Callable[[], Any]) -> float:
    taken = []
    for _round in range(TIMES):
        began = perf_counter()
        work()
        taken.append((perf_counter() - began) * 1000)
    return median(taken)


def counts() -> dict[str, int]:
    """How large the database is."""
    models = (MessageLog, Lead, Ticket)
    return {str(one._meta.model_name): one.objects.count() for one in models}
