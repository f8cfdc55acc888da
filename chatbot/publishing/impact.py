"""Who would notice: the conversations under way, by version and passo, and what may happen to them
when a document goes on air."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count
from django.db.models.fields.json import KT

from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.flow_words import node_at
from chatbot.kind_words import detail_of
from chatbot.models import Flow, FlowVersion
from chatbot.publishing.moves import Do, can_stand, under_way


@dataclass(frozen=True)
class Standing:
    """So many conversations wait at one passo of one version. `may`: what can be chosen for them;
    `is_gone`: the document that is to come has no such passo."""

    version: FlowVersion
    place: str
    title: str
    detail: str
    count: int
    may: tuple[Do, ...]
    is_gone: bool

    @property
    def key(self) -> str:
        return f"{self.version.pk}:{self.place}"

    @property
    def waits_for_customer(self) -> bool:
        return "map" in self.may


@dataclass(frozen=True)
class Target:
    """A passo of the document to come where a conversation may go on."""

    node: str
    title: str
    detail: str


def standing(flow: Flow, document: FlowDocument) -> list[Standing]:
    """Newest version first, then the passos where most wait. Two statements and the versions'
    documents, however many conversations there are."""
    ids = list(flow.versions.published().values_list("pk", flat=True))
    rows = list(
        under_way(ids)
        .values(
            of=KT("flow_state__version"),
            key=KT("flow_state__engine__flow"),
            node=KT("flow_state__engine__node"),
            awaiting=KT("flow_state__engine__awaiting"),
        )
        .annotate(count=Count("pk"))
        .order_by()
    )
    versions = FlowVersion.objects.in_bulk({int(row["of"]) for row in rows})
    documents = {pk: _parsed(version) for pk, version in versions.items()}
    found = []
    for row in rows:
        version = versions[int(row["of"])]
        place = f"{row['key']}/{row['node']}" if row["key"] else row["node"]
        found.append(_standing(version, documents[version.pk], document, place, row))
    return sorted(found, key=lambda one: (-(one.version.number or 0), -one.count, one.place))


def _standing(
    version: FlowVersion,
    theirs: FlowDocument | None,
    document: FlowDocument,
    place: str,
    row: dict[str, object],
) -> Standing:
    node = node_at(theirs, place)
    may: tuple[Do, ...] = ("stay", "end")
    if row["awaiting"] == "customer":
        may = (
            ("stay", "same", "map", "end") if can_stand(document, place) else ("stay", "map", "end")
        )
    return Standing(
        version=version,
        place=place,
        title=(node.title if node else "") or place,
        detail=detail_of(node) if node else "",
        count=int(str(row["count"])),
        may=may,
        is_gone=node_at(document, place) is None,
    )


def targets(document: FlowDocument) -> Sequence[Target]:
    """Where a conversation can go on as if it came there now. Passos of sub-flows have no caller
    to return to."""
    found = [
        Target(node_id, node.title or node_id, detail_of(node))
        for node_id, node in document.nodes.items()
        if node.kind != "start"
    ]
    return sorted(found, key=lambda one: one.title.casefold())


def _parsed(version: FlowVersion) -> FlowDocument | None:
    try:
        return parse_flow(version.document)
    except FlowError:
        return None
