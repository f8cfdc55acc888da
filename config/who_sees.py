"""What does this person see, and why? The rules of `visible_to`, each asked by itself.

Nothing is decided here: a page that explained by code of its own would one day explain wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from leads.models import Lead, lead_rules
from sessions_app.models import Session, session_rules
from tickets.models import Ticket
from users.digits import whole
from users.models import User
from users.permissions import person, ticket_rules

TICKET, SESSION, LEAD = "ticket", "session", "lead"

# What each rule says when it grants; the rules themselves stand beside the querysets.
RULES: dict[str, dict[str, Promise]] = {
    TICKET: {
        "assigned": _("It is theirs."),
        "unassigned": _("Nobody has it, and it waits in a department where they work."),
        "shared": _("They work in its department, which shares its tickets."),
        "supervised": _("They supervise its department."),
    },
    SESSION: {
        "keeps": _("They take care of its lead."),
        "ticket": _("They see a ticket of it."),
    },
    LEAD: {
        "keeps": _("They take care of this lead."),
        "ticket": _("They see a ticket of it."),
    },
}
ADMIN = _("They are an admin: admins see everything.")
INACTIVE = _("They have no access: they see nothing.")


@dataclass(frozen=True)
class Answer:
    """One rule and whether it grants."""

    name: str
    sentence: Promise
    grants: bool


@dataclass(frozen=True)
class Explained:
    """One record. `sees` is what `visible_to` says; it is the sum of the rules, and tests hold the
    two against each other."""

    kind: str
    title: str
    sees: bool
    answers: list[Answer]


class AskForm(forms.Form):
    """Of whom, and of which ticket, conversation or lead."""

    person = forms.ModelChoiceField(label=_("Person"), queryset=User.objects.none())
    kind = forms.ChoiceField(
        label=_("What"),
        choices=[(TICKET, _("Ticket")), (SESSION, _("Session")), (LEAD, _("Lead"))],
    )
    number = forms.CharField(
        label=_("Protocol or number"),
        max_length=40,
        help_text=_("Of a ticket the protocol; of a session or lead the number in its address."),
    )

    def __init__(self, *arguments: Any, viewer: User, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.label_suffix = ""
        self.viewer = viewer
        choice: Any = self.fields["person"]
        choice.queryset = User.objects.visible_to(viewer).order_by("first_name", "username")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if "kind" in given and "number" in given:
            given["record"] = found(given["kind"], given["number"].strip(), self.viewer)
            if given["record"] is None:
                self.add_error("number", _("There is none with this number."))
        return given


@require_GET
def page(request: HttpRequest) -> TemplateResponse:
    """For admins; a link may name the person, the kind and the number."""
    viewer = person(request)
    if not viewer.is_admin:
        raise PermissionDenied
    is_asked = "number" in request.GET
    initial = {"person": request.GET.get("person"), "kind": request.GET.get("kind", TICKET)}
    form = AskForm(request.GET if is_asked else None, viewer=viewer, initial=initial)
    explained: list[Explained] = []
    if is_asked and form.is_valid():
        explained = explain(form.cleaned_data["person"], form.cleaned_data["record"])
    context = {
        **admin.site.each_context(request),
        "title": _("What does this person see?"),
        "form": form,
        "asked": form.cleaned_data.get("person") if explained else None,
        "explained": explained,
    }
    return TemplateResponse(request, "users/who_sees.html", context)


def found(kind: str, number: str, viewer: User) -> Model | None:
    """The record that the admin means."""
    if kind == TICKET:
        return Ticket.objects.visible_to(viewer).filter(protocol=number).first()
    key = whole(number)
    rows: dict[str, QuerySet[Any]] = {
        SESSION: Session.objects.visible_to(viewer),
        LEAD: Lead.objects.visible_to(viewer),
    }
    record: Model | None = None if key is None else rows[kind].filter(pk=key).first()
    return record


def explain(user: User, record: Model) -> list[Explained]:
    """The record, and with a ticket its conversation and its lead, with a conversation its lead."""
    if isinstance(record, Ticket):
        return [_one(user, one) for one in (record, record.session, record.lead)]
    if isinstance(record, Session):
        return [_one(user, record), _one(user, record.lead)]
    return [_one(user, record)]


def _one(user: User, record: Model) -> Explained:
    if isinstance(record, Ticket):
        kind, rules, title = TICKET, ticket_rules(user), f"Ticket {record.protocol}"
    elif isinstance(record, Session):
        kind, rules, title = (
            SESSION,
            session_rules(user),
            f"{record._meta.verbose_name} {record.pk}",
        )
    else:
        kind, rules, title = LEAD, lead_rules(user), str(record)
    rows: Any = type(record)
    sees = rows.objects.visible_to(user).filter(pk=record.pk).exists()
    return Explained(kind, title, sees, _answers(user, kind, rules, record))


def _answers(user: User, kind: str, rules: dict[str, Q], record: Model) -> list[Answer]:
    if not user.is_active:
        return [Answer("inactive", INACTIVE, False)]
    if user.is_admin:
        return [Answer("admin", ADMIN, True)]
    rows: Any = type(record)
    return [
        Answer(
            name, RULES[kind][name], rows.objects.filter(rule, pk=record.pk).exists()
        )  # door: an admin asks
        for name, rule in rules.items()
    ]
