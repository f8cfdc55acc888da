"""What is done on a ticket's page. An action is a POST.

htmx gets the parts of the page that changed; a browser without scripts is sent back with a message.
What a service refuses is said where the page says who has the ticket.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST
from django_htmx.http import HttpResponseClientRedirect

from leads.services import update_lead
from tickets import services
from tickets.errors import TicketRefused, taken
from tickets.models import Priority, Ticket, TicketEvent, TicketStatus
from tickets.services.transition import BEFORE
from tickets.workspace_details import tags_named
from tickets.workspace_forms import (
    HOW,
    SURVEY,
    PriorityForm,
    ResolveForm,
    SnoozeForm,
    TagForm,
    TransferForm,
)
from tickets.workspace_page import (
    address,
    answer,
    around,
    changing,
    go_to,
    inbox,
    is_htmx,
    still_visible,
    ticket_url,
    visible_ticket,
)
from users.console import toast
from users.errors import DomainError
from users.models import User
from users.permissions import person

# --- Actions -----------------------------------------------------------------------------------


@require_POST
def claim(request: HttpRequest, ticket_id: int) -> HttpResponse:
    """Of two who claim one ticket the slower one is told who has it, also where that has put it out
    of their sight."""
    user = person(request)
    if not user.has_perm("tickets.change_ticket"):
        raise PermissionDenied
    ticket = visible_ticket(request, ticket_id)
    if ticket is None:
        lost = get_object_or_404(_taken_from(user), pk=ticket_id)
        return _refuse(request, lost, taken(lost).message)
    return _do(request, ticket, lambda: services.claim(ticket, user=user), said=_("Yours now"))


def _taken_from(user: User) -> QuerySet[Ticket]:
    """What may have waited in a queue of this person until a colleague took it. Of that they hear
    who has it; nothing is said about other departments."""
    theirs = Ticket.objects.open().exclude(assignee=None).select_related("assignee")
    return theirs.filter(department__in=user.departments.values("pk"))


@require_POST
@changing
def transfer(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    form = TransferForm(request.POST, ticket=ticket, user=person(request))
    if not form.is_valid():
        return _ask_again(request, ticket, "transfer", form)
    to: Any = form.person or form.department

    def move() -> None:
        services.transfer(
            ticket,
            department=form.department,
            to_user=form.person,
            actor=person(request),
            note=form.cleaned_data["note"],
        )

    return _do(request, ticket, move, said=_("Transferred to %(name)s") % {"name": to})


@require_POST
@changing
def set_priority(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    form = PriorityForm(request.POST)
    if not form.is_valid():
        return _refuse(request, ticket, _("Choose a priority."))
    priority = Priority(form.cleaned_data["priority"])

    def change() -> None:
        services.set_priority(ticket, priority=priority, actor=person(request))

    return _do(request, ticket, change, said=_("Priority: %(name)s") % {"name": priority.label})


@require_POST
@changing
def snooze(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """Put aside until a moment or an answer; `wake` takes it up again."""
    at = timezone.now()
    if request.POST.get("wake"):
        return _do(
            request,
            ticket,
            lambda: services.snooze(ticket, until=None, actor=person(request), at=at),
            said=_("Back in your list"),
        )
    form = SnoozeForm(request.POST, now=at)
    if not form.is_valid():
        return _ask_again(request, ticket, "snooze", form)
    given = form.cleaned_data

    def put_aside() -> None:
        services.snooze(
            ticket,
            until=given["moment"],
            until_reply=given["until_reply"],
            actor=person(request),
            at=at,
        )

    return _do(request, ticket, put_aside, said=_("Snoozed"))


@require_POST
@changing
def wait_for_customer(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    return _do(
        request,
        ticket,
        lambda: services.set_status(
            ticket, status=TicketStatus.WAITING_CUSTOMER, actor=person(request)
        ),
        said=_("Waiting for the customer"),
    )


@require_POST
@changing
def resolve(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    """What the department wants to know is filled in along with it; that stays when the rest is
    refused."""
    form = ResolveForm(request.POST)
    if not form.is_valid():
        return _ask_again(request, ticket, "resolve", form)
    given = form.cleaned_data
    then, entry = HOW[given["how"]]

    def settle() -> None:
        _fill_in(request, copy(ticket), form)  # reads it again; who had it stays as it was seen
        services.resolve(
            ticket,
            actor=person(request),
            then=then,
            entry=entry,
            outcome=given["outcome"],
            note=given["note"],
        )

    is_survey = given["how"] == SURVEY
    said = _("Resolved, the customer is asked for a rating") if is_survey else _("Resolved")
    return _do(request, ticket, settle, said=said, form=("resolve", form), talks=True)


def _fill_in(request: HttpRequest, ticket: Ticket, form: ResolveForm) -> None:
    """Each in a transaction of its own: leads are locked after tickets, and here before."""
    user = person(request)
    if form.cleaned_data["subject"]:
        services.update_details(ticket, subject=form.cleaned_data["subject"], actor=user)
    if form.cleaned_data["tag"]:
        tags = tags_named(form.cleaned_data["tag"])
        services.tag(ticket, tags=tags, keep=True, actor=user)
    if form.of_lead and user.has_perm("leads.change_lead"):
        update_lead(ticket.lead, fields=form.of_lead, actor=user, reason="console")


@require_POST
@changing
def reopen(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    return _do(
        request,
        ticket,
        lambda: services.reopen(ticket, actor=person(request)),
        said=_("Reopened"),
        talks=True,
    )


@require_POST
@changing
def release(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    return _do(
        request,
        ticket,
        lambda: services.release(ticket, actor=person(request)),
        said=_("Back in the queue of %(department)s") % {"department": ticket.department},
    )


@require_POST
@changing
def change_tags(request: HttpRequest, ticket: Ticket) -> HttpResponse:
    form = TagForm(request.POST)
    if not form.is_valid():
        return _refuse(request, ticket, _("There is no such tag."))
    given = form.cleaned_data
    try:
        added = tags_named(given["add"])
    except TicketRefused as refusal:
        return _refuse(request, ticket, refusal.message)

    def change() -> None:
        services.tag(ticket, tags=added, keep=True, without=given["remove"], actor=person(request))

    return _do(request, ticket, change, said=_("Tags changed"))


@require_POST
def undo(request: HttpRequest, ticket_id: int, event_id: int) -> HttpResponse:
    """Take back what one has just done, also where it put the ticket out of one's sight."""
    user = person(request)
    if not user.has_perm("tickets.change_ticket"):
        raise PermissionDenied
    own = TicketEvent.objects.select_related("ticket")  # door: one's own operation
    event = get_object_or_404(own, pk=event_id, ticket=ticket_id, actor=user)
    try:
        services.undo(event, actor=user)
    except DomainError as refusal:
        messages.error(request, refusal.message)
    else:
        messages.success(request, _("Undone"))
    is_there = still_visible(request, event.ticket)
    return go_to(request, address(event.ticket) if is_there else inbox())


