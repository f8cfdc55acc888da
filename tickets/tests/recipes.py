"""Tickets of Davi: opened by the bot, or in the hands of Bia."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction

from leads.tests.recipes import davi
from sessions_app.models import Session
from sessions_app.tests import recipes as sessions
from sessions_app.tests.recipes import MONDAY
from tickets.models import Ticket
from tickets.services import open_ticket
from users.tests.recipes import department


@transaction.atomic
def ticket(session: Session | None = None, *, at: datetime = MONDAY, **arguments: Any) -> Ticket:
    """An open ticket in the queue of vendas; with `assignee`, theirs from the beginning."""
    arguments.setdefault("department", department("vendas"))
    arguments.setdefault("actor", arguments.get("assignee"))
    return open_ticket(session or sessions.session(davi()), at=at, **arguments)
