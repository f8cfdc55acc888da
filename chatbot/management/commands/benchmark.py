"""Measure the webhook of a running server."""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import benchmark
from sessions_app.models import Channel, ChannelKind


class Command(BaseCommand):
    help = (
        "Posts signed messages of fictitious customers at a running server on this database and "
        "prints throughput, latency, CPU and SQL statements. Writes rows: use a database for it."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["webhook"])
        parser.add_argument("--url", default=settings.SITE_URL, help="Where the server listens.")
        parser.add_argument("--messages", type=int, default=2000)
        parser.add_argument("--contacts", type=int, default=500)
        parser.add_argument("--concurrency", type=int, default=8)
        parser.add_argument("--warmup", type=int, default=100)
        parser.add_argument("--yes", action="store_true", help="Write the rows without asking.")

    def handle(self, *args: Any, **options: Any) -> None:
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
