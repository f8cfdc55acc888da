"""The other form of a phone number, tried once when nobody was there under the first.

A Brazilian account may be known with or without the ninth digit, and nobody can tell from the
number. Meta's docs: error 131026; "send messages", on numbers of Brazil and Mexico.
"""

from __future__ import annotations

from chatbot.channels.base import Meaning, SendError
from chatbot.models import Direction, MessageLog
from leads.models import Identity, Scheme
from leads.phones import other_form

OTHER_FORM = "other_form"  # in a row's payload: the form of the number that it is sent to


def untried_form(message: MessageLog, error: SendError) -> str | None:
    """The other form of the number, when `error` says that nobody is at the first and this message
    has not been sent to the other. A form that the customer has written from is the right one."""
    identity = message.identity
    if error.meaning != Meaning.UNREACHABLE or identity is None or OTHER_FORM in message.payload:
        return None
    if identity.scheme != Scheme.PHONE or _has_written(identity):
        return None
    return other_form(identity.send_to)


def _has_written(identity: Identity) -> bool:
    theirs = MessageLog.objects.filter(session__lead=identity.lead_id, identity=identity)
    return theirs.filter(direction=Direction.INBOUND).exists()


def learn_form(message: MessageLog) -> None:
    """The message has reached the customer under the other form: from now on all go there."""
    form = message.payload.get(OTHER_FORM)
    if form and message.identity_id is not None:
        Identity.objects.filter(pk=message.identity_id).exclude(send_to=form).update(
            send_to=form, unreachable_at=None
        )
