"""Flow documents with the findings that they must have: `{"flow": …, "expects": [{"code",
"severity", "node"}]}`. Files called `limpo_…` are flows of companies in which nothing is wrong."""

import json
from pathlib import Path
from typing import Any

from chatbot.engine.check import KnownHandler, Surroundings
from chatbot.engine.nodes import FlowDocument, parse_flow

AROUND = Surroundings(
    handlers={
        "consulta_pedido": KnownHandler(
            args={
                "properties": {"numero": {"type": "string"}},
                "required": ["numero"],
                "additionalProperties": False,
            },
            routes=("found", "missing", "error"),
            outputs=("situacao",),
        )
    },
    departments=("vendas", "suporte", "financeiro", "agenda"),
    skills=("inglês",),
    flows={},
    templates={("lembrete", "pt_BR"): {"1": True}},
    secrets=("crm",),
)
FILES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted(Path(__file__).parent.glob("*.json"))
}
CLEAN = [name for name in FILES if name.startswith("limpo_")]
PLANTED = [name for name in FILES if name not in CLEAN]


def flow_of(name: str) -> FlowDocument:
    return parse_flow(FILES[name]["flow"])


def expected(name: str) -> list[tuple[str, str, str]]:
    found: list[dict[str, Any]] = FILES[name]["expects"]
    return sorted((one["code"], one["severity"], one["node"]) for one in found)