# --- Answers -----------------------------------------------------------------------------------


def _do(  # noqa: PLR0913  # keyword-only
    request: HttpRequest,
    ticket: Ticket,
    operation: Callable[[], Any],
    *,
    said: str,
    form: tuple[str, Form] | None = None,
    talks: bool = False,
) -> HttpResponse:
    """Do it and say so; refused, say why. `form` stays open with what was typed then; `talks`: the
    conversation itself changes hands, so it is drawn anew."""
    begun = timezone.now()
    try:
        _require_as_seen(request, ticket)
        operation()
    except DomainError as refusal:
        if form is not None and isinstance(refusal, TicketRefused) and is_htmx(request):
            form[1].add_error(None, refusal.message)
            return _ask_again(request, ticket, *form)
        return _refuse(request, ticket, refusal.message)
    mine = ticket.events.filter(actor=person(request), created_at__gte=begun)
    event = mine.order_by("-id").first()
    may_undo = event is not None and BEFORE in event.details
    undo_url = ticket_url("undo", ticket.pk, event.pk) if event and may_undo else ""
    if not still_visible(request, ticket):
        return _leave(request, ticket, said, undo_url=undo_url)
    if not is_htmx(request):
        messages.success(request, said)
        return redirect(address(ticket))
    return toast(answer(request, ticket, talks=talks), said, undo_url=undo_url)


def _require_as_seen(request: HttpRequest, ticket: Ticket) -> None:
    """The page said who had the ticket (`seen`); whoever acts on something else is told."""
    seen = request.POST.get("seen")
    if seen is not None and seen != str(ticket.assignee_id or ""):
        raise taken(ticket)


def _refuse(request: HttpRequest, ticket: Ticket, error: str) -> HttpResponse:
    if not still_visible(request, ticket):
        return _leave(request, ticket, error, is_refusal=True)
    if not is_htmx(request):
        messages.error(request, error)
        return redirect(address(ticket))
    return answer(request, ticket, error=error)


def _ask_again(request: HttpRequest, ticket: Ticket, name: str, form: Form) -> HttpResponse:
    """The form with what was typed and what is wrong with it, in its own place."""
    if not is_htmx(request):
        for errors in form.errors.values():
            messages.error(request, str(errors[0]))
        return redirect(address(ticket))
    shown = {**around(request, ticket, at=timezone.now()), "verb": name, "form": form}
    response = TemplateResponse(request, f"tickets/workspace/_{name}.html", shown)
    response["HX-Retarget"], response["HX-Reswap"] = f"#{name}-form", "outerHTML"
    return response


def _leave(
    request: HttpRequest, ticket: Ticket, said: str, *, undo_url: str = "", is_refusal: bool = False
) -> HttpResponse:
    """To the list: the person does not see this ticket any more."""
    text = f"{ticket.protocol}: {said}"
    if is_htmx(request) and not is_refusal:
        return toast(HttpResponseClientRedirect(inbox()), text, undo_url=undo_url)
    (messages.warning if is_refusal else messages.success)(request, text)
    return go_to(request, inbox())
