"""Replay a past stretch of a department under other rules, and compare waits and loads."""

from __future__ import annotations

from argparse import ArgumentTypeError
from datetime import date, datetime, time, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from tickets.distribution import what_if
from users.durations import duration_in_words
from users.models import Department

BAR = 30  # characters
MOST = 999  # slots, or minutes
POLICIES = {"automatic": True, "automatic-without-own": False}  # does the own attendant come first?


class Command(BaseCommand):
    help = "Replay a department's past tickets under other rules of distribution. Writes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--department", required=True, metavar="SLUG")
        parser.add_argument("--from", dest="begins", type=_day, metavar="YYYY-MM-DD")
        parser.add_argument("--to", dest="ends", type=_day, metavar="YYYY-MM-DD", help="Included.")
        parser.add_argument("--policy", choices=POLICIES, default="automatic")
        parser.add_argument("--slots", type=_number, help="Of each person; else their own.")
        parser.add_argument("--accept-minutes", type=_number, help="Else there is no limit.")

    def handle(self, *args: Any, **options: Any) -> None:
        department = Department.objects.select_related("calendar").filter(
            slug=options["department"]
        )
        found = department.first()
        if found is None:
            raise CommandError(f"There is no department {options['department']}.")
        last = options["ends"] or timezone.localdate() - timedelta(days=1)
        first = options["begins"] or last - timedelta(days=6)
        if not first <= last or last - first > what_if.LONGEST:
            raise CommandError(f"Choose 1 to {what_if.LONGEST.days} days, the first one first.")
        week = what_if.read(found, _midnight(first), _midnight(last + timedelta(days=1)))
        policy = what_if.Policy(
            prefers_attendant=POLICIES[options["policy"]],
            accept_minutes=options["accept_minutes"],
            slots=options["slots"],
        )
        would = what_if.simulate(week, policy, progress=self._bar(len(week.cases)))
        self._compare(week, what_if.as_it_was(week), would)

    def _bar(self, total: int) -> Any:
        """On a terminal, drawn anew each hundredth."""

        def draw(done: int) -> None:
            is_step = done == total or done % max(1, total // 100) == 0
            if is_step and self.stderr.isatty():
                full = BAR * done // total
                line = f"\r[{'#' * full}{'.' * (BAR - full)}] {done}/{total}"
                self.stderr.write(line, ending="\n" if done == total else "")

        return draw

    def _compare(self, week: what_if.Week, was: what_if.Result, would: what_if.Result) -> None:
        self.stdout.write(f"{week.department}: {len(week.cases)} tickets")
        self._row("", "as it was", "would be")
        for name, share in (("wait, half of them", 0.5), ("wait, nine of ten", 0.9)):
            self._row(name, _said(was.wait(share)), _said(would.wait(share)))
        self._row("longest wait", _said(was.wait(1)), _said(would.wait(1)))
        self._row("never taken up", was.left, would.left)
        self._row("not accepted in time", was.returned, would.returned)
        self._row("most minus fewest received", was.spread, would.spread)
        for user, name in week.names.items():
            counts = [(one.received[user], one.peaks.get(user, 0)) for one in (was, would)]
            if any(map(any, counts)):
                self._row(name, *(f"{got}, {peak} at once" for got, peak in counts))
        self.stdout.write("Assumed:")
        for line in what_if.ASSUMPTIONS:
            self.stdout.write(f"- {line}")

    def _row(self, name: str, was: object, would: object) -> None:
        self.stdout.write(f"{name:28}{was!s:>18}{would!s:>18}")


def _said(wait: timedelta | None) -> str:
    return "–" if wait is None else duration_in_words(wait)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))  # made aware here


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"{text} is no day like 2026-11-26") from error


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST:
        raise ArgumentTypeError(f"{text} is no whole number from 1 to {MOST}")
    return int(text)
