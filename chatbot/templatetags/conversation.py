"""What was said, for any page: `{% transcript session %}`, and `{% reply_box session %}` to answer.

A page outside chatbot loads these by name and imports nothing.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from chatbot import transcript as transcripts
from chatbot.template_picker import picker
from chatbot.templatetags.console import day_in_words
from sessions_app.models import Session

register = template.Library()


@register.inclusion_tag("chatbot/_transcript.html", takes_context=True)
def transcript(
    context: template.Context, session: Session, talk: transcripts.Transcript | None = None
) -> dict[str, Any]:
    """The last messages, opened at their end, and what asks for new ones."""
    return {
        "request": context["request"],
        "csrf_token": context.get("csrf_token"),
        "session": session,
        "talk": transcripts.latest([session]) if talk is None else talk,
        "is_past": context.get("is_past", False),
        "may_reply": context["request"].user.has_perm("chatbot.add_messagelog"),
    }


@register.inclusion_tag("chatbot/_reply_box.html", takes_context=True)
def reply_box(context: template.Context, session: Session) -> dict[str, Any]:
    """The form to answer in, or why there is none."""
    request, at = context["request"], timezone.now()
    may_reply = request.user.has_perm("chatbot.add_messagelog")
    is_window_open = session.is_live and session.window_is_open(at)
    offers_templates = may_reply and not is_window_open
    chosen = request.GET.get("template", "")
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "session": session,
        "may_reply": may_reply,
        "client_id": uuid4(),
        "is_window_open": is_window_open,
        "picker": picker(session, chosen=chosen, at=at) if offers_templates else None,
        "next": request.get_full_path(),
    }


@register.filter
def day_label(day: date) -> str:
    """ "Today, Thursday, November 12", as the separators of a conversation say it."""
    shown = day_in_words(day)
    today = timezone.localdate()
    if day == today:
        return _("Today, %(day)s") % {"day": shown}
    if day == today - timedelta(days=1):
        return _("Yesterday, %(day)s") % {"day": shown}
    if day.year == today.year:
        return shown
    return date_format(day, "DATE_FORMAT")
