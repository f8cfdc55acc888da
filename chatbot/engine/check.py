"""Static verification: what would go wrong with a flow, each finding with a way that leads there.

`check_flow` is pure and complete for what it names; a flow without errors may be published. The
passos of sub-flows are looked at where they are run, and named `sub/node`.
"""

from __future__ import annotations

from collections.abc import Iterator

from chatbot.engine.check_menus import check_menu
from chatbot.engine.check_nodes import check_node
from chatbot.engine.check_paths import check_paths
from chatbot.engine.check_secrets import check_secrets
from chatbot.engine.check_subflows import check_subflows
from chatbot.engine.check_texts import check_settings, check_texts
from chatbot.engine.check_types import check_types
from chatbot.engine.check_variables import check_variables
from chatbot.engine.check_words import check_words
from chatbot.engine.findings import MESSAGES, Finding, KnownHandler, Limits, Surroundings
from chatbot.engine.ground import Ground
from chatbot.engine.kinds import Start
from chatbot.engine.nodes import FlowDocument

__all__ = ["MESSAGES", "Finding", "KnownHandler", "Limits", "Surroundings", "check_flow"]

_RANK = {"error": 0, "warning": 1, "hint": 2}
_CHECKS = (
    check_subflows,
    check_paths,
    check_words,
    check_settings,
    check_variables,
    check_types,
    check_secrets,
)
_CHECKS_OF_A_NODE = (check_node, check_menu, check_texts)


def check_flow(flow: FlowDocument, surroundings: Surroundings | None = None) -> list[Finding]:
    """All findings, errors first, then in the order in which the flow meets them."""
    ground = Ground(flow, surroundings or Surroundings())
    findings = [
        *_start(ground),
        *(found for check in _CHECKS for found in check(ground)),
        *(
            found
            for desk in ground.desks
            for check in _CHECKS_OF_A_NODE
            for found in check(desk, ground)
        ),
    ]
    place = {one: number for number, one in enumerate(ground.places)}
    return sorted(findings, key=lambda one: (_RANK[one.severity], place.get(one.node, -1)))


def _start(ground: Ground) -> Iterator[Finding]:
    flow = ground.flow
    if not isinstance(flow.nodes.get(flow.start), Start):
        yield Finding("missing_start", "error", flow.start, tuple(filter(None, (flow.start,))))
