"""Measure the program: its webhook, its pages, many attendants at once; and fill a database."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import benchmark, benchmark_fill, benchmark_pages
from chatbot.benchmark_attendants import Options
from chatbot.soak.database import NoDatabase, database_of
from chatbot.soak.environment import environment_of
from chatbot.soak.plan import Plan
from chatbot.soak.processes import free_port
from sessions_app.models import Channel, ChannelKind


class Command(BaseCommand):
    help = "Measures the program, or fills a database for measuring. See the help of each part."

    def add_arguments(self, parser: CommandParser) -> None:
        parts = parser.add_subparsers(dest="what", required=True)
        self._add_webhook(parts)
        fill = parts.add_parser("fill", help="Write years of conversations (PostgreSQL).")
        fill.add_argument("--messages", type=int, default=1_000_000, help="A tenth as many leads.")
        fill.add_argument("--yes", action="store_true", help="Write the rows without asking.")
        pages = parts.add_parser("pages", help="Statements and times of the console's pages.")
        pages.add_argument("--save", metavar="FILE", help="Keep what was measured, as JSON.")
        pages.add_argument("--against", metavar="FILE", help="Compare with what was kept.")
        self._add_attendants(parts)

    def handle(self, *args: Any, **options: Any) -> None:
        getattr(self, f"_{options['what']}")(options)

    # -- webhook

    def _add_webhook(self, parts: Any) -> None:
        parser = parts.add_parser(
            "webhook",
            help=(
                "Post signed messages of fictitious customers at a running server on this "
                "database: throughput, latency, CPU and SQL statements."
            ),
        )
        parser.add_argument("--url", default=settings.SITE_URL, help="Where the server listens.")
        parser.add_argument("--messages", type=int, default=2000)
        parser.add_argument("--contacts", type=int, default=500)
        parser.add_argument("--concurrency", type=int, default=8)
        parser.add_argument("--warmup", type=int, default=100)
        parser.add_argument("--yes", action="store_true", help="Write the rows without asking.")

    def _webhook(self, options: dict[str, Any]) -> None:
        channel = _channel()
        self._ask(options)
        url = f"{options['url'].rstrip('/')}/webhook/{channel.slug}"
        port = urlsplit(url).port or (443 if url.startswith("https") else 80)
        pids = {"server": benchmark.listening_pid(port), "database": benchmark.database_pid()}
        known = {name: pid for name, pid in pids.items() if pid is not None}
        contacts, concurrency = options["contacts"], options["concurrency"]
        try:
            if options["warmup"]:
                warm = benchmark.Load(channel, options["warmup"], contacts, concurrency)
                benchmark.post(url, warm, progress=lambda _done: None, pids={})
            load = benchmark.Load(channel, options["messages"], contacts, concurrency)
            result = benchmark.post(url, load, progress=self._progress(load.messages), pids=known)
            counts = benchmark.statements(load)
        except OSError as error:
            raise CommandError(f"{url} cannot be reached: {error}") from error
        except ValueError as error:
            raise CommandError(str(error)) from error
        self._report(load, result, counts)

    def _ask(self, options: dict[str, Any]) -> None:
        if options["yes"]:
            return
        if not sys.stdin.isatty():
            raise CommandError("This writes fictitious customers into the database. Say --yes.")
        if input("This writes fictitious customers into the database. Go on? [y/N] ") != "y":
            raise CommandError("Nothing was written.")

    def _progress(self, total: int) -> Any:
        def show(done: int) -> None:
            if sys.stderr.isatty() and (done % 50 == 0 or done == total):
                self.stderr.write(f"\r{done}/{total}", ending="" if done < total else "\n")

        return show

    def _report(
        self, load: benchmark.Load, result: benchmark.Result, counts: dict[str, int]
    ) -> None:
        statuses = ", ".join(f"{count} × {code}" for code, count in sorted(result.statuses.items()))
        lines = [
            f"messages     {load.messages} by {load.contacts} contacts, {load.concurrency} at once",
            f"answers      {statuses}",
            f"throughput   {result.per_second:.0f} messages/s",
            "latency ms   "
            + "  ".join(f"p{share} {result.percentile(share / 100):.1f}" for share in (50, 95, 99))
            + f"  max {max(result.times):.1f}",
        ]
        lines += [f"CPU {name:<8} {us:.0f} µs/message" for name, us in result.cpu_us.items()]
        lines += [f"statements   {count} for a {name}" for name, count in counts.items()]
        self.stdout.write("\n".join(lines))

    # -- fill and pages

    def _fill(self, options: dict[str, Any]) -> None:
        self._ask(options)
        try:
            for table in benchmark_fill.fill(options["messages"]):
                self.stderr.write(f"{table} …")
        except benchmark_fill.NotPossible as error:
            raise CommandError(str(error)) from error
        self.stdout.write(_sizes(benchmark_pages.counts()))

    def _pages(self, options: dict[str, Any]) -> None:
        kept = _kept(options["against"])
        before = {one["name"]: one for one in kept["pages"]} if kept else {}
        sizes = benchmark_pages.counts()
        self.stdout.write(_sizes(sizes) + (f"; against {_sizes(kept['sizes'])}" if kept else ""))
        found = []
        try:
            for cost in benchmark_pages.measure():
                found.append(cost)
                self.stdout.write(_line(cost, before.get(cost.name)))
        except (benchmark_pages.NothingToShow, ValueError) as error:
            raise CommandError(str(error)) from error
        if options["save"]:
            content = {"sizes": sizes, "pages": [one.as_json() for one in found]}
            Path(options["save"]).write_text(json.dumps(content, indent=1))

    # -- attendants

    def _add_attendants(self, parts: Any) -> None:
        parser = parts.add_parser(
            "attendants",
            help=(
                "Start the program on a PostgreSQL of its own, with attendants who keep tickets "
                "open while messages come in. Touches neither your database nor your .env."
            ),
        )
        parser.add_argument("--attendants", type=int, default=200)
        parser.add_argument("--rate", type=float, default=50.0, help="Messages a second.")
        parser.add_argument("--seconds", type=float, default=60.0)
        parser.add_argument("--messages", type=int, default=20_000, help="In the database before.")
        parser.add_argument("--web", type=int, default=2, help="Web processes.")
        parser.add_argument("--workers", type=int, default=1, help="Worker processes.")
        parser.add_argument(
            "--bot", type=float, default=20.0, help="Percent of the messages that the bot answers."
        )
        parser.add_argument(
            "--stay", type=float, default=120.0, help="Seconds until the next ticket is opened."
        )

    def _attendants(self, options: dict[str, Any]) -> None:
        """Another process takes over: this one is bound to the user's own settings."""
        names = ("attendants", "rate", "seconds", "messages", "web", "workers", "bot", "stay")
        folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
        wanted = Options(**{name: options[name] for name in names})
        plan = Plan(web=wanted.web, web_port=free_port(), graph_port=free_port(), rate=1000)
        try:
            database = database_of(plan, folder)
        except NoDatabase as error:
            folder.rmdir()
            raise CommandError(str(error)) from error
        plan.save(folder)
        wanted.save(folder)
        environment = environment_of(
            plan, folder, root=settings.BASE_DIR, database_url=database.url
        )
        sys.stdout.flush()
        os.chdir(settings.BASE_DIR)
        command = [sys.executable, "-m", "chatbot.benchmark_attendants", str(folder)]
        os.execve(sys.executable, command, environment)  # noqa: S606  # our own program


def _channel() -> Channel:
    rows = Channel.objects.filter(kind=ChannelKind.WHATSAPP_CLOUD, is_active=True)
    channel = rows.order_by("-is_default", "id").first()
    if channel is None:
        raise CommandError(
            "There is no WhatsApp channel. Set WHATSAPP_*, run sync_default_channel."
        )
    if not channel.credentials.get("app_secret"):
        raise CommandError(f"The channel {channel.slug} has no app secret to sign with.")
    return channel


def _kept(file: str | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        kept: dict[str, Any] = json.loads(Path(file).read_text())
    except (OSError, ValueError) as error:
        raise CommandError(f"{file} cannot be read: {error}") from error
    return kept


def _sizes(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _line(cost: benchmark_pages.Cost, before: dict[str, Any] | None) -> str:
    """With what was measured before: the same statements, and how many times the time."""
    words = f"{cost.name:<38} {cost.statements:>4} statements {cost.milliseconds:>8.1f} ms"
    words += f" {cost.kilobytes:>7.0f} KB"
    if before is None:
        return words
    more = cost.statements - before["statements"]
    ratio = cost.milliseconds / before["milliseconds"]
    return f"{words}   {more:+d} statements   × {ratio:.2f}"
