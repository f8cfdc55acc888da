"""Small flows and a shell of a few lines, for tests of the engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from chatbot.engine.messages import (
    ChoiceReceived,
    HandlerReturned,
    MediaReceived,
    Message,
    Started,
    TextReceived,
    TicketOpened,
    TimerFired,
)
from chatbot.engine.nodes import FlowDocument, parse_flow
from chatbot.engine.state import Context, Outcome, State
from chatbot.engine.step import step

AT = datetime(2026, 11, 12, 13, 0, tzinfo=UTC)  # 10:00 in São Paulo, a Thursday
FACTS = {
    "now": "2026-11-12T10:00:00-03:00",
    "weekday": 3,
    "open_departments": ["vendas"],
    "departments": ["vendas", "suporte"],
    "lead": {"name": "Davi Rocha", "status": "new", "tags": ["vip"]},
    "channel": {"kind": "simulator", "slug": "padrao"},
    "first_contact": True,
}
END = {"kind": "end", "text": "Fim"}
ASK = {"kind": "ask", "text": "Nome?", "save_as": "nome", "invalid": "Hein?", "next": "fim"}
MENU = {
    "kind": "menu",
    "text": "Escolha",
    "options": [
        {"id": "vendas", "label": "Vendas", "synonyms": ["comprar"], "next": "fim"},
        {"id": "suporte", "label": "Suporte técnico", "next": "fim"},
    ],
    "fallback": "Não entendi",
    "ambiguous": "Qual das duas?",
    "save_as": "assunto",
    "tries": 3,
    "on_fail": "equipe",
}
HANDOFF = {"kind": "handoff", "text": "Protocolo {{ protocol }}", "closed_text": "Fechado"}


def document(first: dict[str, Any], /, **rest: Any) -> dict[str, Any]:
    """A flow `inicio` → `passo` (the node given) with `fim` and `equipe` at hand."""
    nodes = {
        "inicio": {"kind": "start", "next": "passo"},
        "passo": first,
        "fim": END,
        "equipe": HANDOFF,
        **rest.pop("nodes", {}),
    }
    return {"schema": 1, "slug": "teste", "name": "Teste", "start": "inicio", "nodes": nodes} | rest


def flow_with(first: dict[str, Any], /, **rest: Any) -> FlowDocument:
    return parse_flow(document(first, **rest))


class Talk:
    """A conversation with a flow: keeps state and context, shows the last outcome."""

    def __init__(self, flow: FlowDocument, text: str = "Oi", **facts: Any) -> None:
        self.flow = flow
        self.at = AT
        self.facts = FACTS | facts
        self.state = State()
        self.context: Context = {}
        self.outcome: Outcome
        self.hear(Started(at=self.at, facts=self.facts, text=text))

    def hear(self, message: Message) -> Talk:
        self.outcome = step(self.flow, self.state, self.context, message)
        self.state, self.context = self.outcome.state, self.outcome.context
        return self

    def say(self, text: str) -> Talk:
        return self.hear(TextReceived(at=self._tick(), facts=self.facts, text=text))

    def tap(self, option: str, title: str = "") -> Talk:
        return self.hear(ChoiceReceived(at=self._tick(), facts=self.facts, id=option, title=title))

    def show(self, media: str = "image", after: int = 1) -> Talk:
        at = self._tick(after)
        return self.hear(MediaReceived(at=at, facts=self.facts, media=media, ref="m1"))

    def answer(self, route: str = "ok", **values: Any) -> Talk:
        at = self._tick()
        return self.hear(HandlerReturned(at=at, facts=self.facts, route=route, values=values))

    def open_ticket(self, *, is_open: bool = True) -> Talk:
        at = self._tick()
        opened = TicketOpened(at=at, facts=self.facts, protocol="P-1", is_open_now=is_open)
        return self.hear(opened)

    def fire(self) -> Talk:
        return self.hear(TimerFired(at=self._tick(), facts=self.facts))

    def _tick(self, seconds: int = 300) -> datetime:
        self.at += timedelta(seconds=seconds)
        return self.at

    @property
    def texts(self) -> list[str]:
        return [one.text for one in self.outcome.effects if one.kind == "send"]

    @property
    def kinds(self) -> list[str]:
        return [one.kind for one in self.outcome.effects]
