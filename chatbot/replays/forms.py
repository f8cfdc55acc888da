"""Which conversations to replay, and with what."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from chatbot.models import Flow, FlowVersion
from chatbot.replays.jobs import LARGEST_SAMPLE, Wanted

SAMPLES = (("100", "100"), ("1000", "1.000"), ("10000", "10.000"), ("", _("all")))
ON_AIR = "on_air"
DRAFT = "draft"
VERSIONS_SHOWN = 50
DAYS = 7  # of the period that is suggested


class ReplayForm(forms.Form):
    """A period in whole days of TIME_ZONE, the versions that were spoken with, a sample, and the
    document to speak with now."""

    document = forms.ChoiceField(label=_("Replay with"))
    since = forms.DateField(
        label=pgettext_lazy("day", "From"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    until = forms.DateField(
        label=pgettext_lazy("day", "Until"),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    versions = forms.ChoiceField(label=_("Conversations of"))
    sample = forms.ChoiceField(label=_("How many"), choices=SAMPLES, required=False)

    def __init__(self, data: QueryDict | None = None, *, flow: Flow) -> None:
        today = timezone.localdate()
        suggested = {"since": today - timedelta(days=DAYS), "until": today, "sample": "1000"}
        super().__init__(data, initial=suggested)
        rows = flow.versions.published().order_by("-number").only("number", "flow")
        self._known = {str(row.pk): row for row in rows[:VERSIONS_SHOWN]}
        named = [(key, row.label) for key, row in self._known.items()]
        self._on_air = str(flow.published_id or "")
        on_air = [(ON_AIR, gettext("the version on air"))] if self._on_air else []
        document, versions = self.fields["document"], self.fields["versions"]
        cast("forms.ChoiceField", document).choices = [(DRAFT, gettext("the draft")), *named]
        everybody = [*on_air, ("", gettext("all versions")), *named]
        cast("forms.ChoiceField", versions).choices = everybody
        versions.required = False

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        since, until = given.get("since"), given.get("until")
        if since and until and until < since:
            raise ValidationError({"until": gettext("The period ends before it begins.")})
        return given

    @property
    def wanted(self) -> Wanted:
        given = self.cleaned_data
        chosen = self._on_air if given["versions"] == ON_AIR else given["versions"]
        sample = int(given["sample"]) if given["sample"] else None
        return Wanted(
            since=_midnight(given["since"]),
            until=_midnight(min(given["until"], date.max - timedelta(days=1)) + timedelta(days=1)),
            versions=(int(chosen),) if chosen else (),
            sample=min(sample, LARGEST_SAMPLE) if sample else None,
        )

    @property
    def version(self) -> FlowVersion | None:
        """None: the draft."""
        chosen = self._known.get(self.cleaned_data["document"])
        return FlowVersion.objects.get(pk=chosen.pk) if chosen else None


def _midnight(day: Any) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(settings.TIME_ZONE))
