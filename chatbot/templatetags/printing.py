"""A ticket's whole conversation for paper: `{% printed_conversation ticket notes=True %}`.

Read in pieces, so that a long one needs no more rows in memory at a time than a short one.
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from typing import Any

from django import template
from django.db.models import F, QuerySet

from chatbot.models import MessageLog
from chatbot.transcript_bubbles import Bubble, bubbles_of
from chatbot.transcript_notices import Event, Note, events_of, note_of
from tickets.models import InternalNote, Ticket, TicketEvent, TicketEventKind

register = template.Library()

PIECE = 500  # messages of one reading


@register.inclusion_tag("chatbot/_printed.html")
def printed_conversation(ticket: Ticket, notes: bool = False) -> dict[str, Any]:
    """Every message of the sessions in which the ticket has been, with what happened to it; with
    `notes` what the team wrote, too."""
    return {"moments": _moments(ticket, with_notes=notes)}


def _moments(ticket: Ticket, *, with_notes: bool) -> Iterator[Bubble | Note | Event]:
    rows = TicketEvent.objects.filter(ticket=ticket).select_related("actor").order_by("pk")
    history = list(rows)
    beside: list[Note | Event] = list(events_of(history))
    if with_notes:
        written = InternalNote.objects.filter(ticket=ticket).select_related("author")
        beside += [note_of(note) for note in written.prefetch_related("mentions").order_by("pk")]
    beside.sort(key=lambda one: one.at)
    said = _bubbles(_messages(ticket, history))
    return merge(said, beside, key=lambda one: one.at)


def _messages(ticket: Ticket, history: list[TicketEvent]) -> QuerySet[MessageLog]:
    """Of the session where the ticket is, and of those where it was before it was reopened."""
    reopened = [event for event in history if event.kind == TicketEventKind.REOPENED]
    sessions = {ticket.session_id, *(event.details.get("session") for event in reopened)} - {None}
    rows = MessageLog.objects.filter(session__in=sessions, session__lead=ticket.lead_id)
    return rows.select_related("author_user").annotate(channel_kind=F("channel__kind"))


def _bubbles(messages: QuerySet[MessageLog]) -> Iterator[Bubble]:
    known: list[MessageLog] = []
    while True:
        last = known[-1].pk if known else 0
        piece = list(messages.filter(pk__gt=last).order_by("pk")[:PIECE])
        if not piece:
            return
        yield from bubbles_of(piece, known)
        known = piece
