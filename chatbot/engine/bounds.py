"""How long a text can get: bounds on what its placeholders hold.

What the flow itself limits is bounded by that: an answer by `maximum` (a text without one by
TEXT_LENGTH, as long as a message can be), a menu by its longest id, a literal by itself. For what
comes from outside these bounds are taken:

* values of integrations and of other systems, and given variables: by their declared type, else
  OUTSIDE characters;
* the lead's and the channel's facts: as long as their columns (FACTS);
* a file or a place, which reads as its caption, name or address: THING.

Characters are counted as code points; the limits of the channels are applied to that.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatbot.engine.answers import accepts_media
from chatbot.engine.kinds import AnyNode, Ask, Assignment, Http, Menu, SetNode, Start
from chatbot.engine.limits import TEXT_LENGTH
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.render import defaults, literal_length, variable_named
from chatbot.engine.values import as_text

OUTSIDE = 200
THING = 1024
BY_TYPE = {
    "number": 20,
    "date": 10,
    "boolean": 3,
    "email": 254,
    "phone": 16,
    "cpf": 11,
    "cnpj": 14,
    "location": THING,
    "file": THING,
}
FACTS = {
    "lead.name": 200,
    "lead.first_name": 200,
    "lead.email": 254,
    "lead.phone": 20,
    "lead.status": 16,
    "lead.source": 16,
    "lead.opted_out": 3,
    "channel.kind": 24,
    "channel.slug": 50,
    "protocol": 20,
    "department": 120,
    "weekday": 1,
    "today": 10,
    "now": 5,
    "first_contact": 3,
}
_ROUNDS = 8


class Bounds:
    """The longest that each variable can read, whichever passo of the documents sets it. `outside`
    are variables that others fill: integrations, whoever starts the flow."""

    def __init__(self, documents: Iterable[FlowDocument], outside: Iterable[str] = ()) -> None:
        self._declared: dict[str, str] = {}
        self._known: dict[str, int] = {}
        self._assigned: dict[str, list[Assignment]] = {}
        documents = list(documents)
        for document in documents:
            for name, variable in document.variables.items():
                self._declared.setdefault(name, variable.type)
        given = [
            name
            for document in documents
            for name, variable in document.variables.items()
            if variable.given
        ]
        for name in (*outside, *given):
            self._at_least(name, self._declared_length(name))
        for document in documents:
            for node in document.nodes.values():
                self._set_by(node)
        self._grow()

    def of(self, name: str) -> int:
        """The longest value of a variable or fact."""
        if name in FACTS:
            return FACTS[name]
        base, _dot, part = name.partition(".")
        if part:
            return THING if base in self._known else OUTSIDE
        return self._known[base] if base in self._known else self._declared_length(base)

    def longest(self, text: str) -> tuple[int, str]:
        """(characters, the placeholder that may take most) of a text when all are at their
        longest."""
        total, most, name_of_most = literal_length(text), 0, ""
        for name, default in defaults(text):
            grown = max(self.of(name), len(default)) - len(default)
            total += grown
            if grown > most:
                most, name_of_most = grown, name
        return total, name_of_most

    def _grow(self) -> None:
        """Values that are made from each other grow until a text can hold no more."""
        for name in self._assigned:
            self._known.setdefault(name, 0)
        for _ in range(_ROUNDS):
            grown = self._grown()
            if not grown:
                return
            self._known |= grown
        self._known |= dict.fromkeys(self._grown(), TEXT_LENGTH)

    def _grown(self) -> dict[str, int]:
        lengths = {
            name: min(TEXT_LENGTH, max(map(self._length_of, assignments)))
            for name, assignments in self._assigned.items()
        }
        return {name: length for name, length in lengths.items() if length > self._known[name]}

    def _length_of(self, assignment: Assignment) -> int:
        match assignment.op:
            case "copy":
                return self.of(variable_named(assignment.value))
            case "add" | "subtract":
                return BY_TYPE["number"]
            case "append":
                return TEXT_LENGTH
            case "set":
                value = assignment.value
                return self.longest(value)[0] if isinstance(value, str) else len(as_text(value))
            case _:
                return 0

    def _declared_length(self, name: str) -> int:
        return BY_TYPE.get(self._declared.get(name, ""), OUTSIDE)

    def _at_least(self, name: str, length: int) -> None:
        if name:
            self._known[name] = max(self._known.get(name, 0), length)

    def _set_by(self, node: AnyNode) -> None:
        match node:
            case Start(save_as=name):
                self._at_least(name, TEXT_LENGTH)
            case Menu(save_as=name, options=options):
                self._at_least(name, max(len(one.id) for one in options))
            case Ask() as ask:
                self._at_least(ask.save_as, longest_answer(ask))
            case SetNode(values=values):
                for one in values:
                    self._assigned.setdefault(one.name, []).append(one)
            case Http(mapping=mapping):
                for name in mapping:
                    self._at_least(name, self._declared_length(name))


def longest_answer(ask: Ask) -> int:
    """The longest value that the question takes."""
    longest = BY_TYPE.get(ask.answer, TEXT_LENGTH)
    if ask.answer == "text" and ask.maximum is not None:
        longest = max(0, min(TEXT_LENGTH, int(ask.maximum)))
    return max(longest, THING) if accepts_media(ask) else longest
