"""What one may do to several tickets of the inbox at once: stock admin actions, posted by buttons.

Each ticket goes through its service by itself. What a service refuses is said for each, and the
rest is done. A ticket that has changed hands since the page was drawn is refused by the service:
the page posts who had it (`seen`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import ModelAdmin
from django.core import signing
from django.db.models import Max, Q, QuerySet
from django.http import HttpRequest, HttpResponseRedirect, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from leads.models import Tag
from tickets import services
from tickets.errors import TicketRefused
from tickets.inbox import Filters
from tickets.models import Priority, Ticket, TicketEvent
from tickets.services import Next
from tickets.services.undoing import UNDO_FOR
from users.digits import whole
from users.errors import DomainError
from users.models import Department, User, UserQuerySet
from users.permissions import person

MOST = 100  # tickets in one go: each is locked by itself
TOLD = 5  # refusals that are said one by one
NOBODY = "0"
SURVEY = "survey"
OFFER = "tickets_undo"  # where the login session keeps what may be undone
LONGEST_NOTE = 2000

Act = Callable[[Ticket], Any]


@dataclass
class Outcome:
    since: datetime
    done: list[Ticket] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


@admin.action(description=gettext_lazy("Claim"), permissions=["change"])
def claim(site: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    user = person(request)
    outcome = _each(request, lambda ticket: services.claim(ticket, user=user))
    said = ngettext("%(count)d ticket is yours.", "%(count)d tickets are yours.", len(outcome.done))
    _tell(site, request, outcome, said)


@admin.action(description=gettext_lazy("Assign"), permissions=["change"])
def assign(site: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    """To a person who works in the ticket's department, or back to its queue."""
    form = AssignForm(request)
    if (chosen := _valid(site, request, form)) is None:
        return
    actor, to_user = person(request), chosen["assign_to"]
    if to_user is None:
        outcome = _each(request, lambda ticket: services.release(ticket, actor=actor))
        said = ngettext(
            "%(count)d ticket is in the queue.",
            "%(count)d tickets are in the queue.",
            len(outcome.done),
        )
    else:
        outcome = _each(request, _assigning(to_user, actor))
        said = ngettext(
            "%(count)d ticket assigned.", "%(count)d tickets assigned.", len(outcome.done)
        )
    _tell(site, request, outcome, said)


@admin.action(description=gettext_lazy("Transfer"), permissions=["change"])
def transfer(site: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    form = TransferForm(request)
    if (chosen := _valid(site, request, form)) is None:
        return
    actor, department, to_user = (
        person(request),
        chosen["transfer_department"],
        chosen["transfer_to"],
    )
    if to_user is not None and not _works_in(to_user, department.pk):
        site.message_user(request, _not_of(to_user, department), messages.ERROR)
        return
    outcome = _each(
        request,
        lambda ticket: services.transfer(
            ticket,
            department=department,
            to_user=to_user,
            actor=actor,
            note=chosen["transfer_note"],
        ),
    )
    said = ngettext(
        "%(count)d ticket transferred.", "%(count)d tickets transferred.", len(outcome.done)
    )
    _tell(site, request, outcome, said)


@admin.action(description=gettext_lazy("Priority"), permissions=["change"])
def prioritise(site: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    form = PriorityForm(request)
    if (chosen := _valid(site, request, form)) is None:
        return
    actor, priority = person(request), Priority(chosen["priority"])
    outcome = _each(
        request, lambda ticket: services.set_priority(ticket, priority=priority, actor=actor)
    )
    said = ngettext(
        "%(count)d ticket has this priority now.",
        "%(count)d tickets have this priority now.",
        len(outcome.done),
    )
    _tell(site, request, outcome, said)


@admin.action(description=pgettext_lazy("verb", "Tag"), permissions=["change"])
def tag(site: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    """Put tags on, beside those that a ticket has."""
    form = TagForm(request)
    if (chosen := _valid(site, request, form)) is None:
        return
    actor, tags = person(request), list(chosen["tags"])
    outcome = _each(request, lambda ticket: services.tag(ticket, tags=tags, actor=actor, keep=True))
    said = ngettext("%(count)d ticket tagged.", "%(count)d tickets tagged.", len(outcome.done))
    _tell(site, request, outcome, said)


@admin.action(description=gettext_lazy("Resolve"), permissions=["change"])
def resolve(site: ModelAdmin[Any], request: HttpRequest, rows: QuerySet[Ticket]) -> None:
    form = ResolveForm(request)
    if (chosen := _valid(site, request, form)) is None:
        return
    actor, then, entry = person(request), chosen["resolve_then"], ""
    if then == SURVEY:
        then, entry = Next.BOT, "pesquisa"
    outcome = _each(
        request,
        lambda ticket: services.resolve(
            ticket, then=Next(then), entry=entry, note=chosen["resolve_note"], actor=actor
        ),
    )
    said = ngettext("%(count)d ticket resolved.", "%(count)d tickets resolved.", len(outcome.done))
    _tell(site, request, outcome, said)


ACTIONS = [claim, assign, transfer, prioritise, tag, resolve]


# --- What is asked for -------------------------------------------------------------------------


class BulkForm(forms.Form):
    """The fields of one menu of the bar, out of what the whole form posts."""

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.POST)
        self.user = person(request)


class AssignForm(BulkForm):
    assign_to = forms.CharField(
        label=gettext_lazy("Person"), error_messages={"required": gettext_lazy("Choose a person.")}
    )

    def clean_assign_to(self) -> User | None:
        """Nobody is a choice, too."""
        chosen = self.cleaned_data["assign_to"]
        if chosen == NOBODY:
            return None
        key = whole(chosen)
        found = None if key is None else _people(self.user).filter(pk=key).first()
        if found is None:
            raise forms.ValidationError(_("Choose a person."))
        return found


class TransferForm(BulkForm):
    transfer_department = forms.ModelChoiceField(
        label=gettext_lazy("Department"),
        queryset=Department.objects.active(),
        error_messages={"required": gettext_lazy("Choose a department.")},
    )
    transfer_to = forms.ModelChoiceField(
        label=gettext_lazy("Person"), queryset=User.objects.none(), required=False
    )
    transfer_note = forms.CharField(
        label=gettext_lazy("Note"), max_length=LONGEST_NOTE, required=False
    )

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request)
        self.fields["transfer_to"].queryset = _people(self.user)  # type: ignore[attr-defined]  # a ModelChoiceField


class PriorityForm(BulkForm):
    priority = forms.ChoiceField(label=gettext_lazy("Priority"), choices=Priority.choices)


class TagForm(BulkForm):
    tags = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Tags"),
        queryset=Tag.objects.all(),
        error_messages={"required": gettext_lazy("Choose a tag.")},
    )


