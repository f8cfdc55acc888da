"""What was said, for any page: `{% transcript session %}`, and `{% composer session %}` to answer.

Both take `ticket=` on a ticket's page. A page outside chatbot loads these by name and imports
nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from chatbot import composer as composers
from chatbot import transcript as transcripts
from chatbot import transcript_notices
from chatbot.templatetags.console import day_in_words
from sessions_app.models import Session
from tickets.models import Ticket, TicketEvent

register = template.Library()

_EMPHASIS = re.compile(r"(?<![\w*_~])([*_~])(?=\S)([^\n*_~]+?)(?<=\S)\1(?![\w*_~])")
_SET = re.compile(r"[*_~]|[^\S ]|[\x1c-\x1e\x85\u2028\u2029]")  # what may be set, or ends a line
_TAGS = {"*": "b", "_": "i", "~": "s"}


@register.inclusion_tag("chatbot/_transcript.html", takes_context=True)
def transcript(
    context: template.Context,
    session: Session,
    talk: transcripts.Transcript | None = None,
    ticket: Ticket | None = None,
) -> dict[str, Any]:
    """The last messages, notes and events, opened at their end, and what asks for new ones; or, as
    `talk`, a page of earlier ones."""
    request = context["request"]
    watched = _watched(session, request.user)
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "session": watched,
        "ticket": ticket,
        "talk": transcripts.opening(watched, request.user) if talk is None else talk,
        "is_past": talk is not None,
        "standing": composers.standing(watched, timezone.now()),
        "may_reply": request.user.has_perm("chatbot.add_messagelog"),
    }


@register.inclusion_tag("chatbot/_composer.html", takes_context=True)
def composer(
    context: template.Context, session: Session, ticket: Ticket | None = None
) -> dict[str, Any]:
    """The boxes for a reply and for an internal note, or why there is none."""
    request, at = context["request"], timezone.now()
    user = request.user
    ticket = ticket or composers.ticket_of(session, user)
    may_reply = user.has_perm("chatbot.add_messagelog")
    may_note = ticket is not None and user.has_perm("tickets.add_internalnote")
    chosen = request.GET.get("template", "")
    drafts = composers.drafts_of(ticket, user)
    watched = _watched(session, user)
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        **composers.box_of(
            watched, user, with_templates="templates" in request.GET, chosen=chosen, at=at
        ),
        "ticket": ticket,
        "assignee": ticket.assignee if ticket else None,
        "may_reply": may_reply,
        "may_note": may_note,
        "is_note_first": may_note and (request.GET.get("box") == "note" or not may_reply),
        "text": drafts.get("reply", ""),
        "note_text": drafts.get("note", ""),
        "next": request.get_full_path(),
    }


def _watched(session: Session, user: Any) -> Session:
    """The session with what a poll reads of it, once for both tags of a page."""
    if hasattr(session, "last_note"):
        return session
    known: Session | None = getattr(session, "_watched", None)
    if known is None:
        known = transcripts.watched(session.pk, user)
        if known is None:
            raise Session.DoesNotExist
        session._watched = known  # type: ignore[attr-defined]  # kept on the page's own instance
    return known


@register.filter
def as_said(text: str) -> SafeString:
    """A message with its *bold*, _italic_ and ~struck~ words set as the customer sees them, line by
    line. Everything else is text."""
    if not _SET.search(text):
        return escape(text)
    first, *rest = [_line(line) for line in text.splitlines()] or [SafeString("")]
    return first + format_html_join("", "<br>{}", ((line,) for line in rest))


def _line(line: str) -> SafeString:
    return format_html_join("", "{}", ((piece,) for piece in _pieces(line)))


def _pieces(line: str) -> Iterator[SafeString | str]:
    at = 0
    for found in _EMPHASIS.finditer(line):
        yield line[at : found.start()]
        tag = _TAGS[found[1]]
        yield format_html("<{}>{}</{}>", tag, found[2], tag)
        at = found.end()
    yield line[at:]


@register.filter
def told(events: Sequence[TicketEvent]) -> list[transcript_notices.Event]:
    """What happened to a ticket as sentences, in the order given; whose turn it is left out."""
    return transcript_notices.events_of(events)


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
