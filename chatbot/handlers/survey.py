"""What a survey keeps: the customer's rating of the ticket that has just ended, and their comment.

Which ticket that is says the session, not the flow: nobody can rate somebody else's.
"""

from __future__ import annotations

from typing import Annotated

from django.utils.translation import gettext_lazy as _
from pydantic import BaseModel, ConfigDict, Field

from chatbot.handlers.registry import HandlerCall, HandlerResult, handler
from tickets import services
from tickets.models import Ticket


class Rating(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rating: Annotated[int, Field(ge=1, le=5)]


class RatingComment(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    comment: str = ""


@handler(
    "rate_ticket",
    label=_("Keep the rating of the ticket that has ended"),
    args=Rating,
    routes=("ok", "none"),
)
def rate_ticket(call: HandlerCall[Rating]) -> HandlerResult:
    """Leaves by "none" when no ticket of this conversation has ended, or it was rated before."""
    ticket = _ended(call)
    if ticket is None or not services.rate(ticket, rating=call.args.rating, at=call.at):
        return HandlerResult("none")
    return HandlerResult("ok")


@handler(
    "comment_rating",
    label=_("Keep the comment on the rating"),
    args=RatingComment,
    routes=("ok", "none"),
)
def comment_rating(call: HandlerCall[RatingComment]) -> HandlerResult:
    """Leaves by "none" when there is nothing to add it to, or it is empty."""
    ticket = _ended(call)
    comment = call.args.comment
    if ticket is None or not services.comment_rating(ticket, comment=comment, at=call.at):
        return HandlerResult("none")
    return HandlerResult("ok")


def _ended(call: HandlerCall[Rating] | HandlerCall[RatingComment]) -> Ticket | None:
    tickets = Ticket.objects.filter(session=call.session).select_related("assignee")
    return tickets.exclude(pk__in=tickets.open()).order_by("-id").first()
