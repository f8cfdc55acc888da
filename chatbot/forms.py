"""Console forms: a flow with its draft as JSON, guarded against two editors; a trigger."""

from __future__ import annotations

import json
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot.engine.nodes import FlowError, parse_flow
from chatbot.findings import unreadable
from chatbot.models import Flow, Trigger


class IndentedEncoder(json.JSONEncoder):
    """For people: one key a line."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "indent": 2})


class FlowForm(forms.ModelForm):
    """`document` is the draft, `revision` the one that the edit began with.

    When somebody has saved in the meantime the text stays in the form, theirs is shown below it,
    and saving once more replaces theirs.
    """

    document = forms.JSONField(
        label=gettext_lazy("draft"),
        required=False,
        encoder=IndentedEncoder,
        widget=forms.Textarea(attrs={"rows": 40, "cols": 120, "spellcheck": "false"}),
        help_text=gettext_lazy("Customers get the published version, never the draft."),
    )
    revision = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Flow
        fields = ["name", "slug", "description", "is_active"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["document"].initial = self.instance.draft or None
        self.fields["revision"].initial = self.instance.draft_revision

    def clean_document(self) -> dict[str, Any]:
        document = self.cleaned_data["document"]
        slug = self.cleaned_data.get("slug") or self.instance.slug
        if document is None or document == {}:
            document = {"schema": 1, "slug": slug, "name": self.cleaned_data.get("name") or slug}
        try:
            parsed = parse_flow(document)
        except FlowError as error:
            raise ValidationError([one.sentence for one in unreadable(error)]) from error
        if parsed.slug != slug:
            raise ValidationError(
                _("The document belongs to the flow “%(slug)s”."), params={"slug": parsed.slug}
            )
        return document

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        stored = self.instance.draft_revision
        is_stale = self.instance.pk is not None and cleaned.get("revision") != stored
        if is_stale and "document" in self.changed_data:
            self._offer_to_replace(stored)
        return cleaned

    def _offer_to_replace(self, revision: int) -> None:
        data = cast("QueryDict", self.data).copy()
        data[self.add_prefix("revision")] = str(revision)
        self.data = data
        self.add_error(
            "document",
            _(
                "Somebody else has saved this draft in the meantime. Your text is kept here, "
                "theirs stands below. Save again to replace theirs with yours."
            ),
        )


class WordsField(forms.CharField):
    """A stored list of words, written with commas between them."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(map(str, value)) if isinstance(value, list) else value

    def clean(self, value: Any) -> list[str]:
        words = (word.strip() for word in super().clean(value).split(","))
        return list(dict.fromkeys(word for word in words if word))

    def has_changed(self, initial: Any, data: Any) -> bool:
        return bool(super().has_changed(self.prepare_value(initial), data))


class TriggerForm(forms.ModelForm):
    keywords = WordsField(
        label=gettext_lazy("keywords"),
        required=False,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text=gettext_lazy(
            "Words, button payloads or ad ids, depending on the kind, separated by commas."
        ),
    )

    class Meta:
        model = Trigger
        fields = [
            "flow",
            "kind",
            "keywords",
            "channel",
            "calendar",
            "when_open",
            "priority",
            "is_active",
        ]
