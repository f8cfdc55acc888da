"""What a person fills in to move a ticket on."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.utils import flatatt
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from tickets.models import Priority, Ticket
from tickets.services import LONGEST_SNOOZE, UNTIL_REPLY, Next
from tickets.workspace import moments
from users.frozen import Frozen
from users.models import Department, User

LONGEST_NOTE = 4000
SURVEY = "survey"
HOW = {
    "end": (Next.END, ""),
    SURVEY: (Next.BOT, "pesquisa"),
    "bot": (Next.BOT, ""),
}


class PlainSelect(forms.Select):
    """As Django draws it, without a template for each option: there may be a hundred people."""

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        shown = self.get_context(name, value, attrs)["widget"]
        groups = format_html_join("", "{}", ((_group(*one),) for one in shown["optgroups"]))
        told = {"name": shown["name"], **shown["attrs"]}
        return format_html("<select{}>{}</select>", flatatt(told), groups)


def _group(label: str | None, options: list[dict[str, Any]], _index: int) -> SafeString:
    told = (({"value": one["value"], **one["attrs"]}, one["label"]) for one in options)
    drawn = format_html_join(
        "", "<option{}>{}</option>", ((flatatt(attrs), text) for attrs, text in told)
    )
    return format_html('<optgroup label="{}">{}</optgroup>', label, drawn) if label else drawn


class TransferForm(forms.Form):
    """To the queue of a department, or to somebody who is going to see the ticket then: everyone
    sees what they have."""

    to = forms.ChoiceField(label=_("To"), widget=PlainSelect)
    note = forms.CharField(
        label=_("Note to the team"),
        required=False,
        max_length=LONGEST_NOTE,
        widget=forms.Textarea(attrs={"rows": 3}),
    )

    def __init__(self, *arguments: Any, ticket: Ticket, user: User, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.label_suffix = ""
        self.ticket = ticket
        self.departments = {one.pk: one for one in _DEPARTMENTS.all(user=user)}
        self.people = {one.pk: one for one in _COLLEAGUES.all(user.is_admin, user=user)}
        self.people.pop(ticket.assignee_id or 0, None)
        places: dict[int, list[str]] = {}
        for person, name in _PLACES.all(user.is_admin, user=user):
            places.setdefault(person, []).append(name)
        choice = self.fields["to"]
        assert isinstance(choice, forms.ChoiceField)  # noqa: S101  # as declared above
        choice.choices = [
            ("", _("Choose where it goes")),
            (_("Departments"), [(f"d{pk}", str(one)) for pk, one in self.departments.items()]),
            (
                _("People"),
                [
                    (f"p{pk}", _described(one, ", ".join(places.get(pk, ()))))
                    for pk, one in self.people.items()
                ],
            ),
        ]

    @property
    def person(self) -> User | None:
        kind, pk = self.cleaned_data["to"][0], int(self.cleaned_data["to"][1:])
        return self.people[pk] if kind == "p" else None

    @property
    def department(self) -> Department:
        """Where the ticket then belongs: as chosen, or one that the chosen person works in."""
        person = self.person
        if person is None:
            return self.departments[int(self.cleaned_data["to"][1:])]
        theirs = [one for one in person.departments.all() if one.is_active]
        supervised = person.supervised_departments.filter(pk=self.ticket.department_id)
        stays = not theirs or self.ticket.department in theirs or supervised.exists()
        return self.ticket.department if stays else theirs[0]


def _colleagues(user: User) -> QuerySet[User]:
    return User.objects.visible_to(user).active().filter(is_staff=True)


_DEPARTMENTS = Frozen(
    lambda _shape, user: Department.objects.visible_to(user).active().order_by("name")
)
_COLLEAGUES = Frozen(
    lambda _is_admin, user: (
        _colleagues(user)
        .only("first_name", "last_name", "username", "availability")
        .order_by("first_name", "username")
    )
)
# Who works where, by name: for a line of each.
_PLACES = Frozen(
    lambda _is_admin, user: (
        Department.objects.filter(users__in=_colleagues(user))  # door: of visible people
        .order_by("name")
        .values_list("users", "name")
    )
)


def _described(person: User, where: str) -> str:
    return " · ".join(filter(None, [str(person), where, person.get_availability_display()]))


class PriorityForm(forms.Form):
    priority = forms.ChoiceField(choices=Priority.choices)


class SnoozeForm(forms.Form):
    """A usual moment (`until`), which may be the customer's answer, or a chosen one (`at`)."""

    until = forms.CharField(required=False)
    at = forms.DateTimeField(required=False)

    def __init__(self, *arguments: Any, now: datetime, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.now = now

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        until_reply = given.get("until") == UNTIL_REPLY
        usual = {one.key: one.at for one in moments(self.now)}
        moment = usual.get(given.get("until", "")) or given.get("at")
        if moment is None and not until_reply:
            raise ValidationError(_("Choose until when."))
        if moment is not None and moment > self.now + LONGEST_SNOOZE:
            raise ValidationError(_("Choose a moment within the next year."))
        return {**given, "moment": None if until_reply else moment, "until_reply": until_reply}


class ResolveForm(forms.Form):
    """How it ends, and what the department wants to know before it does."""

    how = forms.ChoiceField(choices=[(one, one) for one in HOW])
    outcome = forms.CharField(required=False, max_length=40)
    note = forms.CharField(required=False, max_length=LONGEST_NOTE)
    subject = forms.CharField(required=False, max_length=200)
    tag = forms.CharField(required=False, max_length=40)
    name = forms.CharField(required=False, max_length=200)
    email = forms.EmailField(required=False)
    document = forms.CharField(required=False, max_length=18)

    @property
    def of_lead(self) -> dict[str, str]:
        """What was filled in of the lead, by the columns of it."""
        given = {name: self.cleaned_data[name] for name in ("name", "email", "document")}
        return {name: text for name, text in given.items() if text}


class TagForm(forms.Form):
    add = forms.CharField(required=False, max_length=40)
    remove = forms.CharField(required=False, max_length=40)


class SubjectForm(forms.Form):
    subject = forms.CharField(required=False, max_length=200)
