"""One box that finds tickets, leads and what was said: at most four statements, and nothing that
the person may not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from chatbot.models import MessageLog, MessageLogQuerySet
from chatbot.requests import StaffRequest
from chatbot.templatetags.console import customer_email, customer_phone
from leads.models import Lead
from tickets.models import Ticket, TicketStatus
from users.models import User
from users.text_search import LONGEST_TEXT, places, words_of

IN_DIALOG, ON_PAGE = 5, 25  # results of each group
SHORTEST_WORD = 3  # letters, of the longest word: less finds half of all that was ever said
BEFORE, SNIPPET = 30, 120  # characters before the first word found, and of the whole excerpt


@dataclass(frozen=True)
class Result:
    url: str
    title: SafeString
    detail: SafeString
    icon: str
    row: Any


@dataclass(frozen=True)
class Group:
    key: str
    name: str
    results: list[Result]
    more_url: str  # the list with the same search; empty when all results are shown


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """The results as a page, or for htmx as what stands below the box."""
    staff = cast("StaffRequest", request)
    text = request.GET.get("q", "").strip()[:LONGEST_TEXT]
    context: dict[str, Any] = {
        "text": text,
        "groups": search(staff.user, text, most=IN_DIALOG if staff.htmx else ON_PAGE),
    }
    if staff.htmx:
        return TemplateResponse(request, "admin/includes/search_results.html", context)
    context |= {**admin.site.each_context(request), "title": _("Search"), "is_page": True}
    return TemplateResponse(request, "admin/search.html", context)


def search(user: User, text: str, *, most: int) -> list[Group]:
    """What is found, in groups; a group without results is left out."""
    words = words_of(text)
    if not words:
        return []
    groups = [_tickets(user, text, words, most), _leads(user, text, words, most)]
    if max(len(word) for word in words) >= SHORTEST_WORD:
        groups.append(_messages(user, text, words, most))
    return [group for group in groups if group.results]


def _tickets(user: User, text: str, words: Sequence[str], most: int) -> Group:
    rows = Ticket.objects.visible_to(user).real().matching(text).select_related("lead")
    found = list(rows.order_by("-id")[: most + 1])
    results = [
        Result(
            reverse("admin:tickets_ticket_change", args=[ticket.pk]),
            marked(f"#{ticket.protocol}", words),
            marked(" · ".join(filter(None, [str(ticket.lead), ticket.subject])), words),
            "inbox",
            ticket,
        )
        for ticket in found[:most]
    ]
    more = (
        _list("tickets_ticket", text, grupo="todos", status=TicketStatus.values)
        if len(found) > most
        else ""
    )
    return Group("tickets", _("Tickets"), results, more)


def _leads(user: User, text: str, words: Sequence[str], most: int) -> Group:
    rows = Lead.objects.visible_to(user).real().live().matching(text)
    found = list(rows.order_by("-id")[: most + 1])
    results = [
        Result(
            reverse("admin:leads_lead_change", args=[lead.pk]),
            marked(str(lead), words),
            marked(
                " · ".join(
                    filter(
                        None, [customer_phone(lead.phone), customer_email(lead.email), lead.company]
                    )
                ),
                words,
            ),
            "lead",
            lead,
        )
        for lead in found[:most]
    ]
    more = _list("leads_lead", text) if len(found) > most else ""
    return Group("leads", _("Leads"), results, more)


def _messages(user: User, text: str, words: Sequence[str], most: int) -> Group:
    visible = MessageLog.objects.visible_to(user).real()
    found = _newest(visible.matching_newest(text), most + 1)
    if len(found) <= most:  # a rare word: its index leads to all there are
        found = _newest(visible.matching(text), most + 1)
    results = [
        Result(
            _place_of(message),
            marked(excerpt(message.text, words), words),
            format_html("{} · {}", message.session.lead, capfirst(message.get_author_display())),
            "msgs",
            message,
        )
        for message in found[:most]
    ]
    more = _list("chatbot_messagelog", text) if len(found) > most else ""
    return Group("messages", _("Messages"), results, more)


def _place_of(message: MessageLog) -> str:
    """The page of the conversation that ends with the message: the latest one may not go back so
    far."""
    args, query = [message.session_id], {"before": message.pk + 1}
    return f"{reverse('conversation', args=args, query=query)}#message-{message.pk}"


def _newest(rows: MessageLogQuerySet, count: int) -> list[MessageLog]:
    shown = rows.select_related("session__lead").only(
        "text", "author", "created_at", "session__lead__name", "session__lead__phone"
    )
    return list(shown.order_by("-id")[:count])


def _list(model: str, text: str, **query: str | list[str]) -> str:
    return reverse(f"admin:{model}_changelist", query={"q": text, **query})


def excerpt(text: str, words: Sequence[str]) -> str:
    """The part of a long text where the first word stands."""
    line = " ".join(text.split())
    found = places(line, words)
    begin = max(0, found[0][0] - BEFORE) if found else 0
    end = begin + SNIPPET
    return f"{'…' if begin else ''}{line[begin:end]}{'…' if end < len(line) else ''}"


def marked(text: str, words: Sequence[str]) -> SafeString:
    """The text, escaped piece by piece, with the words found in <mark>."""
    pieces: list[tuple[str, str]] = []
    done = 0
    for begin, end in places(text, words):
        pieces.append((text[done:begin], text[begin:end]))
        done = end
    return format_html("{}{}", format_html_join("", "{}<mark>{}</mark>", pieces), text[done:])
