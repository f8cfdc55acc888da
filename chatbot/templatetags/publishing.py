"""The versions of a flow, for its page: `{% flow_versions flow %}`."""

from __future__ import annotations

from typing import Any

from django import template

from chatbot.models import Flow, SessionMove
from chatbot.publishing.moves import Progress, progress_of
from chatbot.publishing.versions import Versions

register = template.Library()


@register.inclusion_tag("chatbot/publishing/_card.html", takes_context=True)
def flow_versions(context: template.Context, flow: Flow) -> dict[str, Any]:
    """The list of versions, any two of them compared, and what is under way."""
    request = context["request"]
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "flow": flow,
        "versions": Versions(flow, request.GET),
    }


@register.filter
def progress(move: SessionMove) -> Progress:
    return progress_of(move)
