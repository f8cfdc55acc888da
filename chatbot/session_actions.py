"""What staff does to a conversation that is with the bot: give the customer more time, begin again
at another passo, hand it to the team with a note."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils.translation import gettext as _

from chatbot.flow_words import document_or_none
from chatbot.silence import idle_rule
from chatbot.simulation.staging import on_their_clock
from chatbot.turn import Turn
from sessions_app.models import Owner, Session
from sessions_app.services import SessionConflict, lock_session
from tickets import services as tickets
from tickets.models import Ticket
from users.models import Department, User

EXTENSION = timedelta(minutes=30)


def ends_at(session: Session) -> datetime | None:
    """When the bot ends the session if the customer stays silent; None while it waits for none."""
    due = session.idle_due_at
    if due is None or not session.is_live or session.owner != Owner.BOT:
        return None
    version_id = session.flow_state.get("version")
    if version_id is not None and document_or_none(version_id) is None:
        return None  # nobody can say how long it waits
    rule = idle_rule(session)
    is_to_warn = session.idle_warned_at is None and rule.warn_after is not None
    return due + rule.grace if is_to_warn else due


@transaction.atomic
def extend(session_id: int, *, seen: datetime, at: datetime) -> Session:
    """Let a silent customer have half an hour more, and the warning anew.

    `seen` is the end that the person saw: of two clicks on the same page the second does nothing.
    Refused when the bot does not wait for the customer.
    """
    session = lock_session(session_id)
    end = ends_at(session)
    if end is None:
        raise SessionConflict(
            _("The bot is not waiting for the customer here, so there is nothing to extend."),
            code="session_not_waiting",
        )
    if end != seen:
        return session
    rule = idle_rule(session)
    later = max(end, at) + EXTENSION
    session.idle_warned_at = None
    session.idle_due_at = later if rule.warn_after is None else later - rule.grace
    session.save(update_fields=["idle_due_at", "idle_warned_at"])
    return session


@transaction.atomic
def begin_again_at(
    session_id: int, *, node: str, seen_seq: int, actor: User, at: datetime
) -> Session:
    """Let the bot go on at the passo `node` of the version that the conversation runs on.

    `seen_seq` is the last log number that the person saw: refused when the conversation has gone on
    since, when people have it, when it has ended, and when the bot could not be heard.
    """
    session = lock_session(session_id)
    at = on_their_clock(session, at)
    _check_may_begin_again(session, node, at)
    if session.seq != seen_seq:
        raise SessionConflict(
            _("The conversation went on while you were choosing. Look where it is and repeat.")
        )
    turn = Turn(session, now=at)
    turn.begin_again_at(node, by=actor, at=at)
    turn.save([])
    return session


def _check_may_begin_again(session: Session, node: str, at: datetime) -> None:
    if not session.is_live:
        raise SessionConflict(_("This conversation has ended."), code="session_ended")
    if session.owner != Owner.BOT:
        raise SessionConflict(
            _("This conversation is with the team. Return it to the bot first."),
            code="session_with_people",
        )
    document = document_or_none(session.flow_state.get("version"))
    if document is None or node not in document.nodes:
        raise SessionConflict(
            _("The flow of this conversation has no such step."), code="unknown_node", status=400
        )
    if not session.window_is_open(at):
        raise SessionConflict(
            _("The 24-hour window is closed: the bot could say nothing. Send a message template."),
            code="window_closed",
        )


@transaction.atomic
def hand_to_team(
    session_id: int, *, department: Department | None, note: str, actor: User, at: datetime
) -> Ticket:
    """Open a ticket for a conversation of the bot, in a queue, with an internal note."""
    ticket = tickets.open_for_staff(session_id, actor=actor, department=department, at=at)
    if note.strip():
        tickets.add_note(ticket, author=actor, text=note, session=ticket.session)
    return ticket
