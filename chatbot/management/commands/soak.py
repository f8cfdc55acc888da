"""Run the whole program against a stand-in for Meta, break it, and compare both sides."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.soak.database import NoDatabase, database_of
from chatbot.soak.environment import environment_of
from chatbot.soak.plan import SHARES, SPELLS, BadPlan, Plan, Waits, faults_from
from chatbot.soak.processes import free_port

# Options that the plan has under the same name.
_SAME = (
    *("conversations", "turns", "at_once", "minutes", "settle_minutes", "web", "workers"),
    *("threads", "rate", "kill_every", "database_restarts", "database_url", "keep"),
    *("restart_command", "patience", "files", "url_lives"),
)
_FAULTS = "; ".join(f"{name}: {text}" for name, text in {**SHARES, **SPELLS}.items())


class Command(BaseCommand):
    help = (
        "Starts web, workers and a PostgreSQL of its own against a stand-in for Meta, injects "
        "faults, kills processes, restarts the database, and compares what customers sent and "
        "received with what is stored. Touches neither your database nor your .env. Exit code 1 "
        "when something did not hold."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        plan = Plan()
        add = parser.add_argument
        add("--conversations", type=int, default=plan.conversations)
        add("--turns", type=float, default=plan.turns, help="Messages of a customer, on average.")
        add("--at-once", type=int, default=plan.at_once, help="Conversations at the same time.")
        add("--chatterers", type=int, default=None, help="Customers who write without pause.")
        add("--minutes", type=float, default=0.0, help="End the traffic after so long. 0: no cap.")
        add("--settle-minutes", type=float, default=plan.settle_minutes)
        add("--web", type=int, default=plan.web, help="Web processes.")
        add("--workers", type=int, default=plan.workers, help="Worker processes.")
        add("--threads", type=int, default=plan.threads, help="Threads of each worker.")
        add("--rate", type=int, default=plan.rate, help="Messages a second of one number.")
        add("--faults", default="2", metavar="PERCENT[,NAME=PERCENT …]", help=_FAULTS)
        add("--kill-every", type=float, default=plan.kill_every, help="Seconds. 0: no kills.")
        add("--database-restarts", type=int, default=plan.database_restarts)
        add("--database-url", default="", help="An empty PostgreSQL database for the soak alone.")
        add("--restart-command", default="", help="Restarts the server of --database-url.")
        add("--patience", type=float, default=plan.patience, help="Of a customer, in seconds.")
        add("--files", type=float, default=plan.files, help="Percent of the messages: files.")
        add("--url-lives", type=float, default=plan.url_lives, help="Seconds, of a file's address.")
        add("--seed", type=int, default=None)
        add("--report", default="", metavar="FILE", help="Every detail; JSON when it ends so.")
        add("--keep", action="store_true", help="Leave logs, journal and database.")
        waits = parser.add_argument_group(
            "waits of the worker, in seconds", "For short runs; the report names what was changed."
        )
        for name in vars(plan.waits):
            waits.add_argument(f"--wait-{name}", type=float, default=0.0)

    def handle(self, *args: Any, **options: Any) -> None:
        plan = _plan(options)
        folder = Path(tempfile.mkdtemp(prefix="soak-"))
        try:
            database = database_of(plan, folder)
        except NoDatabase as error:
            folder.rmdir()
            raise CommandError(str(error)) from error
        plan.save(folder)
        environment = environment_of(
            plan, folder, root=settings.BASE_DIR, database_url=database.url
        )
        sys.stdout.flush()
        os.chdir(settings.BASE_DIR)
        # Another process takes over: this one is bound to the user's own settings.
        command = [sys.executable, "-m", "chatbot.soak", str(folder)]
        os.execve(sys.executable, command, environment)  # noqa: S606  # our own program


def _plan(options: dict[str, Any]) -> Plan:
    try:
        faults = faults_from(options["faults"])
    except BadPlan as error:
        raise CommandError(str(error)) from error
    if options["restart_command"] and not options["database_url"]:
        raise CommandError("--restart-command goes with --database-url.")
    chatterers, seed, report = options["chatterers"], options["seed"], options["report"]
    conversations = options["conversations"]
    return Plan(
        **{name: options[name] for name in _SAME},
        faults=faults,
        seed=random.randrange(10**6) if seed is None else seed,
        chatterers=conversations // 500 if chatterers is None else chatterers,
        report=str(Path(report).resolve()) if report else "",
        waits=Waits(**{name: options[f"wait_{name}"] for name in vars(Waits())}),
        web_port=free_port(),
        graph_port=free_port(),
    )
