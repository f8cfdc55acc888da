"""Who asks, and what an answer and the database give away about it."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.middleware.csrf import _get_new_csrf_string
from django.test import Client
from django.utils import timezone

from config.tests.walk.world import World
from users.models import ApiToken, User
from users.services import create_token

MARK = re.compile(r"mk[a-z]+x\b")
SAFE = {"GET", "HEAD", "OPTIONS"}
_WRITE = re.compile(r'^\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+"?(\w+)"?', re.IGNORECASE)
# What every request may note about the login itself.
NOTED = {"django_session", "axes_accessattempt", "axes_accessfailurelog", "axes_accesslog"}
_NOTED_COLUMNS = re.compile(
    r'^UPDATE "(users_user|users_apitoken|users_login)" '
    r'SET "(last_active_at|last_used_at|last_login|seen_at)" = \S+ WHERE'
)

# Roles that log in by cookie, those that bring a token, and those that are nobody.
COOKIES = ("guest", "ana", "bia", "sara", "admin", "root")
TOKENS = ("reader", "narrow", "expired", "revoked")
NOBODY = ("outsider", "stale", "expired", "revoked")
ROLES = ("outsider", "stale", *COOKIES, *TOKENS)


@dataclass
class Answer:
    status: int
    text: str
    response: Any
    written: frozenset[str] = frozenset()
    marks: frozenset[str] = frozenset()


@dataclass
class Asker:
    """One role's browser or program. Nothing that it does outlasts its request."""

    world: World
    role: str
    client: Client = field(init=False)
    user: User | None = field(init=False, default=None)
    cookies: str = field(init=False, default="")
    csrf: str = field(init=False, default="")
    headers: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.client = Client(enforce_csrf_checks=True)
        if self.role in COOKIES or self.role == "stale":
            self.user = getattr(self.world, self.role)
            self.client.force_login(self.user, "users.backends.RolePermissionBackend")
        if self.role == "stale":
            User.objects.filter(pk=self.user.pk).update(is_active=False)
        if self.role in TOKENS:
            self.user = self.world.ana
            self.headers = {"authorization": f"Bearer {_token(self.world.ana, self.role)}"}
        self.csrf = _get_new_csrf_string()
        self.client.cookies[settings.CSRF_COOKIE_NAME] = self.csrf
        self.cookies = self.client.cookies.output(header="", sep=";")

    def ask(
        self,
        method: str,
        path: str,
        *,
        data: Any = None,
        json: bool = False,
        with_csrf: bool = True,
        may_write: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """One request, taken back afterwards: rows, login and cookies are as they were. `written`
        is left empty where it does not matter (`may_write`)."""
        self.client.cookies = SimpleCookie(self.cookies)
        sent = {**self.headers, **(headers or {})}
        if with_csrf and method not in SAFE:
            sent["x-csrftoken"] = self.csrf
        options: dict[str, Any] = {"headers": sent}
        if json:
            options["content_type"] = "application/json"
        with taken_back() as writes:
            call = getattr(self.client, method.lower())
            response = call(path, data if data is not None else {}, **options)
            text = text_of(response)
            written = frozenset() if may_write else _changed(self.world, frozenset(writes))
        typed = MARK.findall(f"{path} {data}")  # said back by the page that was asked
        marks = frozenset(MARK.findall(text)) - frozenset(typed)
        return Answer(response.status_code, text, response, written, marks)


def _token(user: User, kind: str) -> str:
    scopes = ["leads:read"] if kind == "narrow" else ["*:read"]
    scopes = ["*:read", "*:write"] if kind in {"expired", "revoked"} else scopes
    token, text = create_token(user, name=kind, scopes=scopes)
    hour_ago = timezone.now() - timedelta(hours=1)
    changed = {"expired": {"expires_at": hour_ago}, "revoked": {"revoked_at": hour_ago}}
    if kind in changed:
        ApiToken.objects.filter(pk=token.pk).update(**changed[kind])
    return text


@contextmanager
def taken_back() -> Iterator[set[str]]:
    """What is done inside is undone; gives the names of the tables that were written to."""
    writes: set[str] = set()

    def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found = _WRITE.match(sql)
        if found and found[1] not in NOTED and not _NOTED_COLUMNS.match(sql):
            writes.add(found[1])
        return execute(sql, params, many, context)

    with transaction.atomic():
        with connection.execute_wrapper(watch):
            yield writes
        transaction.set_rollback(True)


def _changed(world: World, tables: frozenset[str]) -> frozenset[str]:
    """Of these the ones that look different now: a refusal may have rolled back what it wrote."""
    known = {model._meta.db_table: model for model in apps.get_models()}
    through = {
        field.remote_field.through._meta.db_table: field.remote_field.through
        for model in apps.get_models()
        for field in model._meta.many_to_many
    }
    known |= through
    before = world.snapshot
    return frozenset(
        table for table in tables if table in known and rows_of(known[table]) != before[table]
    )


def rows_of(model: Any) -> list[tuple[Any, ...]]:
    noted = {"last_active_at", "last_used_at", "last_login", "seen_at"}
    columns = [one.attname for one in model._meta.concrete_fields if one.attname not in noted]
    return sorted(map(repr, model._base_manager.order_by().values_list(*columns)))


def text_of(response: Any) -> str:
    """What was answered, as it would be read: files of streams and packed ones included."""
    body = b"".join(response.streaming_content) if response.streaming else response.content
    parts = [body.decode("utf-8", "replace")]
    if body[:4] == b"PK\x03\x04":
        with zipfile.ZipFile(io.BytesIO(body)) as packed:
            parts += [packed.read(name).decode("utf-8", "replace") for name in packed.namelist()]
    return "\n".join([*parts, *(f"{name}: {value}" for name, value in response.items())])
