"""Console forms: a trigger, and words that are written with commas between them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from chatbot.models import Trigger


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
