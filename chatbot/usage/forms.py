"""Which version, and which days, the figures are of."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chatbot.models import Flow, FlowVersion, Split
from users.digits import whole

USUAL_DAYS = 30
PRESETS = (7, 30, 90)
LONGEST_DAYS = 400


class UsageForm(forms.Form):
    """All fields may be missing: the version on air, and the last 30 days."""

    version = forms.TypedChoiceField(label=_("Version"), required=False)
    other = forms.TypedChoiceField(label=_("beside"), required=False)
    since = forms.DateField(label=_("First day"))
    until = forms.DateField(label=_("Last day"))

    def __init__(self, asked: QueryDict, *, flow: Flow, today: date) -> None:
        self.flow, self.today = flow, today
        versions = FlowVersion.objects.published().filter(flow=flow).order_by("-number")
        self.versions = {str(one.pk): one for one in versions.defer("document")}
        super().__init__(self._with_usual(asked))
        offered = [(key, self._named(one)) for key, one in self.versions.items()]
        for name, choices in (("version", offered), ("other", [("", _("no other one")), *offered])):
            self.fields[name] = forms.TypedChoiceField(
                label=self.fields[name].label,
                choices=choices,
                required=False,
                coerce=self.versions.get,
                empty_value=None,
            )
        for name in ("since", "until"):
            self.fields[name].widget = forms.DateInput(
                attrs={"type": "date", "max": today.isoformat()}, format="%Y-%m-%d"
            )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("other") == given.get("version"):
            given["other"] = None
        since, until = given.get("since"), given.get("until")
        if since and until and since > until:
            self.add_error("since", _("The first day must not come after the last one."))
        elif since and until and (until - since).days > LONGEST_DAYS:
            self.add_error("since", _("Choose at most %(days)d days.") % {"days": LONGEST_DAYS})
        return given

    def _with_usual(self, asked: QueryDict) -> QueryDict:
        """What was asked for, and what is usual where nothing was; a split brings its own days."""
        given = asked.copy()
        split = self._split(given.get("split", ""))
        if split is not None and not given.get("since"):
            given["since"] = timezone.localdate(split.started_at).isoformat()
            if split.ended_at:
                given["until"] = timezone.localdate(split.ended_at).isoformat()
        if not given.get("until"):
            given["until"] = self.today.isoformat()
        if not given.get("since"):
            given["since"] = (self.today - timedelta(days=USUAL_DAYS - 1)).isoformat()
        if not given.get("version") and self.flow.published_id:
            given["version"] = str(self.flow.published_id)
        return given

    def _split(self, key: str) -> Split | None:
        number = whole(key)
        return Split.objects.filter(flow=self.flow, pk=number).first() if number else None

    def _named(self, version: FlowVersion) -> str:
        is_on_air = version.pk == self.flow.published_id
        return f"{version.label} · {_('on air')}" if is_on_air else version.label
