"""What was said last in the conversations of a list, for pages outside chatbot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django import template

from chatbot.last_said import Said
from chatbot.last_said import last_said as read_last_said

register = template.Library()


@register.simple_tag(takes_context=True)
def last_said(context: template.Context, rows: Iterable[Any]) -> dict[int, Said]:
    """Of rows with a `session_id` that the person may see; one statement for all of them."""
    sessions = [row.session_id for row in rows]
    return read_last_said(sessions, reader=context["request"].user) if sessions else {}


@register.filter
def said_in(said: Mapping[int, Said], session_id: int) -> Said | None:
    """What `last_said` found for this session."""
    return said.get(session_id)
