"""A session's page, for the screen of the app that keeps sessions: `{% session_page session %}`."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils import timezone

from chatbot.session_page import Asked, SessionPage
from sessions_app.models import Session

register = template.Library()


@register.inclusion_tag("chatbot/_session_page.html", takes_context=True)
def session_page(context: template.Context, session: Session) -> dict[str, Any]:
    """The page's content: header, map, lanes and cards, and what asks for news of them."""
    request = context["request"]
    asked = Asked.read(request.GET)
    return {
        "request": request,
        "perms": context.get("perms"),
        "csrf_token": context.get("csrf_token"),
        "session": session,
        "page": SessionPage(session, user=request.user, at=timezone.now(), asked=asked),
    }