class ResolveForm(BulkForm):
    resolve_then = forms.ChoiceField(
        label=gettext_lazy("Then"),
        choices=[
            (Next.END, gettext_lazy("End the conversation")),
            (Next.BOT, gettext_lazy("Return to the bot")),
            (SURVEY, gettext_lazy("Ask how it was")),
        ],
    )
    resolve_note = forms.CharField(
        label=gettext_lazy("Note"), max_length=LONGEST_NOTE, required=False
    )


def _people(user: User) -> UserQuerySet:
    """To whom `user` may give a ticket, as far as they may know."""
    return User.objects.visible_to(user).active()


def _valid(site: ModelAdmin[Any], request: HttpRequest, form: BulkForm) -> dict[str, Any] | None:
    """What was chosen; None when something is missing, which is then said."""
    if form.is_valid():
        return form.cleaned_data
    for name, errors in form.errors.items():
        label = form.fields[name].label
        for error in errors:
            site.message_user(request, f"{label}: {error}", messages.ERROR)
    return None


# --- One by one --------------------------------------------------------------------------------


def _each(request: HttpRequest, act: Act) -> Outcome:
    """Do it to the chosen tickets that the person may see, in the order of their ids."""
    outcome, seen = Outcome(since=timezone.now()), _seen(request)
    chosen = _chosen_ids(request)
    tickets = Ticket.objects.visible_to(person(request)).filter(pk__in=chosen[:MOST])
    found = list(tickets.select_related("department", "assignee").order_by("pk"))
    for ticket in found:
        if ticket.pk in seen:
            ticket.assignee_id = seen[ticket.pk]
        try:
            act(ticket)
        except DomainError as refusal:
            outcome.refused.append(refusal.message)
        else:
            outcome.done.append(ticket)
    if gone := min(len(chosen), MOST) - len(found):
        text = ngettext(
            "%(count)d is not among your tickets any more.",
            "%(count)d are not among your tickets any more.",
            gone,
        )
        outcome.refused.extend([text % {"count": gone}] * gone)
    if len(chosen) > MOST:
        text = _("Choose at most %(count)d tickets at once.") % {"count": MOST}
        outcome.refused.extend([text] * (len(chosen) - MOST))
    return outcome


def as_action(request: HttpRequest) -> QueryDict:
    """What was posted, as the admin expects an action: the button of one row (`claim_one`) is that
    action for this row, and what is no id is left out."""
    posted = request.POST.copy()
    if one := posted.get("claim_one", ""):
        posted["action"] = claim.__name__
        posted.setlist(ACTION_CHECKBOX_NAME, [one])
    ticked = posted.getlist(ACTION_CHECKBOX_NAME)
    posted.setlist(ACTION_CHECKBOX_NAME, [text for text in ticked if whole(text) is not None])
    return posted


