"""Processes for the races of distribution: `python -m tickets.tests.shift <part> <count> …`.

One that knows the program forks the others, since starting it takes longer than what they do.
`open <count> <session>…` opens a ticket in each conversation; `work <givers> <workers>` gives out,
accepts and resolves, and lets people come and go, until it is told to stop.
"""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from time import sleep

import django

django.setup()

from django.db import transaction  # noqa: E402  # the apps must be ready
from django.utils import timezone  # noqa: E402

from sessions_app.services import lock_session  # noqa: E402
from tickets import services  # noqa: E402
from tickets.distribution import tick  # noqa: E402
from tickets.models import Ticket  # noqa: E402
from tickets.services import Next  # noqa: E402
from users.errors import DomainError  # noqa: E402
from users.models import Availability, User  # noqa: E402
from users.services import set_availability  # noqa: E402

stopped: list[int] = []
children: list[int] = []


def main(part: str, *arguments: str) -> int:
    signal.signal(signal.SIGTERM, stop)
    numbers = [int(one) for one in arguments]
    match part:
        case "open":
            count, *sessions = numbers
            for number in range(count):
                fork(lambda number=number: open_all(sessions[number::count]))
        case "work":
            givers, workers = numbers
            for _ in range(givers):
                fork(give_out)
            for number in range(workers):
                fork(lambda number=number: work(number, workers))
    return max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children)


def stop(number: int, _frame: object) -> None:
    stopped.append(number)
    for child in children:
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGTERM)


def fork(part: Callable[[], None]) -> None:
    """No connection is open yet, so none is shared."""
    child = os.fork()
    if child:
        children.append(child)
        return
    children.clear()
    part()
    os._exit(0)


def open_all(sessions: list[int]) -> None:
    for pk in sessions:
        with transaction.atomic():
            services.open_ticket(lock_session(pk), department="vendas", at=timezone.now())


def give_out() -> None:
    while not stopped:
        if not tick(timezone.now()).assigned:
            sleep(0.2)


def work(number: int, of: int) -> None:
    people = list(User.objects.filter(username__startswith="p").order_by("pk"))[number::of]
    chance = random.Random(number)  # noqa: S311  # the same coming and going each time
    while not stopped:
        theirs = Ticket.objects.open().filter(assignee__in=people).select_related("assignee")
        for ticket in theirs.order_by("pk"):
            finish(ticket)
        if chance.random() < 0.3:
            come_or_go(chance.choice(people), chance)
        sleep(0.1)


def finish(ticket: Ticket) -> None:
    """Unless it went to somebody else meanwhile."""
    user = ticket.assignee
    with suppress(DomainError):
        services.claim(ticket, user=user)
        services.resolve(ticket, actor=user, then=Next.BOT)


def come_or_go(user: User, chance: random.Random) -> None:
    states = [Availability.AVAILABLE, Availability.AVAILABLE, *Availability]
    set_availability(user, availability=chance.choice(states), at=timezone.now())


if __name__ == "__main__":
    try:
        code = main(*sys.argv[1:])
    except Exception:
        sys.excepthook(*sys.exc_info())
        code = 1
    os._exit(code)
