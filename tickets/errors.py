"""Why an operation on a ticket was refused; each sentence says who has it or what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from users.errors import DomainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tickets.models import Ticket
    from users.models import ResolutionField, User


class TicketConflict(DomainError):
    """The ticket is not as the operation needs it. `holder`: who has it, if it is somebody."""

    code = "ticket_conflict"

    def __init__(
        self, message: str, *, code: str | None = None, holder: User | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.holder = holder


class TicketRefused(DomainError):
    """What was asked for is not possible, whoever has the ticket."""

    code = "ticket_refused"
    status = 400


class FieldsMissing(TicketRefused):
    """The department wants to know more before the ticket is resolved. `missing`: what."""

    code = "fields_missing"

    def __init__(self, missing: Sequence[ResolutionField]) -> None:
        names = ", ".join(str(one.label) for one in missing)
        super().__init__(_("Fill in before you resolve: %(names)s.") % {"names": names})
        self.missing = tuple(missing)


def taken(ticket: Ticket) -> TicketConflict:
    """Somebody else has it, or nobody any more."""
    if ticket.assignee is None:
        message = _("Ticket %(protocol)s is back in the queue.") % {"protocol": ticket.protocol}
        return TicketConflict(message, code="ticket_released")
    message = _("Ticket %(protocol)s is with %(name)s.") % {
        "protocol": ticket.protocol,
        "name": ticket.assignee,
    }
    return TicketConflict(message, code="ticket_taken", holder=ticket.assignee)


def in_other_queue(ticket: Ticket) -> TicketConflict:
    """It waits where whoever wants to write does not work."""
    message = _("This person is waiting for %(department)s already.")
    return TicketConflict(message % {"department": ticket.department}, code="in_other_queue")


def wrong_status(ticket: Ticket) -> TicketConflict:
    message = _("Ticket %(protocol)s is already %(status)s.") % {
        "protocol": ticket.protocol,
        "status": ticket.get_status_display(),
    }
    return TicketConflict(message, code="ticket_status", holder=ticket.assignee)
