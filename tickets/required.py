"""What a department wants to know before a ticket of it is resolved."""

from __future__ import annotations

from tickets.models import Ticket
from users.models import ResolutionField


def missing_fields(ticket: Ticket, *, note: str | None = None) -> list[ResolutionField]:
    """What is still to be filled in; `note`: the resolution note that is about to be written. No
    query for a department that asks for nothing."""
    asked = ticket.department.required_at_resolution
    wanted = [one for one in ResolutionField if one in asked]
    return [one for one in wanted if not _is_filled(ticket, one, note=note)]


def _is_filled(ticket: Ticket, field: ResolutionField, *, note: str | None) -> bool:
    match field:
        case ResolutionField.SUBJECT:
            return bool(ticket.subject.strip())
        case ResolutionField.TAGS:
            return ticket.tags.exists()
        case ResolutionField.RESOLUTION_NOTE:
            return bool((ticket.resolution_note if note is None else note).strip())
        case ResolutionField.LEAD_NAME:
            return bool(ticket.lead.name.strip())
        case ResolutionField.LEAD_EMAIL:
            return bool(ticket.lead.email)
        case ResolutionField.LEAD_DOCUMENT:
            return bool(ticket.lead.document)
