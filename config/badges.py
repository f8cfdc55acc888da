"""The counts beside the sidebar's items and on the bell, kept fresh by one small poll."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any, cast

from django.contrib.auth.models import AnonymousUser
from django.db.models import F, Func, IntegerField, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from chatbot.requests import StaffRequest
from sessions_app.models import Session
from tickets.models import Notification, Ticket
from users.console import background
from users.frozen import Frozen
from users.models import User


@dataclass(frozen=True)
class Badges:
    """What waits for this person: their awake tickets, the unread notices that they may see, and
    live sessions: an admin's all, an attendant's those with an open ticket that they see."""

    tickets: int = 0
    sessions: int = 0
    notices: int = 0

    @property
    def digest(self) -> str:
        return "-".join(str(one) for one in astuple(self))


def badges_of(user: User | AnonymousUser) -> Badges:
    """One statement; none for nobody, who sees the page that says goodbye."""
    if not isinstance(user, User):
        return Badges()
    return Badges(*_COUNTS.first(user.is_admin, user=user, at=timezone.now()))


def _counts(_is_admin: bool, user: User, at: datetime) -> QuerySet[User, tuple[int, ...]]:
    tickets = Ticket.objects.visible_to(user).real().open()
    mine = tickets.awake(at).filter(assignee=user)
    live = Session.objects.visible_to(user).real().live()
    return (
        User.objects.visible_to(user)
        .filter(pk=user.pk)
        .order_by()
        .values_list(
            _count(mine),
            # Whether one may see a session is a look at its tickets: too much for a poll.
            _count(live if user.is_admin else tickets),
            _count(Notification.objects.visible_to(user).unread()),
        )
    )


_COUNTS = Frozen(_counts)


def _count(rows: QuerySet[Any]) -> Subquery:
    """A scalar subquery. `COUNT` as a plain function: an aggregate would group."""
    whole = Func(F("pk"), function="COUNT", output_field=IntegerField())
    return Subquery(rows.order_by().values(whole=whole))


@background
@require_GET
def news(request: HttpRequest) -> HttpResponse:
    """The counts, or 204 while they are those of `seen`."""
    badges = badges_of(cast("StaffRequest", request).user)
    if badges.digest == request.GET.get("seen"):
        return HttpResponse(status=204)
    return TemplateResponse(request, "admin/includes/badges_news.html", {"badges": badges})
