"""What the tests of the simulator stand on: a flow with everything that takes time."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

from django.urls import reverse
from zeal import zeal_ignore

from chatbot.models import Flow, MessageLog, SimulatedPerson
from chatbot.simulation import acting
from chatbot.tests import recipes
from sessions_app.models import Session

HTTP = {
    "kind": "http",
    "title": "Consultar pedido",
    "url": "https://erp.example/pedidos/{{ nome }}",
    "mapping": {"situacao": "status", "parcelas": "installments"},
    "ok": "conta",
    "error": "equipe",
}
NODES: dict[str, Any] = {
    "inicio": {"kind": "start", "next": "menu"},
    "menu": {
        "kind": "menu",
        "title": "Boas-vindas",
        "text": "Como posso ajudar?",
        "options": [
            {"id": "pedido", "label": "Pedido", "next": "nome"},
            {"id": "esperar", "label": "Esperar", "next": "espera"},
            {"id": "lead", "label": "Meus dados", "next": "dados"},
            {"id": "dia", "label": "Que dia é", "next": "dia"},
        ],
        "presentation": "list",
        "fallback": "Não entendi.",
        "tries": 3,
        "on_fail": "equipe",
    },
    "nome": {
        "kind": "ask",
        "text": "Qual é o número?",
        "save_as": "nome",
        "next": "pedido",
        "on_fail": "equipe",
    },
    "pedido": HTTP,
    "conta": {
        "kind": "send",
        "text": "{{ situacao }}, em {{ parcelas }} vezes.",
        "next": "menu",
    },
    "espera": {"kind": "wait", "title": "Um dia", "seconds": 86400, "next": "depois"},
    "depois": {"kind": "send", "text": "Passou um dia.", "next": "menu"},
    "dados": {
        "kind": "call",
        "title": "Ler dados",
        "handler": "lead_summary",
        "args": {"wanted": ["phone"]},
        "routes": {"ok": "telefone", "incomplete": "sem", "error": "equipe"},
    },
    "telefone": {"kind": "send", "text": "Telefone {{ known_phone }}.", "next": "menu"},
    "sem": {"kind": "send", "text": "Sem telefone.", "next": "menu"},
    "dia": {
        "kind": "branch",
        "cases": [
            {"when": {"weekday": [5, 6]}, "next": "sabado"},
            {"when": {"open": "vendas"}, "next": "aberto"},
        ],
        "otherwise": "fechado",
    },
    "sabado": {"kind": "send", "text": "É fim de semana.", "next": "menu"},
    "aberto": {"kind": "send", "text": "Estamos abertos.", "next": "menu"},
    "fechado": {"kind": "send", "text": "Estamos fechados.", "next": "menu"},
    "equipe": {"kind": "handoff", "text": "Protocolo {{ protocol }}."},
}


def document(slug: str = "prova", **changes: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "slug": slug,
        "name": "Prova",
        "start": "inicio",
        "nodes": NODES,
        "variables": {"parcelas": {"type": "number"}},
        "idle": {
            "minutes": 30,
            "warning_minutes": 5,
            "warning_text": "Ainda está aí?",
            "end_text": "Até logo.",
        },
        **changes,
    }


def flow(**changes: Any) -> Flow:
    """A flow that was never on air."""
    return recipes.flow("prova", draft=document(**changes), draft_revision=3)


def chat(customer: str, *texts: str) -> Session | None:
    """A conversation of somebody in the simulator, as it really happens, without its pages."""
    person, _is_new = SimulatedPerson.objects.get_or_create(
        address=customer, defaults={"user": recipes.ana()}
    )
    for text in texts:
        acting.say(person, {"text": text})
    return Session.objects.order_by("pk").last()


class Trial:
    """A member of staff at the simulator of a flow, or at the simulator's own page."""

    def __init__(self, client: Any, flow: Flow | None) -> None:
        self.client = client
        self.flow = flow

    def page(self) -> str:
        name, arguments = ("flow_simulator", [self.flow.pk]) if self.flow else ("simulator", [])
        return self.client.get(reverse(name, args=arguments)).content.decode()

    def do(self, action: str, **form: Any) -> str:
        """The page after the form was sent as without a script."""
        prefix, arguments = ("flow_", [self.flow.pk]) if self.flow else ("", [])
        url = reverse(f"{prefix}simulator_{action}", args=arguments)
        with zeal_ignore():  # each happening in a transaction of its own, under the session's lock
            return self.client.post(url, form, follow=True).content.decode()

    def say(self, *texts: str, **form: Any) -> str:
        for text in texts:
            page = self.do("say", text=text, message_id=str(uuid4()), **form)
        return page if texts else self.do("say", message_id=str(uuid4()), **form)

    def tap(self, title: str) -> str:
        """The newest message that offers this option."""
        offers = MessageLog.objects.filter(kind__in=("buttons", "list")).order_by("-pk")
        for row in offers:
            for option in row.payload["options"]:
                if option["title"] == title:
                    return self.say(choice=f"{row.pk}:{option['id']}")
        raise AssertionError(title)

    def advance(self, amount: float, unit: str = "h", **form: Any) -> str:
        return self.do("travel", amount=str(amount), unit=unit, seen=self.seen(), **form)

    def seen(self) -> str:
        """What the hidden field of the page says of the clock."""
        return re.search(r'name="seen" value="([^"]*)"', self.page())[1]

    @property
    def person(self) -> SimulatedPerson:
        return SimulatedPerson.objects.order_by("-pk").first()

    @property
    def session(self) -> Session:
        return Session.objects.order_by("-pk").first()

    @property
    def texts(self) -> list[str]:
        """What the bot has said."""
        rows = MessageLog.objects.outbound().order_by("pk")
        return list(rows.values_list("text", flat=True))
