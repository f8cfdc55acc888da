"""Where the variables of a flow are set and where they are read. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chatbot.engine.conditions import All, AnyOf, Compare, Condition, NoneOf
from chatbot.engine.kinds import FACT_NAMES, AnyNode, Ask, Branch, Call, Http, Menu, SetNode, Start
from chatbot.engine.nodes import FlowDocument, Variable
from chatbot.engine.render import placeholders, variable_named

VAULT = "secret"  # {{ secret.name }}: put in when a request is made, never a variable


@dataclass
class VariableUse:
    """One variable: the ids of the passos that set it and of those that read it, each once, in the
    order of the document. `declared` is what the flow says about it, if it says anything."""

    name: str
    declared: Variable = field(default_factory=Variable)
    is_declared: bool = False
    set_at: list[str] = field(default_factory=list)
    read_at: list[str] = field(default_factory=list)

    @property
    def label(self) -> str:
        return self.declared.label or self.name

    @property
    def is_given(self) -> bool:
        """Whoever starts the flow fills it."""
        return self.declared.given


def variables_of(
    document: FlowDocument, outputs: Mapping[str, tuple[str, ...]] | None = None
) -> list[VariableUse]:
    """Every variable of the flow, by name. `outputs`: what each handler fills, by its name. Facts
    (`lead.name`, `protocol`) are none."""
    found = {
        name: VariableUse(name, one, is_declared=True) for name, one in document.variables.items()
    }
    for node_id, node in document.nodes.items():
        for name in set_by(node, outputs or {}):
            _note(found, name).set_at.append(node_id)
        for name in read_by(node):
            _note(found, name).read_at.append(node_id)
    return [found[name] for name in sorted(found)]


def set_by(node: AnyNode, outputs: Mapping[str, tuple[str, ...]]) -> list[str]:
    """The variables that a passo fills, each once."""
    names: list[str] = []
    match node:
        case Start() | Ask() | Menu():
            names = [node.save_as]
        case SetNode():
            names = [one.name for one in node.values]
        case Http():
            names = list(node.mapping)
        case Call():
            names = list(outputs.get(node.handler, ()))
    return [name for name in dict.fromkeys(names) if name]


def read_by(node: AnyNode) -> list[str]:
    """The variables that a passo's texts and conditions name, each once."""
    names = [name for text in _strings(node.model_dump()) for name, _default in placeholders(text)]
    if isinstance(node, Branch):
        names += [one.variable for case in node.cases for one in compared(case.when)]
    if isinstance(node, SetNode):
        names += [variable_named(one.value) for one in node.values if one.op == "copy"]
        names += [one.name for one in node.values if one.op not in ("set", "copy", "clear")]
    bases = (name.partition(".")[0] for name in names)
    unknown = {*FACT_NAMES, VAULT, ""}
    return [base for base in dict.fromkeys(bases) if base not in unknown]


def compared(condition: Condition) -> Iterator[Compare]:
    """Every comparison inside a condition, those that must not hold too."""
    match condition:
        case All(all=parts) | AnyOf(any=parts) | NoneOf(none=parts):
            for part in parts:
                yield from compared(part)
        case Compare():
            yield condition


def _note(found: dict[str, VariableUse], name: str) -> VariableUse:
    return found.setdefault(name, VariableUse(name))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _strings(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _strings(one)
