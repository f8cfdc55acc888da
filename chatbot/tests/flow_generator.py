"""Flows as companies draw them, made by chance from a seed: those in which the verification finds
nothing."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from chatbot.engine.check import Surroundings, check_flow
from chatbot.engine.nodes import FlowDocument, parse_flow

TRIES = 2000
SUBJECTS = (
    "Boleto", "Entrega", "Troca", "Garantia", "Horários", "Endereço", "Cardápio", "Matrícula",
    "Exames", "Reserva", "Cotação", "Suporte", "Currículo", "Eventos", "Parceria",
)  # fmt: skip
ANSWERS = ("text", "number", "email", "phone", "cpf", "cnpj", "date", "location", "file")
KINDS = ("send", "ask", "ask", "menu", "menu", "branch", "set", "lead", "call", "http", "wait")

Node = dict[str, Any]


def clean_flows(seed: int, count: int, around: Surroundings) -> list[FlowDocument]:
    """The first `count` flows without a finding."""
    chance = random.Random(seed)  # noqa: S311 - chance is the point of it
    found: list[FlowDocument] = []
    for number in range(TRIES):
        flow = parse_flow(_Draft(chance, f"gerado{number}").document())
        if not check_flow(flow, around):
            found.append(flow)
        if len(found) == count:
            return found
    raise AssertionError(f"only {len(found)} clean flows in {TRIES}")


class _Draft:
    """Passos in a row: each leads to later ones, questions now and then back."""

    def __init__(self, chance: random.Random, slug: str) -> None:
        self.chance = chance
        self.slug = slug
        self.count = chance.randint(3, 14)
        self.asked: list[tuple[str, str]] = []  # variable, type of its answer

    def document(self) -> dict[str, Any]:
        nodes: dict[str, Node] = {"inicio": {"kind": "start", "next": "p1"}}
        for number in range(1, self.count + 1):
            nodes[f"p{number}"] = self._node(number)
        nodes["equipe"] = {
            "kind": "handoff",
            "text": "Protocolo {{ protocol }}.",
            "closed_text": "Voltamos logo.",
        }
        nodes["fim"] = {"kind": "end", "text": "Até logo.", "end_session": True}
        words = [
            {"keywords": ["atendente"], "next": "equipe"},
            {"keywords": ["sair"], "next": "fim"},
        ]
        return {
            "slug": self.slug,
            "name": self.slug,
            "start": "inicio",
            "nodes": nodes,
            "words": words,
        }

    def _node(self, number: int) -> Node:
        kind = self.chance.choice(KINDS)
        made: Node = getattr(self, f"_{kind}")(number)
        return {"kind": kind, **made}

    def _later(self, number: int) -> str:
        """The next passo mostly; sometimes a later one, or an end."""
        if self.chance.random() < 0.8 and number < self.count:
            return f"p{number + 1}"
        return self.chance.choice(
            ["equipe", "fim", f"p{min(self.count, number + 2)}"][: 2 + (number < self.count)]
        )

    def _text(self, text: str) -> str:
        if self.asked and self.chance.random() < 0.5:
            name, _answer = self.chance.choice(self.asked)
            return (
                f"{text} {{{{ {name} }}}}"
                if self.chance.random() < 0.5
                else f"{text} {{{{ {name}|-- }}}}"
            )
        return self.chance.choice((text, f"{text} {{{{ lead.first_name|você }}}}"))

    def _send(self, number: int) -> Node:
        return {"text": self._text("Aviso."), "next": self._later(number)}

    def _ask(self, number: int) -> Node:
        answer = self.chance.choice(ANSWERS)
        node: Node = {
            "text": self._text("Qual é?"),
            "answer": answer,
            "save_as": f"v{number}",
            "invalid": "Não entendi.",
            "tries": self.chance.randint(1, 4),
            "on_fail": "equipe",
            "next": self._later(number),
        }
        if answer == "text":
            node["maximum"] = self.chance.randint(5, 300)
        self.asked.append((f"v{number}", answer))
        return node

    def _menu(self, number: int) -> Node:
        labels = self.chance.sample(SUBJECTS, self.chance.randint(2, 6))
        options = [
            {"id": f"o{place}", "label": label, "next": self._back_or_on(number)}
            for place, label in enumerate(labels)
        ]
        self.asked.append((f"v{number}", "menu"))
        return {
            "text": self._text("Escolha."),
            "options": options,
            "save_as": f"v{number}",
            "fallback": "Não entendi.",
            "tries": self.chance.randint(1, 4),
            "on_fail": "equipe",
        }

    def _back_or_on(self, number: int) -> str:
        back = f"p{self.chance.randint(1, number)}"
        return back if self.chance.random() < 0.15 else self._later(number)

    def _branch(self, number: int) -> Node:
        when = self.chance.choice(
            (
                {"open": "vendas"},
                {"first_contact": True},
                {"weekday": [5, 6]},
                {"hours": ["08:00", "18:00"]},
                {"tag": "vip"},
                {"variable": "lead.status", "op": "in", "value": ["new", "contacted"]},
            )
        )
        numbers = [name for name, answer in self.asked if answer == "number"]
        if numbers and self.chance.random() < 0.5:
            when = {"variable": self.chance.choice(numbers), "op": "gt", "value": 10}
        return {"cases": [{"when": when, "next": self._later(number)}], "otherwise": "equipe"}

    def _set(self, number: int) -> Node:
        values = [{"name": f"v{number}", "value": self._text("valor")}]
        return {"values": values, "next": self._later(number)}

    def _lead(self, number: int) -> Node:
        return {"fields": {"need": self._text("Quer")}, "next": self._later(number)}

    def _call(self, number: int) -> Node:
        routes = {"found": self._later(number), "missing": self._later(number), "error": "equipe"}
        self.asked.append(("situacao", "any"))
        return {"handler": "consulta_pedido", "args": {"numero": "1"}, "routes": routes}

    def _http(self, number: int) -> Node:
        self.asked.append((f"v{number}", "any"))
        return {
            "url": "https://api.exemplo.com.br/x",
            "mapping": {f"v{number}": "a.b"},
            "ok": self._later(number),
            "error": "equipe",
        }

    def _wait(self, number: int) -> Node:
        seconds = self.chance.choice((60, 3600, 8 * 3600))
        return {
            "seconds": seconds,
            "interruptible": self.chance.random() < 0.5,
            "next": self._later(number),
        }


def kinds_in(flows: list[FlowDocument]) -> Iterator[str]:
    for flow in flows:
        for document in (flow, *flow.subflows.values()):
            yield from (node.kind for node in document.nodes.values())
