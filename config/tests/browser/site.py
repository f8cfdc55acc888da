"""The program as it runs in production, on a database of its own that tests may write to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import TypeVar
from urllib.parse import quote, urlsplit, urlunsplit
from urllib.request import urlopen

import psycopg
import pytest
import requests
from django.conf import settings
from django.contrib.contenttypes.models import ContentType
from django.db import connection

from chatbot.documents import asks_for_tags, document_of
from chatbot.facts import departments
from chatbot.tests import graph_server

PATIENCE = 30.0  # seconds; far more than anything here takes
PASSWORD = "um-segredo-de-teste"

T = TypeVar("T")


@dataclass
class Site:
    """`url`: where the console is; `graph`: what the provider was sent."""

    url: str
    graph: graph_server.GraphServer
    database: str
    folder: Path

    def post(self, path: str, *, data: bytes, content_type: str, headers: dict[str, str]):
        """As a client of Django's: the builders of webhooks post through it."""
        sent = {"Content-Type": content_type, **headers}
        return requests.post(f"{self.url}{path}", data=data, headers=sent, timeout=PATIENCE)

    def errors(self) -> list[str]:
        """What the processes complained about."""
        logs = (self.folder / f"{name}.log" for name in ("web", "worker"))
        lines = [line for log in logs for line in log.read_text().splitlines()]
        return [line for line in lines if " ERROR " in line or "Traceback" in line]


@contextmanager
def running(folder: Path, *, days: int = 1) -> Iterator[Site]:
    """Database, static files, a demo company, web and worker; all gone at the end."""
    name = f"atende_browser_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    port = _free_port()
    with _database(name), graph_server.running() as graph:
        environment = _environment(folder, name, port=port, graph=graph.url)
        _prepare(environment, folder, days=days)
        site = Site(f"http://127.0.0.1:{port}", graph, name, folder)
        with _processes(environment, folder, port):
            wait_for(lambda: _answers(f"{site.url}/readyz"), "the site")
            yield site


@contextmanager
def database_of(site: Site) -> Iterator[None]:
    """Inside, the ORM of this process works on the site's database."""
    known = connection.settings_dict["NAME"]
    _switch_to(site.database)
    try:
        yield
    finally:
        _switch_to(known)


def wait_for(what: Callable[[], T], name: str) -> T:
    """The first true answer."""
    until = monotonic() + PATIENCE
    while not (found := what()):
        if monotonic() > until:
            pytest.fail(f"waited in vain for {name}")
        sleep(0.05)
    return found


def _switch_to(name: str) -> None:
    """What this process remembers of one database is not so in the other."""
    connection.close()
    connection.settings_dict["NAME"] = name
    ContentType.objects.clear_cache()
    departments.forget()
    document_of.cache_clear()
    asks_for_tags.cache_clear()


@contextmanager
def _database(name: str) -> Iterator[None]:
    with psycopg.connect(os.environ["TEST_PG_URL"], autocommit=True) as server:
        server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{name}"')
    try:
        yield
    finally:
        with psycopg.connect(os.environ["TEST_PG_URL"], autocommit=True) as server:
            server.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _environment(folder: Path, database: str, *, port: int, graph: str) -> dict[str, str]:
    parts = urlsplit(os.environ["TEST_PG_URL"])
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.tests.browser.settings",
        "DATABASE_URL": urlunsplit(parts._replace(path="/" + quote(database))),
        "SITE_URL": f"http://127.0.0.1:{port}",
        "ALLOWED_HOSTS": "127.0.0.1",
        "GRAPH_API_URL": graph,
        "MEDIA_ROOT": str(folder / "media"),
        "BROWSER_STATIC_ROOT": str(folder / "static"),
        "WEB_CONCURRENCY": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _prepare(environment: dict[str, str], folder: Path, *, days: int) -> None:
    collect = ("manage.py", "collectstatic", "--noinput", "--verbosity", "0")
    static = _start(environment, *collect, log=folder / "collectstatic.log")
    _run(environment, "manage.py", "migrate", "--verbosity", "0")
    _run(environment, "manage.py", "seed_demo", "--days", str(days), "--password", PASSWORD)
    assert static.wait(PATIENCE) == 0


def _run(environment: dict[str, str], *program: str) -> None:
    done = subprocess.run(
        [sys.executable, *program],
        cwd=settings.BASE_DIR,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def _start(environment: dict[str, str], *program: str, log: Path) -> subprocess.Popen:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, *program],
            cwd=settings.BASE_DIR,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def _processes(environment: dict[str, str], folder: Path, port: int) -> Iterator[None]:
    bind = f"127.0.0.1:{port}"
    web = _start(
        environment, "-m", "gunicorn", "--bind", bind, "config.wsgi", log=folder / "web.log"
    )
    worker = _start(environment, "manage.py", "worker", "--threads", "4", log=folder / "worker.log")
    try:
        yield
    finally:
        for process in (web, worker):
            process.terminate()
        for process in (web, worker):
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2) as response:  # noqa: S310  # our own address
            return response.status == 200
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
