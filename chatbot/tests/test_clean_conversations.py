"""In a flow in which nothing is found, nothing goes wrong, whatever customers do.

10,000 conversations, by chance from SEED: the clean flows of the corpus, those that come with the
program, and generated ones. Customers answer well and badly, tap old buttons, send media, places
and words, fall silent; integrations and other systems answer by any of their routes; lead,
departments and hours are anything. What comes from outside is as long as `chatbot.engine.bounds`
says at most.
"""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

from chatbot import flow_files
from chatbot.engine.acting import right_answer
from chatbot.engine.bounds import BY_TYPE, FACTS, OUTSIDE, THING
from chatbot.engine.check import Limits
from chatbot.engine.consume import CUSTOMER
from chatbot.engine.kinds import Ask, Call, Http, Menu, WaitNode
from chatbot.engine.messages import (
    ChoiceReceived,
    ContactsReceived,
    FormReceived,
    HandlerReturned,
    LocationReceived,
    MediaReceived,
    Started,
    TextReceived,
    TicketOpened,
    TimerFired,
)
from chatbot.engine.state import State
from chatbot.engine.step import step
from chatbot.engine.windows import WINDOW
from chatbot.tests.flow_corpus import AROUND, CLEAN, flow_of
from chatbot.tests.flow_generator import clean_flows, kinds_in

SEED = 20261112
CONVERSATIONS = 10_000
GENERATED = 40
TURNS = 10
BEGIN = datetime(2026, 11, 12, 13, 0, tzinfo=UTC)
SAID = (
    "oi", "1", "2", "3", "opção 2", "sim", "não", "atendente", "humano", "sair", "menu", "cardápio",
    "quero", "Davi Rocha", "", " ", "12/11/2026", "amanhã", "10,5", "1.234.567", "999999999999999",
    "ana@exemplo.com", "81 98888-0142", "529.982.247-25", "{{ nome }}", "{0}", "pular", "😀" * 90,
    "x" * 4096, "9" * 19, "palavra " * 400,
)  # fmt: skip
LIMITS = Limits()


