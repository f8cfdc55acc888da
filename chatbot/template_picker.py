"""The templates that an attendant may send in one conversation, as the reply form offers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from chatbot.labels import template_category
from chatbot.message_templates import label_of, usable_on, why_not_sendable
from chatbot.models import MessageTemplate
from chatbot.template_parts import Parts, Piece, Preview, Variable, pieces, preview_of
from sessions_app.models import Session

MOST = 60  # templates offered; who has more searches the list
VALUE = "value:"  # prefix of the fields that values come in
FIRST_NAMES = frozenset({"nome", "name", "primeiro_nome", "first_name"})


@dataclass(frozen=True)
class Choice:
    template: MessageTemplate
    body: tuple[Piece, ...]
    category: str = ""
    buttons: int = 0
    refusal: str = ""


@dataclass(frozen=True)
class Field:
    name: str
    label: str
    value: str
    is_needed: bool
    example: str = ""


@dataclass(frozen=True)
class Chosen:
    """The template that is being filled in."""

    template: MessageTemplate
    fields: tuple[Field, ...]
    preview: Preview


@dataclass(frozen=True)
class Picker:
    choices: tuple[Choice, ...]
    chosen: Chosen | None


def picker(
    session: Session, *, chosen: str = "", values: Mapping[str, str] | None = None, at: datetime
) -> Picker:
    """`chosen` is the id of the one that was picked; `values` what was typed for it."""
    rows = usable_on(session.channel).select_related("channel")[:MOST]
    choices = tuple(_choice(row, session, at=at) for row in rows)
    picked = next((one for one in choices if str(one.template.pk) == chosen), None)
    is_open = picked is not None and not picked.refusal
    return Picker(choices, fill(picked.template, session, values) if picked and is_open else None)


def fill(
    template: MessageTemplate, session: Session, values: Mapping[str, str] | None = None
) -> Chosen:
    """With nothing typed yet, what is known of the person is filled in."""
    parts = template.parts
    known = _known(session) if values is None else {}
    typed = {one.key: (values or known).get(one.key, "") for one in parts.variables}
    fields = tuple(
        Field(
            f"{VALUE}{one.key}",
            _label(one, parts),
            typed[one.key],
            one.is_needed,
            one.example,
        )
        for one in parts.variables
    )
    return Chosen(template, fields, preview_of(parts, typed))


def _label(one: Variable, parts: Parts) -> str:
    if one.where == "body":
        return _("variable %(name)s") % {"name": one.name}
    return label_of(one.key, parts)


def values_in(form: QueryDict) -> dict[str, str]:
    """What was typed, by the names of the values."""
    return {
        name.removeprefix(VALUE): str(form[name]).strip() for name in form if name.startswith(VALUE)
    }


def _choice(row: MessageTemplate, session: Session, *, at: datetime) -> Choice:
    refusal = why_not_sendable(row, lead=session.lead, now=at)
    parts = row.parts
    return Choice(
        row,
        tuple(pieces(parts.body, {})),
        category=template_category(row.category),
        buttons=len(parts.buttons),
        refusal=refusal.sentence if refusal else "",
    )


def _known(session: Session) -> dict[str, Any]:
    first = next(iter(session.lead.name.split()), "")
    return dict.fromkeys(FIRST_NAMES, first)
