"""When the provider's list of message templates is asked for: one waiting task an account."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from chatbot.channels import transport_class
from chatbot.leases import free
from chatbot.models import Task, TaskKind, TaskStatus
from chatbot.wake import wake_workers
from sessions_app.models import Channel

EVERY = timedelta(hours=6)
AFTER_TROUBLE = timedelta(minutes=10)


def request_sync(channel: Channel, *, now: datetime) -> bool:
    """Ask for the account's templates as soon as a worker is free; False when the channel has no
    account to ask, or somebody is asking already."""
    if not channel.account_id or not transport_class(channel.kind).capabilities.templates:
        return False
    return _plan(channel, run_at=now, now=now)


def plan_next(channel: Channel, *, done: Task, run_at: datetime, error: str = "") -> None:
    """After a run, whatever became of it: the next one."""
    _plan(channel, run_at=run_at, now=run_at, besides=done.pk, error=error)


def sync_templates_due(*, now: datetime) -> int:
    """Plan a run for every account that has none waiting: a channel that is new, or has just
    learned its account. How many were planned."""
    known = {(one["kind"], one["account"]) for one in _payloads()}
    planned = 0
    for channel in Channel.objects.active().exclude(account_id="").order_by("pk"):
        account = (channel.kind, channel.account_id)
        if account not in known:
            known.add(account)
            planned += request_sync(channel, now=now)
    return planned


def last_trouble() -> list[str]:
    """Why the last run of an account failed, for those that did: in words, with the code last."""
    return [_in_words(one) for one in _payloads() if one["error"]]


def _in_words(payload: dict[str, Any]) -> str:
    code, _colon, detail = payload["error"].partition(": ")
    return f"{transport_class(payload['kind']).explain(code, detail).sentence} ({code})"


@transaction.atomic
def _plan(
    channel: Channel,
    *,
    run_at: datetime,
    now: datetime,
    besides: int = 0,
    error: str = "",
) -> bool:
    """Of two that plan for one account at once the second waits for the first one's task."""
    same = Channel.objects.filter(kind=channel.kind, account_id=channel.account_id)
    list(same.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    mine = (
        _waiting()
        .filter(payload__kind=channel.kind, payload__account=channel.account_id)
        .exclude(pk=besides)
    )
    waiting = mine.first()
    if waiting is None:
        payload = {"kind": channel.kind, "account": channel.account_id, "error": error}
        Task.objects.create(kind=TaskKind.TEMPLATES, payload=payload, run_at=run_at)
    elif not mine.filter(free(now), run_at__gt=run_at).update(run_at=run_at):
        return False
    wake_workers()
    return True


def _payloads() -> list[dict[str, Any]]:
    """Whole: SQLite would give a text of digits inside one back as a number."""
    return list(_waiting().values_list("payload", flat=True))


def _waiting() -> QuerySet[Task]:
    return Task.objects.filter(kind=TaskKind.TEMPLATES, status=TaskStatus.PENDING)
