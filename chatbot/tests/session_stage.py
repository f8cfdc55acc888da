"""A flow with a menu, a sensitive question, a wait and people, and one customer in it."""

from __future__ import annotations

from typing import Any

from django.test import Client

from chatbot.documents import document_of
from chatbot.models import FlowVersion
from chatbot.tests import stage
from chatbot.tests.webhook import button, say, text, whatsapp_channel
from sessions_app.models import Session

CPF = "529.982.247-25"
DIGITS = "52998224725"
IDLE = {"minutes": 30, "warning_minutes": 10, "warning_text": "Ainda aí?", "end_text": "Tchau."}


def option(key: str, label: str, target: str) -> dict[str, Any]:
    return {"id": key, "label": label, "next": target}


NODES: dict[str, Any] = {
    "inicio": {"kind": "start", "title": "Início", "next": "menu"},
    "menu": {
        "kind": "menu",
        "title": "Boas-vindas",
        "text": "Como ajudar?",
        "save_as": "opcao",
        "options": [
            option("cpf", "Segunda via", "cpf"),
            option("espera", "Esperar", "espera"),
            option("gente", "Falar com a equipe", "equipe"),
        ],
        "fallback": "Não entendi.",
        "tries": 3,
        "on_fail": "equipe",
    },
    "cpf": {
        "kind": "ask",
        "title": "Informar CPF",
        "text": "Qual é o seu CPF?",
        "answer": "cpf",
        "save_as": "cpf",
        "next": "nome",
        "on_fail": "equipe",
    },
    "nome": {
        "kind": "ask",
        "title": "Nome",
        "text": "E o seu nome?",
        "save_as": "nome",
        "next": "equipe",
    },
    "espera": {"kind": "wait", "title": "Espera", "seconds": 600, "next": "menu"},
    "equipe": {"kind": "handoff", "title": "Para a equipe", "text": "Já vem gente."},
}
VARIABLES = {"cpf": {"label": "CPF", "sensitive": True}, "nome": {"label": "Nome"}}


def on_air(**document: Any) -> FlowVersion:
    document_of.cache_clear()
    whatsapp_channel(rate_per_second=stage.FASTEST)
    return stage.put_on_air(NODES, **{"variables": VARIABLES, "idle": IDLE, **document})


def began(*texts: str) -> Session:
    """The session of a customer who said these things."""
    client = Client()
    for one in texts:
        answer = say(client, text(one))
        assert answer.status_code == 200
    return Session.objects.get()


def tapped(choice_id: str) -> Session:
    assert say(Client(), button(choice_id, choice_id)).status_code == 200
    return Session.objects.get()
