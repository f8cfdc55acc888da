"""The page on which an admin asks what a past week would have been like with other rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET

from tickets.distribution import what_if
from tickets.distribution.words import weights_in_words
from tickets.models import AssignmentDecision, Ticket
from users.durations import duration_in_words
from users.models import Department
from users.permissions import person

MOST = 3000  # tickets that are replayed while somebody waits for the page
WEEK = timedelta(days=6)
DAY_INPUT = forms.DateInput(attrs={"type": "date", "class": "inp"}, format="%Y-%m-%d")


class WhatIfForm(forms.Form):
    department = forms.ModelChoiceField(
        label=_("department"),
        queryset=Department.objects.none(),  # door: filled for whoever asks
        empty_label=None,
    )
    begins = forms.DateField(label=pgettext_lazy("period", "from"), widget=DAY_INPUT)
    ends = forms.DateField(label=pgettext_lazy("period", "to"), widget=DAY_INPUT)
    prefers_attendant = forms.BooleanField(
        label=_("the lead's own attendant first"), required=False
    )
    slots = forms.IntegerField(
        label=_("slots of each person"), required=False, min_value=1, max_value=999
    )
    accept_minutes = forms.IntegerField(
        label=_("to be accepted within (minutes)"), required=False, min_value=1, max_value=999
    )

    def __init__(self, *arguments: Any, user: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        departments = Department.objects.visible_to(user).select_related("calendar")
        self.fields["department"].queryset = departments  # type: ignore[attr-defined]  # of a choice
        for name in ("department", "slots", "accept_minutes"):
            self.fields[name].widget.attrs["class"] = "inp"

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        begins, ends = given.get("begins"), given.get("ends")
        if begins is None or ends is None or "department" not in given:
            return given
        if not begins <= ends < date.max or ends - begins >= what_if.LONGEST:
            raise ValidationError(
                _("Choose 1 to %(days)d days, the first one first."),
                params={"days": what_if.LONGEST.days},
            )
        since, until = _midnight(begins), _midnight(ends + timedelta(days=1))
        arrived = Ticket.objects.real()  # door: a count, for admins alone
        arrived = arrived.filter(
            department=given["department"], created_at__gte=since, created_at__lt=until
        )
        if arrived.count() > MOST:
            raise ValidationError(
                _(
                    "More than %(count)d tickets came in these days. Choose fewer days, or use the "
                    "command what_if_distribution."
                ),
                params={"count": MOST},
            )
        return {**given, "since": since, "until": until}


@dataclass(frozen=True)
class Row:
    name: Any
    was: Any
    would: Any


def urls(of: ModelAdmin[Any]) -> list[URLPattern]:
    view = of.admin_site.admin_view(what_if_page)
    return [path("what-if/", view, name="tickets_assignmentdecision_whatif")]


@require_GET
def what_if_page(request: HttpRequest) -> HttpResponse:
    """How people are used is the admins' matter."""
    user = person(request)
    if not user.is_admin:
        raise PermissionDenied
    form = WhatIfForm(request.GET if "department" in request.GET else None, user=user)
    if not form.is_bound:
        form.initial = _usual()
    shown: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("What if?"),
        "opts": AssignmentDecision._meta,
        "form": form,
        "assumptions": what_if.ASSUMPTIONS,
        "weights": weights_in_words(),
    }
    if form.is_bound and form.is_valid():
        shown |= _compared(form.cleaned_data)
    return TemplateResponse(request, "tickets/what_if.html", shown)


def _usual() -> dict[str, Any]:
    """The last seven whole days."""
    yesterday = timezone.localdate() - timedelta(days=1)
    return {"begins": yesterday - WEEK, "ends": yesterday, "prefers_attendant": True}


def _compared(given: dict[str, Any]) -> dict[str, Any]:
    week = what_if.read(given["department"], given["since"], given["until"])
    policy = what_if.Policy(
        prefers_attendant=given["prefers_attendant"],
        accept_minutes=given["accept_minutes"],
        slots=given["slots"],
    )
    was, would = what_if.as_it_was(week), what_if.simulate(week, policy)
    shares = ((_("wait of half of them"), 0.5), (_("wait of nine of ten"), 0.9))
    figures = [Row(name, _said(was.wait(one)), _said(would.wait(one))) for name, one in shares]
    return {
        "week": week,
        "figures": [
            *figures,
            Row(_("longest wait"), _said(was.wait(1)), _said(would.wait(1))),
            Row(_("never taken up"), was.left, would.left),
            Row(_("not accepted in time"), "–", would.returned),
            Row(_("most received minus fewest"), was.spread, would.spread),
        ],
        "people": _people(week, was, would),
    }


def _people(week: what_if.Week, was: what_if.Result, would: what_if.Result) -> list[Row]:
    found = []
    for user, name in week.names.items():
        pair = [(one.received[user], one.peaks.get(user, 0)) for one in (was, would)]
        if any(map(any, pair)):
            found.append(Row(name, *pair))
    return found


def _said(wait: timedelta | None) -> str:
    return "–" if wait is None else duration_in_words(wait)


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))  # made aware here
