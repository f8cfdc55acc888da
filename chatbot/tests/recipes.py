"""People, conversations and flows for tests: each function saves a row with the least it needs.

Ana is an admin, Bia works in sales, Caio in support, Davi is the customer.
"""

from __future__ import annotations

import itertools
from typing import Any

from django.utils import timezone
from model_bakery import baker

from chatbot.models import (
    Author,
    Direction,
    Flow,
    FlowLog,
    FlowLogKind,
    FlowRun,
    FlowVersion,
    MessageLog,
    MessageStatus,
)
from leads.models import Identity, Lead, Scheme
from sessions_app.models import Channel, ChannelKind, Session
from tickets.models import Ticket
from users.tests.recipes import ana, api, bia, caio, department

__all__ = ["ana", "api", "bia", "caio", "department"]

_numbers = itertools.count(1)


def channel(**fields: Any) -> Channel:
    number = next(_numbers)
    fields.setdefault("slug", f"canal-{number}")
    fields.setdefault("name", f"Canal {number}")
    fields.setdefault("kind", ChannelKind.WHATSAPP_CLOUD)
    return baker.make(Channel, **fields)


def lead(**fields: Any) -> Lead:
    fields.setdefault("name", "Davi")
    return baker.make(Lead, **fields)


def identity(**fields: Any) -> Identity:
    number = f"5511987{next(_numbers):06d}"
    fields.setdefault("scheme", Scheme.PHONE)
    fields.setdefault("address", number)
    fields.setdefault("send_to", fields["address"])
    return baker.make(Identity, **fields)


def session(**fields: Any) -> Session:
    if "lead" not in fields:
        fields["lead"] = lead()
    if "channel" not in fields:
        fields["channel"] = channel()
    if "identity" not in fields:
        fields["identity"] = identity(lead=fields["lead"])
    return baker.make(Session, **fields)


def ticket(**fields: Any) -> Ticket:
    if "session" not in fields:
        fields["session"] = session()
    fields.setdefault("lead", fields["session"].lead)
    if "department" not in fields:
        fields["department"] = department("vendas")
    fields.setdefault("protocol", f"20260302-{next(_numbers):04d}")
    fields.setdefault("queued_at", timezone.now())
    return baker.make(Ticket, **fields)


def inbound(session: Session, text: str = "Oi", **fields: Any) -> MessageLog:
    fields.setdefault("provider_id", f"wamid.{next(_numbers)}")
    return _message(
        session, Direction.INBOUND, Author.CUSTOMER, MessageStatus.RECEIVED, text=text, **fields
    )


def outbound(session: Session, text: str = "Olá!", **fields: Any) -> MessageLog:
    author = fields.pop("author", Author.BOT)
    status = fields.pop("status", MessageStatus.QUEUED)
    return _message(session, Direction.OUTBOUND, author, status, text=text, **fields)


def document(slug: str = "oi", text: str = "Olá!") -> dict[str, Any]:
    """The smallest flow that greets, asks and hands over."""
    return {
        "schema": 1,
        "slug": slug,
        "name": slug.title(),
        "start": "inicio",
        "nodes": {
            "inicio": {"kind": "start", "next": "nome"},
            "nome": {
                "kind": "ask",
                "text": f"{text} Qual é o seu nome?",
                "save_as": "nome",
                "invalid": "Não entendi. Qual é o seu nome?",
                "next": "equipe",
                "on_fail": "equipe",
            },
            "equipe": {"kind": "handoff", "text": "Protocolo {{ protocol }}."},
        },
    }


def flow(slug: str = "oi", **fields: Any) -> Flow:
    fields.setdefault("name", slug.title())
    fields.setdefault("draft", document(slug))
    return baker.make(Flow, slug=slug, **fields)


def version(flow: Flow, number: int = 1, **fields: Any) -> FlowVersion:
    """A version as if it had been published, without the checks."""
    fields.setdefault("document", flow.draft)
    return baker.make(FlowVersion, flow=flow, number=number, **fields)


def run(session: Session, version: FlowVersion, **fields: Any) -> FlowRun:
    return baker.make(FlowRun, session=session, version=version, epoch=session.epoch, **fields)


def flow_log(session: Session, seq: int, **fields: Any) -> FlowLog:
    fields.setdefault("kind", FlowLogKind.STEP)
    return baker.make(FlowLog, session=session, seq=seq, **fields)


def _message(
    session: Session, direction: Direction, author: Author, status: MessageStatus, **fields: Any
) -> MessageLog:
    fields.setdefault("kind", "text")
    return baker.make(
        MessageLog,
        session=session,
        channel=session.channel,
        direction=direction,
        author=author,
        status=status,
        **fields,
    )
