"""The same done to one ticket after the other, where one that fails must not keep the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from django.db import InterfaceError, OperationalError

from tickets.models import Ticket
from users.errors import DomainError

logger = logging.getLogger(__name__)


def for_each(
    tickets: Iterable[Ticket], act: Callable[[Ticket, datetime], bool], *, now: datetime
) -> int:
    """To how many it was done. `act` opens its own transaction and looks again under the session's
    lock. One that fails is logged and left for the next run; a database that is gone ends it."""
    count = 0
    for ticket in list(tickets):
        try:
            count += act(ticket, now)
        except (OperationalError, InterfaceError):
            raise
        except DomainError:
            logger.info("ticket %s has moved meanwhile", ticket.protocol)
        except Exception:
            logger.exception("%s failed for ticket %s", act.__qualname__, ticket.protocol)
    return count
