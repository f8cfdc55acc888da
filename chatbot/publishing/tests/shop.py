"""A flow on air with people all over it, and the draft that takes a passo away."""

from __future__ import annotations

import copy
from typing import Any

from django.test import Client

from chatbot import flows_service
from chatbot.models import Flow, FlowVersion, Trigger, TriggerKind
from chatbot.tests.webhook import say, text
from sessions_app.models import Session

SLUG = "prova"

INNER: dict[str, Any] = {
    "schema": 1,
    "slug": "dentro",
    "name": "Dentro",
    "start": "inicio",
    "nodes": {
        "inicio": {"kind": "start", "next": "nota"},
        "nota": {
            "kind": "ask",
            "title": "Nota",
            "text": "De 1 a 5?",
            "save_as": "nota",
            "invalid": "De 1 a 5, por favor.",
            "next": "fim",
            "on_fail": "fim",
        },
        "fim": {"kind": "end"},
    },
}


def ask(title: str, name: str, following: str) -> dict[str, Any]:
    return {
        "kind": "ask",
        "title": title,
        "text": f"Qual é o seu {name}?",
        "save_as": name,
        "invalid": f"Não entendi. Qual é o seu {name}?",
        "next": following,
        "on_fail": "equipe",
    }


FIRST: dict[str, Any] = {
    "schema": 1,
    "slug": SLUG,
    "name": "Prova",
    "start": "inicio",
    "nodes": {
        "inicio": {"kind": "start", "answers_words": False, "next": "nome"},
        "nome": ask("Nome", "nome", "assunto"),
        "assunto": {
            "kind": "menu",
            "title": "Assunto",
            "text": "Sobre o quê?",
            "fallback": "Não entendi. Sobre o quê?",
            "tries": 3,
            "on_fail": "equipe",
            "options": [
                {"id": "boleto", "label": "Boleto", "next": "cpf"},
                {"id": "avaliar", "label": "Avaliar", "next": "avaliacao"},
                {"id": "esperar", "label": "Esperar", "next": "espera"},
            ],
        },
        "cpf": ask("CPF", "documento", "pedido"),
        "pedido": ask("Pedido", "pedido", "equipe"),
        "avaliacao": {"kind": "flow", "title": "Avaliação", "flow": "dentro", "next": "equipe"},
        "espera": {"kind": "wait", "title": "Espera", "seconds": 3600, "next": "pedido"},
        "equipe": {"kind": "handoff", "title": "Equipe", "text": "Protocolo {{ protocol }}."},
    },
    "words": [{"keywords": ["atendente"], "next": "equipe"}],
}


def second() -> dict[str, Any]:
    """Nobody is asked for the CPF any more."""
    draft = copy.deepcopy(FIRST)
    del draft["nodes"]["cpf"]
    draft["nodes"]["assunto"]["options"][0]["next"] = "pedido"
    return draft


def open_flow() -> FlowVersion:
    """Version 1 on air, for whatever is written."""
    put_on_air(Flow.objects.create(slug="dentro", name="Dentro", draft=INNER))
    flow = Flow.objects.create(slug=SLUG, name="Prova", draft=FIRST)
    version = put_on_air(flow)
    Trigger.objects.create(flow=flow, kind=TriggerKind.CATCH_ALL, priority=100)
    return version


def put_on_air(flow: Flow, **more: Any) -> FlowVersion:
    return flows_service.publish(flow, user=None, **more)


def redraw(document: dict[str, Any] | None = None) -> Flow:
    """The second document as the draft."""
    flow = Flow.objects.get(slug=SLUG)
    draft = second() if document is None else document
    return flows_service.save_draft(flow, draft, user=None, revision=flow.draft_revision)


# What people have said when they stand at a passo.
SAID = {
    "nome": ("Oi",),
    "assunto": ("Oi", "Davi"),
    "cpf": ("Oi", "Davi", "Boleto"),
    "pedido": ("Oi", "Davi", "Boleto", "123"),
    "dentro/nota": ("Oi", "Davi", "Avaliar"),
    "espera": ("Oi", "Davi", "Esperar"),
}


def phone(place: str, number: int) -> str:
    return f"55119{list(SAID).index(place) + 1:02d}{number:06d}"


def people(**places: int) -> None:
    """So many people come to each place, as customers do."""
    counts = {place.replace("__", "/"): count for place, count in places.items()}
    for turn in range(max(map(len, SAID.values()))):
        values = [
            text(SAID[place][turn], phone=phone(place, number))
            for place, count in counts.items()
            for number in range(count)
            if turn < len(SAID[place])
        ]
        if values:
            assert say(Client(), *values).status_code == 200


def session_at(place: str, number: int = 0) -> Session:
    """The newest conversation of somebody who stood there."""
    wanted = Session.objects.filter(identity__address=phone(place, number))
    return wanted.order_by("-pk")[0]


def sessions_at(place: str) -> list[Session]:
    prefix = phone(place, 0)[:7]
    return list(Session.objects.filter(identity__address__startswith=prefix).order_by("pk"))
