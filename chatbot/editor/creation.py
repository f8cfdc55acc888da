"""New flows: from nothing, from one that comes with the program, from a copy, from a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.text import slugify
from django.utils.translation import gettext as _

from chatbot import flows_service
from chatbot.models import Flow, GoldenConversation
from users.errors import DomainError
from users.models import User

Json = dict[str, Any]
LONGEST_SLUG = 50
FIRST_STEP, FIRST_TITLE = "inicio", "Início"  # data, not interface


def empty_document() -> Json:
    """Where everything begins."""
    return {
        "schema": 1,
        "start": FIRST_STEP,
        "nodes": {FIRST_STEP: {"kind": "start", "title": FIRST_TITLE}},
    }


def slug_for(name: str) -> str:
    """A slug made of the name that no flow has yet."""
    base = slugify(name)[:LONGEST_SLUG].strip("-_") or "fluxo"
    taken = set(Flow.objects.filter(slug__startswith=base[:40]).values_list("slug", flat=True))
    slug, number = base, 1
    while slug in taken:
        number += 1
        slug = f"{base[: LONGEST_SLUG - len(str(number)) - 1]}-{number}"
    return slug


@transaction.atomic
def create(
    *,
    name: str,
    document: Mapping[str, Any],
    user: User,
    slug: str = "",
    golden: Iterable[Json] = (),
) -> Flow:
    """A flow with this draft, off the air, with the conversations that prove it. Raises what
    `save_draft` raises."""
    try:
        with transaction.atomic():
            flow = Flow.objects.create(slug=slug or slug_for(name), name=name)
    except IntegrityError:
        raise DomainError(
            _("There is a flow with this name already. Choose another one."), code="slug_taken"
        ) from None
    own = {key: value for key, value in document.items() if key != "subflows"}
    own |= {"slug": flow.slug, "name": name}
    flows_service.save_draft(
        flow, own, user=user, revision=flow.draft_revision, said={"code": "begun"}
    )
    keep_golden(flow, golden, user=user)
    return flow


def keep_golden(flow: Flow, golden: Iterable[Json], *, user: User | None) -> int:
    """Add the conversations; one of the same name takes the other's place. How many they are."""
    rows = [
        GoldenConversation(flow=flow, name=one["name"], conversation=one, created_by=user)
        for one in golden
    ]
    GoldenConversation.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["flow", "name"],
        update_fields=["conversation"],
    )
    return len(rows)
