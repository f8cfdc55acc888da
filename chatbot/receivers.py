"""What the chatbot does when a ticket is closed. Runs inside the ticket's transaction: only writes
rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from chatbot.media import remove_files
from chatbot.models import Media
from chatbot.triggers import find_closing_trigger
from chatbot.turn import RESUME, Turn
from sessions_app.models import Session
from tickets.models import Ticket
from tickets.services import Next
from tickets.signals import ticket_closed


@receiver(ticket_closed, dispatch_uid="chatbot.start_closing_flow")
def start_closing_flow(
    *, ticket: Ticket, session: Session, then: Next, entry: str, at: datetime, **_rest: Any
) -> None:
    """Back with the bot after a ticket: the flow of the closing trigger (a survey, for instance)
    starts.

    `entry` RESUME: the ticket was only closed so that the interrupted run goes on. Outside the
    service window nothing starts: the customer's next message will start a flow.
    """
    if then != Next.BOT or entry == RESUME or not session.window_is_open(at):
        return
    trigger = find_closing_trigger(session.channel, at)
    if trigger is None:
        return
    turn = Turn(session, now=at)
    turn.start(trigger, at=at, context={"ticket_protocol": ticket.protocol})
    turn.save([])


@receiver(post_delete, sender=Media, dispatch_uid="chatbot.remove_files")
def remove_files_of_media(*, instance: Media, **_rest: Any) -> None:
    """A file goes with its row, by whatever way: most rows are deleted by a cascade, which calls no
    method of theirs. Not before the commit: what is rolled back keeps its file."""
    names = [instance.file.name or "", instance.thumbnail.name or ""]
    transaction.on_commit(lambda: remove_files(names), robust=True)
