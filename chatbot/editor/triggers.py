"""What starts a flow: in words, written by a form, and tried without anybody writing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot.forms import WordsField
from chatbot.models import Trigger, TriggerKind
from chatbot.triggers import Occasion, find_closing_trigger, matching
from sessions_app.models import Channel
from users.models import Calendar, User

# Without words these would never fire, or the words would not be looked at.
NEEDS_WORDS = frozenset({TriggerKind.KEYWORD, TriggerKind.TEMPLATE_BUTTON})
TAKES_WORDS = NEEDS_WORDS | {TriggerKind.REFERRAL}
SHOWN_WORDS = 5


def trigger_in_words(trigger: Trigger) -> str:
    """The kind, its words and where it works: "keyword: boleto, fatura · Vendas"."""
    words = [str(one) for one in trigger.keywords] if isinstance(trigger.keywords, list) else []
    said = str(trigger.get_kind_display())
    if words:
        shown = ", ".join(words[:SHOWN_WORDS])
        said = f"{said}: {shown}…" if len(words) > SHOWN_WORDS else f"{said}: {shown}"
    return f"{said} · {trigger.channel}" if trigger.channel_id else said


def words_of(trigger: Trigger) -> str:
    """All of its words."""
    return ", ".join(map(str, trigger.keywords)) if isinstance(trigger.keywords, list) else ""


class FlowTriggerForm(forms.ModelForm):
    """A trigger of a flow that is known already."""

    keywords = WordsField(
        label=gettext_lazy("words, button payloads or ad ids"),
        required=False,
        help_text=gettext_lazy(
            "Separated by commas. A keyword trigger fires when the whole message is one of them; "
            "one for ads, without any, fires for every ad."
        ),
    )

    class Meta:
        model = Trigger
        fields = [
            "kind",
            "keywords",
            "channel",
            "calendar",
            "when_open",
            "priority",
            "is_active",
        ]

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        channels, calendars = self.fields["channel"], self.fields["calendar"]
        assert isinstance(channels, forms.ModelChoiceField)  # noqa: S101  # for the type alone
        assert isinstance(calendars, forms.ModelChoiceField)  # noqa: S101
        channels.queryset = _choosable(user)
        channels.empty_label = _("every channel")
        calendars.queryset = Calendar.objects.order_by("name")
        calendars.empty_label = _("at any time")
        self.fields["priority"].help_text = _("The highest wins; 0 is usual.")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        kind = cleaned.get("kind")
        if kind in NEEDS_WORDS and not cleaned.get("keywords"):
            self.add_error("keywords", ValidationError(_("Say at least one."), code="required"))
        if kind not in TAKES_WORDS:
            cleaned["keywords"] = []
        return cleaned


class TryForm(forms.Form):
    """What somebody does who is in no flow yet."""

    text = forms.CharField(label=gettext_lazy("What the person writes"), required=False)
    channel = forms.ModelChoiceField(
        label=gettext_lazy("Channel"), queryset=Channel.objects.none(), empty_label=None
    )
    happening = forms.ChoiceField(
        label=gettext_lazy("How it begins"),
        required=False,
        choices=[
            ("", gettext_lazy("the person has written before")),
            ("first", gettext_lazy("first contact")),
            ("ad", gettext_lazy("comes from an ad")),
            ("button", gettext_lazy("taps a message template's button")),
            ("closed", gettext_lazy("a ticket is closed")),
        ],
    )
    code = forms.CharField(
        label=gettext_lazy("Ad id or button payload"), required=False, max_length=200
    )
    at = forms.DateTimeField(
        label=gettext_lazy("When"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
        help_text=gettext_lazy("Empty: now."),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        channels = self.fields["channel"]
        assert isinstance(channels, forms.ModelChoiceField)  # noqa: S101  # for the type alone
        channels.queryset = _choosable(user)

    def result(self) -> Tried:
        """Who would win. Of a valid form."""
        asked = self.cleaned_data
        at: datetime = asked["at"] or timezone.now()
        if asked["happening"] == "closed":
            closing = find_closing_trigger(asked["channel"], at)
            return Tried(tuple([closing] if closing else []), at)
        is_button = asked["happening"] == "button"
        is_ad = asked["happening"] == "ad"
        occasion = Occasion(
            at=at,
            text=asked["text"],
            choice_id=asked["code"] if is_button else "",
            ad_id=asked["code"] if is_ad else "",
            is_first_contact=asked["happening"] == "first",
            has_referral=is_ad,
        )
        return Tried(tuple(matching(asked["channel"], occasion)), at)


@dataclass(frozen=True)
class Tried:
    """The triggers that would fire, the winner first."""

    triggers: tuple[Trigger, ...]
    at: datetime

    @property
    def winner(self) -> Trigger | None:
        return self.triggers[0] if self.triggers else None

    @property
    def beaten(self) -> tuple[Trigger, ...]:
        return self.triggers[1:]


def _choosable(user: User) -> QuerySet[Channel]:
    channels = Channel.objects.visible_to(user).active().order_by("name")
    return channels.defer("credentials", "settings")
