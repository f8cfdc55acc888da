"""Flows in files: how those that come with the program are installed, and how files are checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot.editor import exchange
from chatbot.editor.exchange import BadFile
from chatbot.engine.check import Surroundings
from chatbot.engine.golden import play
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.findings import (
    Finding,
    check_document,
    golden_mismatch,
    golden_unreadable,
    not_json,
    unreadable,
)
from chatbot.flows_service import (
    DraftConflict,
    FlowRefused,
    called_by,
    publish,
    save_draft,
    surroundings,
    with_subflows,
)
from chatbot.models import Flow, Trigger, TriggerKind

SHIPPED_FOLDER = Path(__file__).parent / "flows"
# What starts a shipped flow once it is installed; a flow that is not here is only published.
# The survey is started by who resolves a ticket with it.
SHIPPED_TRIGGERS = {"atendimento": TriggerKind.CATCH_ALL}

SUFFIXES = (".json", ".yaml", ".yml")

Json = dict[str, Any]


class Installed(StrEnum):
    """What became of a shipped flow."""

    CREATED = "created"
    UP_TO_DATE = "up to date"
    DRAFTED = "drafted"
    KEPT = "kept"
    REFUSED = "refused"


@dataclass(frozen=True)
class Shipment:
    slug: str
    result: Installed
    detail: str


def load_shipped(slug: str | None = None) -> list[Shipment]:
    """Install the flows that come with the program: absent ones are created and published.

    What is there already is never put on air by this: a newer document arrives as the draft, and
    only where nobody has changed the draft.
    """
    documents = shipped_documents()
    if slug is not None:
        documents = {slug: documents[slug]}
    return [_install(document) for document in _subflows_first(documents)]


def shipped_documents() -> dict[str, FlowDocument]:
    """The shipped flows by slug. Raises FlowError on a damaged file."""
    return {path.stem: read_file(path)[0] for path in shipped_files()}


def shipped_files() -> list[Path]:
    return sorted(SHIPPED_FOLDER.glob("*.json"))


@dataclass(frozen=True)
class FlowFile:
    """What a check of one file found, golden conversations included."""

    path: Path
    findings: list[Finding]
    conversations: int = 0


def check_files(paths: list[Path], *, with_site: bool = False) -> list[FlowFile]:
    """Check flow files. A sub-flow is looked for among them, then among the shipped ones."""
    around = surroundings(with_site=with_site)
    known = _known_files([*shipped_files(), *paths])
    return [_check_file(path, around, known) for path in paths]


def read_file(path: Path) -> tuple[FlowDocument, list[Json]]:
    """The document of a flow file, and the golden conversations that stand beside it."""
    content = exchange.parsed(path.read_bytes())
    if isinstance(content, Mapping) and "flow" in content:
        golden = content.get("golden", [])
        return parse_flow(content["flow"]), golden if isinstance(golden, list) else [golden]
    return parse_flow(content), []


def flow_files_in(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.suffix in SUFFIXES)


def _known_files(paths: list[Path]) -> dict[str, FlowDocument]:
    documents: dict[str, FlowDocument] = {}
    for path in paths:
        with suppress(FlowError, BadFile):
            document, _golden = read_file(path)
            documents[document.slug] = document
    return documents


def _check_file(path: Path, around: Surroundings, known: Mapping[str, FlowDocument]) -> FlowFile:
    try:
        document, conversations = read_file(path)
    except FlowError as error:
        return FlowFile(path, unreadable(error))
    except BadFile as error:
        return FlowFile(path, [not_json(error.message)])
    whole = with_subflows(document, known)
    findings = check_document(whole, around)
    if not any(finding.is_error for finding in findings):
        findings += [found for one in conversations if (found := _hold(whole, one))]
    return FlowFile(path, findings, len(conversations))


def _hold(document: FlowDocument, conversation: Json) -> Finding | None:
    """What goes otherwise than the golden conversation says, if anything does."""
    name = str(conversation.get("name", "")) if isinstance(conversation, dict) else ""
    if not exchange.is_playable(document, conversation):
        return golden_unreadable(name)
    mismatch = play(document, conversation).mismatch
    return golden_mismatch(name, mismatch) if mismatch else None


def _subflows_first(documents: Mapping[str, FlowDocument]) -> Iterator[FlowDocument]:
    """Each flow after those it calls, so that these are on air when it is published."""
    waiting = dict(documents)
    while waiting:
        ready = [one for one in waiting.values() if not called_by(one) & waiting.keys()]
        for document in ready or list(waiting.values()):
            yield waiting.pop(document.slug)


@transaction.atomic
def _install(document: FlowDocument) -> Shipment:
    flow, is_new = Flow.objects.get_or_create(
        slug=document.slug,
        defaults={
            "name": document.name,
            "draft": document.as_dict(),
            "draft_saved_at": timezone.now(),
        },
    )
    shipped = document.as_dict()
    if is_new or (flow.published is None and flow.draft == shipped):
        return _put_on_air(flow)
    return _offer(flow, shipped)


def _put_on_air(flow: Flow) -> Shipment:
    try:
        version = publish(flow, user=None, note=_("Shipped with the program"))
    except FlowRefused as refused:
        return Shipment(flow.slug, Installed.REFUSED, f"stays a draft. {refused}")
    kind = SHIPPED_TRIGGERS.get(flow.slug)
    if kind is not None:
        Trigger.objects.get_or_create(flow=flow, kind=kind)
    started_by = f"started by {kind.value}" if kind else "started by nothing yet"
    return Shipment(flow.slug, Installed.CREATED, f"on air as v{version.number}, {started_by}")


def _offer(flow: Flow, shipped: Json) -> Shipment:
    """The shipped document as the draft of a flow that exists, if nobody is at work on it."""
    if shipped == flow.draft or shipped in _documents_of(flow):
        return Shipment(flow.slug, Installed.UP_TO_DATE, "nothing to do")
    if flow.published is None or flow.draft != _without_subflows(flow.published.document):
        return Shipment(
            flow.slug, Installed.KEPT, "its draft has been changed; the shipped one was left out"
        )
    try:
        save_draft(flow, shipped, user=None, revision=flow.draft_revision)
    except DraftConflict:
        return Shipment(flow.slug, Installed.KEPT, "its draft is being changed right now")
    return Shipment(flow.slug, Installed.DRAFTED, "the newer one waits as a draft for publishing")


def _documents_of(flow: Flow) -> list[Json]:
    versions = flow.versions.published().values_list("document", flat=True)
    return [_without_subflows(document) for document in versions]


def _without_subflows(document: Json) -> Json:
    return {name: value for name, value in document.items() if name != "subflows"}