class Conversation:
    """One customer, one flow; `check` after each step."""

    def __init__(self, flow, chance):
        self.flow, self.chance = flow, chance
        self.at = self.heard_at = BEGIN
        self.state, self.context = State(), self._given()
        self.facts = self._facts()
        self.steps = 0

    def run(self):
        said = self.chance.choice(SAID)
        self._hear(Started(at=self.at, facts=self.facts, text=said))
        while not self.state.done and self.steps < TURNS:
            self.at += timedelta(seconds=self.chance.choice((1, 20, 90, 3600)))
            if self.chance.random() < 0.05:
                self.facts = self._facts()
            self._hear(self._next())
        return self.steps

    def _hear(self, message):
        if isinstance(message, (Started, *CUSTOMER)):
            self.heard_at = self.at
        outcome = step(self.flow, self.state, self.context, message)
        self._check(outcome)
        self.state, self.context = outcome.state, outcome.context
        self.steps += 1

    def _check(self, outcome):
        about = (self.flow.slug, self.state.node, outcome.trace)
        assert all(one.exit != "trouble" for one in outcome.trace), about
        for effect in outcome.effects:
            if effect.kind == "send":
                assert is_short(effect), (about, len(effect.text))
                in_window = (self.at - self.heard_at).total_seconds() < WINDOW
                assert in_window or effect.template, about
                says = effect.text.strip() or effect.media or effect.template
                assert says, about
                assert "{{" not in effect.text.lower().replace("{{ nome }}", ""), about
        if outcome.state.done and not self.state.done:
            place = outcome.trace[-1].node
            key, _slash, node_id = place.rpartition("/")
            kind = self.flow.document(key).nodes[node_id].kind
            assert kind in ("end", "handoff"), about
        elif not outcome.state.done:
            assert outcome.state.awaiting, about

    def _next(self):
        common = {"at": self.at, "facts": self.facts}
        if self.chance.random() < 0.06:
            return self._stray(common)
        document = self.flow.document(self.state.flow)
        node = document.nodes[self.state.node]
        match self.state.awaiting:
            case "customer":
                return self._answer(node, common)
            case "handler" | "http":
                return self._returned(node, common)
            case "ticket":
                return TicketOpened(
                    **common,
                    protocol="9" * self.chance.randint(8, FACTS["protocol"]),
                    department="Geral",
                    is_open_now=self.chance.random() < 0.5,
                )
        if isinstance(node, WaitNode) and self.chance.random() < 0.8:
            self.at = max(self.at, self.heard_at + timedelta(seconds=node.seconds))
            return TimerFired(at=self.at, facts=self.facts)
        return TextReceived(**common, text=self.chance.choice(SAID))

    def _answer(self, node, common):  # noqa: PLR0911 - one for each way to answer
        pick = self.chance.random()
        if isinstance(node, Menu) and pick < 0.75:
            option = self.chance.choice(node.options)
            if pick < 0.4:
                return ChoiceReceived(**common, id=option.id, title=option.label)
            return TextReceived(**common, text=self.chance.choice((option.label, *option.synonyms)))
        if isinstance(node, Ask) and pick < 0.7:
            if node.answer == "location":
                return LocationReceived(**common, latitude=-8, longitude=-34, name="x" * THING)
            if node.answer == "file":
                return self._media(common)
            is_long = self.chance.random() < 0.3
            return TextReceived(**common, text=right_answer(node, is_long=is_long))
        if pick < 0.9:
            return TextReceived(**common, text=self.chance.choice(SAID))
        return self._stray(common)

    def _stray(self, common):
        """Anything, whether it fits or not."""
        return self.chance.choice(
            (
                lambda: self._media(common),
                lambda: ChoiceReceived(**common, id="velho", title="Botão antigo"),
                lambda: LocationReceived(**common, latitude=1, longitude=2, address="y" * THING),
                lambda: ContactsReceived(**common, names=("Ana",), phone="+5581988880142"),
                lambda: FormReceived(**common, values={"nome": "Ana"}),
                lambda: TextReceived(**common, text=self.chance.choice(SAID)),
            )
        )()

    def _media(self, common):
        caption = "z" * self.chance.choice((0, 5, THING))
        kind = self.chance.choice(("image", "audio", "document"))
        return MediaReceived(**common, media=kind, ref="m1", caption=caption)

    def _returned(self, node, common):
        if isinstance(node, Call):
            handler = AROUND.handlers.get(node.handler)
            routes = handler.routes if handler else tuple(node.routes)
            names = handler.outputs if handler else ()
        else:
            assert isinstance(node, Http)
            routes, names = ("ok", "error"), tuple(node.mapping)
        route = self.chance.choice(routes)
        values = {} if route == "error" else {name: self._value(name) for name in names}
        return HandlerReturned(**common, route=route, values=values)

    def _value(self, name):
        variable = self.flow.variables.get(name)
        match variable.type if variable else "any":
            case "number":
                return self.chance.randint(-5, 50)
            case "boolean":
                return self.chance.random() < 0.5
            case "date":
                return "2026-11-12"
            case kind:
                return "v" * self.chance.choice((1, 20, BY_TYPE.get(kind, OUTSIDE)))

    def _given(self):
        return {name: self._value(name) for name, one in self.flow.variables.items() if one.given}

    def _facts(self):
        chance = self.chance
        weekday = chance.randint(0, 6)
        hour = chance.randint(0, 23)
        name = chance.choice(("", "Davi Rocha", "n" * FACTS["lead.name"]))
        return {
            "now": f"2026-11-{9 + weekday:02}T{hour:02}:30:00-03:00",
            "weekday": weekday,
            "open_departments": chance.choice(([], ["vendas"], list(AROUND.departments))),
            "departments": list(AROUND.departments),
            "lead": {
                "name": name,
                "email": chance.choice(("", "d@exemplo.com")),
                "phone": "+5581988880142",
                "status": chance.choice(("new", "contacted", "converted", "lost")),
                "tags": chance.choice(([], ["vip"], ["aluno"])),
                "opted_out": False,
            },
            "channel": {"kind": "whatsapp_cloud", "slug": "principal"},
            "first_contact": chance.random() < 0.5,
        }


def is_short(send):
    """Within what the channel shows without parting the message."""
    limit = LIMITS.text_length
    if send.choices and send.presentation != "text":
        limit = LIMITS.body_length
    elif send.media:
        limit = LIMITS.caption_length
    return (
        len(send.text) <= limit
        and len(send.header) <= LIMITS.header
        and (len(send.footer) <= LIMITS.footer or not send.choices)
        and len(send.choices) <= LIMITS.list_rows
    )


def test_nothing_goes_wrong_in_10000_conversations_with_flows_without_findings():
    chance = random.Random(SEED)  # noqa: S311 - chance is the point of it
    flows = [flow_of(name) for name in CLEAN]
    flows += flow_files.shipped_documents().values()
    flows += clean_flows(SEED, GENERATED, AROUND)
    assert len(set(kinds_in(flows))) == 13  # every kind of passo
    steps = Counter()
    for number in range(CONVERSATIONS):
        flow = flows[number % len(flows)]
        steps[flow.slug] += Conversation(flow, chance).run()
    assert sum(steps.values()) > 4 * CONVERSATIONS
    assert len(steps) == len(flows)
