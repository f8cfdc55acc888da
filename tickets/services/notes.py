"""What the team says among itself."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext as _

from leads.models import Lead
from sessions_app.models import Session
from sessions_app.services import lock_session
from tickets.errors import TicketRefused
from tickets.mentions import mentioned
from tickets.models import InternalNote, NotificationKind, Ticket
from tickets.notifications import notify_all
from users.models import User


@transaction.atomic
def add_note(
    ticket: Ticket, *, author: User | None, text: str, session: Session | None = None
) -> InternalNote:
    """Write something for the team; the customer never sees it. Who is named in it is told.

    Notes of one lead are written one after the other, so that their ids are in commit order: a page
    that shows a note asks only for later ones, of all the lead's tickets. `session`: the ticket's,
    if the caller has locked it.
    """
    text = text.strip()
    if not text:
        raise TicketRefused(_("The note is empty."))
    session = session or lock_session(ticket.session_id)  # a merge of leads waits for it
    Lead.objects.select_for_update(no_key=True, of=("self",)).get(pk=session.lead_id)
    note = InternalNote.objects.create(ticket=ticket, author=author, text=text)
    people = mentioned(text, author=author)
    if people:
        note.mentions.set(people)
        notify_all(
            people,
            NotificationKind.MENTIONED,
            ticket=ticket,
            actor=author,
            details={"note": note.pk, "text": text[:160]},
        )
    return note
