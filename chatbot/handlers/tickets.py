"""What a flow may ask about the customer's own tickets."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel, ConfigDict

from chatbot.handlers.registry import HandlerCall, HandlerResult, NoArgs, handler
from tickets.models import Ticket

LISTED = 5


class FindTicket(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: str


@handler(
    "open_tickets",
    label=_("Open tickets of the customer"),
    args=NoArgs,
    routes=("ok", "none"),
    outputs=("open_tickets", "open_ticket_protocols", "last_open_protocol"),
)
def open_tickets(call: HandlerCall[NoArgs]) -> HandlerResult:
    """How many tickets of this lead are open, and the protocols of the newest ones."""
    tickets = Ticket.objects.open().filter(lead=call.lead).order_by("-id")
    protocols = list(tickets.values_list("protocol", flat=True))
    values = {
        "open_tickets": len(protocols),
        "open_ticket_protocols": ", ".join(protocols[:LISTED]),
        "last_open_protocol": protocols[0] if protocols else "",
    }
    return HandlerResult("ok" if protocols else "none", values)


@handler(
    "find_ticket",
    label=_("Find a ticket of the customer by its protocol"),
    args=FindTicket,
    routes=("ok", "not_found"),
    outputs=("ticket_protocol", "ticket_status", "ticket_status_label"),
)
def find_ticket(call: HandlerCall[FindTicket]) -> HandlerResult:
    """The status of one ticket. Those of other people are not found: protocols can be guessed."""
    protocol = call.args.protocol.strip().removeprefix("#")
    ticket = Ticket.objects.filter(lead=call.lead, protocol=protocol).only("status").first()
    if ticket is None:
        return HandlerResult("not_found")
    values = {
        "ticket_protocol": protocol,
        "ticket_status": ticket.status,
        "ticket_status_label": ticket.get_status_display(),
    }
    return HandlerResult("ok", values)