def _chosen_ids(request: HttpRequest) -> list[int]:
    """The tickets that were ticked, of what `as_action` left."""
    return sorted(set(map(int, request.POST.getlist(ACTION_CHECKBOX_NAME))))


def _seen(request: HttpRequest) -> dict[int, int | None]:
    """With whom the page showed each ticket: "ticket-person", person 0 for nobody."""
    pairs = [one.partition("-") for one in request.POST.getlist("seen")]
    read = ((whole(ticket), whole(user)) for ticket, _dash, user in pairs)
    return {
        ticket: user or None for ticket, user in read if ticket is not None and user is not None
    }


def _assigning(to_user: User, actor: User) -> Act:
    theirs = set(_places_of(to_user).values_list("pk", flat=True))

    def act(ticket: Ticket) -> None:
        if not to_user.is_admin and ticket.department_id not in theirs:
            raise TicketRefused(_not_of(to_user, ticket.department))
        services.assign(ticket, to_user=to_user, actor=actor)

    return act


def _works_in(user: User, department_id: int) -> bool:
    return user.is_admin or _places_of(user).filter(pk=department_id).exists()


def _places_of(user: User) -> QuerySet[Department]:
    """Where they work, or supervise."""
    return Department.objects.filter(Q(users=user) | Q(supervisors=user)).distinct()


def _not_of(user: User, department: Department) -> str:
    return _("%(name)s does not work in %(department)s.") % {
        "name": user,
        "department": department,
    }


# --- What is said ------------------------------------------------------------------------------


def _tell(site: ModelAdmin[Any], request: HttpRequest, outcome: Outcome, said: str) -> None:
    """One message: how many it was done to, how many not, and why not."""
    count, refused = len(outcome.done), len(outcome.refused)
    if not count and not refused:
        site.message_user(request, _("Choose tickets first."), messages.WARNING)
        return
    sentences = [said % {"count": count}] if count else []
    if refused:
        sentences.append(_refusals(outcome.refused))
    level = messages.SUCCESS
    if refused:
        level = messages.WARNING if count else messages.ERROR
    site.message_user(request, capfirst(" ".join(sentences)), level)
    _offer_undo(request, outcome)


def _refusals(reasons: list[str]) -> str:
    """Each reason once."""
    distinct = list(dict.fromkeys(reasons))
    text = ngettext("%(count)d refused: %(why)s", "%(count)d refused: %(why)s", len(reasons))
    said = text % {"count": len(reasons), "why": " ".join(distinct[:TOLD])}
    return said if len(distinct) <= TOLD else f"{said} …"


# --- Undoing -----------------------------------------------------------------------------------


def undo_offered(request: HttpRequest) -> str:
    """What the page after an action posts to take it back; asked for once. Empty: nothing."""
    return str(request.session.pop(OFFER, ""))


def undo(request: HttpRequest, *, site: ModelAdmin[Any]) -> HttpResponseRedirect:
    """Take back what the person has just done to several tickets, as far as it goes: each goes back
    by itself, and what has been built on since stays."""
    actor = person(request)
    undone, refused = 0, []
    events = TicketEvent.objects.filter(pk__in=_signed(request), actor=actor)
    for event in events.order_by("ticket"):
        try:
            services.undo(event, actor)
        except DomainError as refusal:
            refused.append(refusal.message)
        else:
            undone += 1
    said = ngettext(
        "%(count)d ticket is as it was before.",
        "%(count)d tickets are as they were before.",
        undone,
    ) % {"count": undone}
    if undone:
        site.message_user(request, said, messages.SUCCESS)
    if refused or not undone:
        why = _refusals(refused) if refused else _("It is too late to undo this.")
        site.message_user(request, why, messages.WARNING)
    query = Filters.of_query(request.POST.get("query", "")).query()
    return HttpResponseRedirect(f"{reverse('admin:tickets_ticket_changelist')}?{query}")


def _offer_undo(request: HttpRequest, outcome: Outcome) -> None:
    """One statement: the last event that this wrote to each ticket."""
    written = TicketEvent.objects.filter(
        ticket__in=outcome.done, actor=person(request), created_at__gte=outcome.since
    )
    last = written.values("ticket").annotate(last=Max("pk")).values_list("last", flat=True)
    if ids := sorted(last):
        request.session[OFFER] = signing.dumps(ids, salt=_salt(request))


def _signed(request: HttpRequest) -> list[int]:
    try:
        ids = signing.loads(request.POST.get("undo", ""), salt=_salt(request), max_age=UNDO_FOR)
    except signing.BadSignature:
        return []
    return list(ids)


def _salt(request: HttpRequest) -> str:
    return f"tickets.inbox.undo.{person(request).pk}"
