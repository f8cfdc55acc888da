"""May this be sent? The one place that says so: for an attendant's reply, the API, a flow, and once
more just before the call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.translation import gettext as _

from sessions_app.models import Session

TEMPLATE = "template"


@dataclass(frozen=True)
class Refusal:
    """`code` is stable, for programs; `sentence` says what happened and what to do."""

    code: str
    sentence: str


def why_not(
    session: Session, *, kind: str, at: datetime, template: Mapping[str, Any] | None = None
) -> Refusal | None:
    """Why content of this kind may not go to the session's customer at `at`; None when it may.

    The customer service window is counted from the provider's time of the customer's last message
    (`Session.window_is_open`); outside it only an approved message template goes.
    """
    if session.identity is None:
        return Refusal("no_address", _("There is no address to answer to."))
    if kind != TEMPLATE and not session.window_is_open(at):
        return Refusal(
            "window_closed",
            _(
                "The customer last wrote more than 24 hours ago: WhatsApp accepts only a message "
                "template now. Wait for the customer to write, or send a template."
            ),
        )
    return None
