"""What people write and a menu does not understand becomes a synonym of one of its options."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from django.utils.translation import gettext as _

from chatbot import flows_service
from chatbot.engine.kinds import Menu, Option
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.models import Flow, NotUnderstood
from users.errors import DomainError
from users.models import User


class SynonymRefused(DomainError):
    """The draft has no such option any more, or cannot be read."""

    code = "synonym_refused"


@dataclass(frozen=True)
class Heard:
    """A text that was not understood, with the options that it might mean."""

    row: NotUnderstood
    title: str
    options: tuple[Option, ...]


def heard(flow: Flow, user: User, *, is_settled: bool, most: int) -> list[Heard]:
    """The most frequent texts of a flow; a statement, and one for the sub-flows among them."""
    rows = NotUnderstood.objects.visible_to(user).filter(flow=flow, is_settled=is_settled)
    chosen = list(rows.order_by("-count", "-last_at")[:most])
    drafts = _drafts(flow, {row.node.rpartition("/")[0] for row in chosen}, user)
    found = []
    for row in chosen:
        key, _slash, node_id = row.node.rpartition("/")
        document = drafts.get(key)
        node = document.nodes.get(node_id) if document else None
        options = node.options if isinstance(node, Menu) else ()
        found.append(Heard(row, (node.title if node else "") or node_id, options))
    return found


def add(row: NotUnderstood, option_id: str, *, user: User) -> Flow:
    """Write the text as a synonym of the option into the draft of the flow that the menu stands in.
    Raises SynonymRefused, DraftConflict or FlowRefused."""
    key, _slash, node_id = row.node.rpartition("/")
    flows = Flow.objects.visible_to(user)
    flow = flows.filter(slug=key).first() if key else flows.filter(pk=row.flow_id).first()
    document = copy.deepcopy(flow.draft) if flow else {}
    node = document.get("nodes", {}).get(node_id, {})
    option = next((one for one in node.get("options", ()) if one.get("id") == option_id), None)
    if flow is None or option is None:
        raise SynonymRefused(_("The draft does not have this option any more."))
    said = option.get("synonyms") or []
    if row.sample not in said:
        option["synonyms"] = [*said, row.sample]
        told = {"code": "synonym_added", "word": row.sample}
        flows_service.save_draft(flow, document, user=user, revision=flow.draft_revision, said=told)
    settle(row)
    return flow


def settle(row: NotUnderstood, *, is_settled: bool = True) -> None:
    """Nothing more is to be done about it, or something is again."""
    NotUnderstood.objects.filter(pk=row.pk).update(is_settled=is_settled)


def _drafts(flow: Flow, keys: set[str], user: User) -> dict[str, FlowDocument]:
    others = keys - {""}
    flows = {"": flow}
    if others:
        flows |= {one.slug: one for one in Flow.objects.visible_to(user).filter(slug__in=others)}
    found = {}
    for key, one in flows.items():
        try:
            found[key] = parse_flow(one.draft)
        except FlowError:
            continue
    return found
