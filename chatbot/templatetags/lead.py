"""What happened with a person, for their page: `{% lead_stats lead %}`, `{% lead_timeline lead %}`.

A page outside chatbot loads these by name and imports nothing.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from django import template
from django.utils import timezone
from django.utils.text import capfirst

from chatbot import lead_timeline as line
from chatbot.templatetags.console import day_in_full
from chatbot.templatetags.conversation import day_label
from leads.models import Lead

register = template.Library()


@register.filter
def line_day(day: date) -> str:
    """The separator of a day: near ones as in a conversation, those of other years in full."""
    is_of_this_year = day.year == timezone.localdate().year
    return capfirst(day_label(day) if is_of_this_year else day_in_full(day))


@register.inclusion_tag("chatbot/_lead_stats.html", takes_context=True)
def lead_stats(context: template.Context, lead: Lead) -> dict[str, Any]:
    return line.summary(lead, user=context["request"].user)


@register.inclusion_tag("chatbot/_lead_timeline.html", takes_context=True)
def lead_timeline(context: template.Context, lead: Lead) -> dict[str, Any]:
    """The first page of the line, or the one that the address asks for, and the box for a note."""
    request = context["request"]
    tab = request.GET.get("tab", "")
    before = line.Cursor.read(request.GET.get("before", ""))
    shown = line.timeline(
        lead, user=request.user, tab=tab if tab in line.TABS else "", before=before
    )
    return {
        "request": request,
        "csrf_token": context.get("csrf_token"),
        "perms": context.get("perms"),
        "lead": lead,
        "line": shown,
        "tabs": [(key, label) for key, (label, _kinds) in line.TABS.items()],
        "may_note": request.user.has_perm("leads.add_note") and not lead.merged_into_id,
    }
