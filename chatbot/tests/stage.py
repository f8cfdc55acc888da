"""What the tests of races, crashes and faults stand on: flows, conversations, queued rows."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.core.management import call_command
from django.utils import timezone

from chatbot.documents import asks_for_tags, document_of
from chatbot.facts import departments
from chatbot.models import (
    Author,
    Direction,
    FailedEvent,
    Flow,
    FlowVersion,
    MessageLog,
    MessageStatus,
    Task,
    Trigger,
    TriggerKind,
)
from chatbot.tests.graph_server import GraphServer
from chatbot.tests.webhook import whatsapp_channel
from leads.models import Identity, Lead, Scheme
from sessions_app.models import Channel, Session

FASTEST = 30_000  # messages a second: the limit is not what is tested

_numbers = itertools.count(1)


def open_shop(**fields: Any) -> Channel:
    """The default WhatsApp channel and the shipped flows."""
    departments.forget()
    document_of.cache_clear()
    asks_for_tags.cache_clear()
    call_command("load_flows", verbosity=0)
    return whatsapp_channel(rate_per_second=FASTEST, **fields)


def put_on_air(nodes: dict[str, Any], *, slug: str = "prova", **document: Any) -> FlowVersion:
    """A flow of these nodes, begun at `inicio`, which answers whatever comes first."""
    head = {"schema": 1, "slug": slug, "name": slug, "start": "inicio"}
    content = {**head, "nodes": nodes, **document}
    flow = Flow.objects.create(slug=slug, name=slug, draft=content)
    version = FlowVersion.objects.create(flow=flow, number=1, document=content)
    flow.published = version
    flow.save(update_fields=["published"])
    Trigger.objects.create(flow=flow, kind=TriggerKind.CATCH_ALL, priority=100)
    return version


def another_version(flow: Flow, nodes: dict[str, Any]) -> FlowVersion:
    """The next version of the flow, on air, with these nodes."""
    last = flow.versions.order_by("-number").first()
    assert last is not None
    version = FlowVersion.objects.create(
        flow=flow, number=(last.number or 0) + 1, document={**last.document, "nodes": nodes}
    )
    Flow.objects.filter(pk=flow.pk).update(published=version)
    return version


def ask_name(**more: Any) -> dict[str, Any]:
    """Nodes that ask for a name and then call a person."""
    return {
        "inicio": {"kind": "start", "next": "nome"},
        "nome": {"kind": "ask", "text": "Qual é o seu nome?", "save_as": "nome", "next": "fim"},
        "fim": {"kind": "handoff", "text": "Já vem gente."},
        **more,
    }


def talk(channel: Channel, **fields: Any) -> Session:
    """A live conversation of a person of its own, whose window is open."""
    number = f"55119{70000000 + next(_numbers)}"
    lead = Lead.objects.create(name="Davi", phone=f"+{number}")
    identity = Identity.objects.create(
        lead=lead, scheme=Scheme.PHONE, address=number, send_to=number
    )
    now = timezone.now()
    values = {"last_interaction_at": now, "window_expires_at": now + timedelta(hours=23), **fields}
    return Session.objects.create(lead=lead, channel=channel, identity=identity, **values)


def queued(session: Session, *texts: str, **fields: Any) -> list[MessageLog]:
    """Rows of the bot in the outbox, as a turn would write them."""
    return MessageLog.objects.bulk_create(_row(session, text, **fields) for text in texts)


def _row(session: Session, text: str, **fields: Any) -> MessageLog:
    now: datetime = fields.pop("created_at", None) or timezone.now()
    values = {
        "author": Author.BOT,
        "status": MessageStatus.QUEUED,
        "kind": "text",
        "epoch": session.epoch,
        "run_at": now,
        "created_at": now,
        "identity": session.identity,
        **fields,
    }
    return MessageLog(
        channel=session.channel,
        session=session,
        direction=Direction.OUTBOUND,
        text=text,
        **values,
    )


def is_nothing_stored() -> bool:
    models = (MessageLog, FailedEvent, Lead, Identity, Session, Task)
    return not any(model.objects.exists() for model in models)


def fresh(row: MessageLog) -> MessageLog:
    return MessageLog.objects.get(pk=row.pk)


def statuses(rows: Iterable[MessageLog]) -> list[str]:
    found = MessageLog.objects.in_bulk([row.pk for row in rows])
    return [found[row.pk].status for row in rows]


def received_by_each(graph_api: GraphServer) -> dict[str, list[str]]:
    """The texts that each customer got, in order."""
    texts: dict[str, list[str]] = defaultdict(list)
    for sent in graph_api.messages:
        texts[sent.to.removeprefix("+")].append(sent.text)
    return texts


def is_each_sent_once(graph_api: GraphServer) -> bool:
    ours = [sent.message for sent in graph_api.messages]
    return len(ours) == len(set(ours))
