"""What the chatbot does when a ticket is closed. Runs inside the ticket's transaction: only writes
rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils.translation import gettext as _

from chatbot.media import remove_files
from chatbot.models import Flow, Media
from chatbot.simulation.staging import on_their_clock
from chatbot.triggers import find_closing_trigger
from chatbot.turn import RESUME, Turn
from sessions_app.models import Session
from tickets.models import Ticket
from tickets.services import Next
from tickets.signals import ticket_closed
from users.errors import DomainError


@receiver(ticket_closed, dispatch_uid="chatbot.start_closing_flow")
def start_closing_flow(
    *, ticket: Ticket, session: Session, then: Next, entry: str, at: datetime, **_rest: Any
) -> None:
    """Back with the bot after a ticket: the flow named by `entry` starts (the survey, for
    instance), or without one the flow of the closing trigger, if there is one.

    `entry` RESUME: the ticket was only closed so that the interrupted run goes on. Outside the
    service window nothing starts: the customer's next message will start a flow.
    """
    at = on_their_clock(session, at)
    if then != Next.BOT or entry == RESUME or not session.window_is_open(at):
        return
    turn = Turn(session, now=at)
    context = {"ticket_protocol": ticket.protocol}
    if entry:
        turn.start(_flow_on_air(entry), at=at, context=context)
    else:
        trigger = find_closing_trigger(session.channel, at)
        if trigger is None:
            return
        turn.start(trigger.flow, trigger=trigger, at=at, context=context)
    turn.save([])


def _flow_on_air(slug: str) -> Flow:
    """Refuses, and with it the closing of the ticket, when there is none."""
    flow = Flow.objects.published().filter(slug=slug).first()
    if flow is None:
        raise DomainError(
            _("There is no flow “%(slug)s” on air. Resolve without it, or publish it first.")
            % {"slug": slug},
            code="entry_unknown",
        )
    return flow


@receiver(post_delete, sender=Media, dispatch_uid="chatbot.remove_files")
def remove_files_of_media(*, instance: Media, **_rest: Any) -> None:
    """A file goes with its row, by whatever way: most rows are deleted by a cascade, which calls no
    method of theirs. Not before the commit: what is rolled back keeps its file."""
    names = [instance.file.name or "", instance.thumbnail.name or ""]
    transaction.on_commit(lambda: remove_files(names), robust=True)
