"""Does the flow itself offer what was said? Asked before words that have a meaning of their own."""

from __future__ import annotations

from typing import Literal

from chatbot.engine.kinds import Menu
from chatbot.engine.matching import normalise
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.state import State

Expected = Literal["", "option", "word"]


def expected(flow: FlowDocument, state: State, text: str, choice_id: str = "") -> Expected:
    """`option`: it is one of the menu at hand, said exactly or tapped; `word`: one that works
    anywhere; else nothing that the flow offers."""
    document = flow.document(state.flow)
    if document is None or state.done:
        return ""
    said, node = normalise(text), document.nodes.get(state.node)
    if isinstance(node, Menu):
        ids = {option.id for option in node.options}
        if choice_id in ids or any(said in one.phrases for one in node.candidates):
            return "option"
    is_word = said in document.keywords or said in flow.keywords
    return "word" if is_word else ""
