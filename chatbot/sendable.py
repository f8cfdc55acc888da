"""May this be sent? The one place that says so: for an attendant's reply, the API, a flow, and once
more just before the call."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from chatbot import message_templates
from chatbot.message_templates import Refusal
from sessions_app.models import Owner, Session
from tickets.queue_promise import PAUSE

TEMPLATE = "template"
QUEUED = "queued"  # how the names of the sentences about a place in the queue begin


def is_out_of_date(
    payload: Mapping[str, Any], session: Session, *, said_at: datetime, at: datetime
) -> bool:
    """Is this a place in the queue that must not be told any more, because somebody has taken the
    ticket or the message has waited for too long?"""
    if not str(payload.get("sentence", "")).startswith(QUEUED):
        return False
    return session.owner != Owner.QUEUE or at - said_at > PAUSE


def why_not(
    session: Session, *, kind: str, at: datetime, template: Mapping[str, Any] | None = None
) -> Refusal | None:
    """Why content of this kind may not go to the session's customer at `at`; None when it may.

    The customer service window is counted from the provider's time of the customer's last message
    (`Session.window_is_open`); outside it only an approved message template goes, a marketing one
    never to who has opted out.
    """
    if session.identity_id is None:
        return Refusal("no_address", _("There is no address to answer to."))
    if kind != TEMPLATE and not session.window_is_open(at):
        return Refusal(
            "window_closed",
            _(
                "The customer last wrote more than 24 hours ago: WhatsApp accepts only a message "
                "template now. Wait for the customer to write, or send a template."
            ),
        )
    if kind == TEMPLATE:
        return message_templates.why_not(
            template or {}, channel=session.channel, lead=session.lead, now=at
        )
    return None
