"""Forms of what a flow has beside its passos: variables, words that work anywhere, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy

from chatbot.editor.variables import VariableUse
from chatbot.engine.kinds import FACT_NAMES
from chatbot.engine.nodes import FlowDocument, Idle, Variable
from chatbot.forms import WordsField
from chatbot.kind_words import ANSWERS
from chatbot.models import Flow

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Json = dict[str, Any]

VARIABLE_TYPES: list[tuple[str, str | Promise]] = [
    ("text", gettext_lazy("text")),
    *ANSWERS.items(),
    ("boolean", pgettext_lazy("type of a variable", "yes or no")),
    ("list", gettext_lazy("list")),
    ("any", pgettext_lazy("type of a variable", "anything")),
]
MOST_VARIABLES, MOST_WORDS = 200, 100
LONGEST_TEXT, LONGEST_LINE = 4096, 200


class VariableForm(forms.Form):
    """What the flow says about one variable. A new one brings its name."""

    name = forms.CharField(
        label=gettext_lazy("name"),
        max_length=40,
        validators=[
            RegexValidator(r"^[a-z_][a-z0-9_]*$", gettext_lazy("Small letters, digits and _ only."))
        ],
    )
    label = forms.CharField(label=gettext_lazy("label"), required=False, max_length=LONGEST_LINE)
    type = forms.ChoiceField(label=gettext_lazy("type"), choices=VARIABLE_TYPES)
    sensitive = forms.BooleanField(label=gettext_lazy("sensitive"), required=False)
    given = forms.BooleanField(label=gettext_lazy("given by whoever starts it"), required=False)

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name in FACT_NAMES:
            raise ValidationError(_("This name is one that the program fills itself."))
        return name


class _Variables(forms.BaseFormSet):
    def clean(self) -> None:
        """No name twice."""
        names = [form.cleaned_data.get("name") for form in self.forms if form.has_changed()]
        twice = {name for name in names if name and names.count(name) > 1}
        if twice:
            raise ValidationError(
                _("This name is there twice: %(names)s."), params={"names": ", ".join(twice)}
            )


VariableFormSet = forms.formset_factory(
    VariableForm,
    formset=_Variables,
    extra=1,
    can_delete=True,
    max_num=MOST_VARIABLES,
    absolute_max=MOST_VARIABLES + 1,
)


def initial_variables(uses: Sequence[VariableUse]) -> list[Json]:
    return [
        {
            "name": use.name,
            "label": use.declared.label,
            "type": use.declared.type,
            "sensitive": use.declared.sensitive,
            "given": use.declared.given,
        }
        for use in uses
    ]


def variables_from(formset: Any, known: Mapping[str, Variable]) -> Json:
    """What the document holds about its variables. Of one that was never described and still says
    nothing, nothing is stored."""
    stored: Json = {}
    for form in formset.forms:
        said = form.cleaned_data
        if not said.get("name") or said.get("DELETE"):
            continue
        variable = Variable(
            label=said["label"],
            type=said["type"],
            sensitive=said["sensitive"],
            given=said["given"],
        )
        if said["name"] in known or variable != Variable():
            stored[said["name"]] = variable.model_dump(mode="json", exclude_defaults=True)
    return stored


class WordForm(forms.Form):
    """Words that lead to a passo from anywhere."""

    keywords = WordsField(
        label=gettext_lazy("words"),
        max_length=2000,
        widget=forms.TextInput(attrs={"placeholder": gettext_lazy("menu, start, back")}),
    )
    next = forms.ChoiceField(label=gettext_lazy("lead to"))

    def __init__(self, *args: Any, steps: Sequence[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        target = self.fields["next"]
        assert isinstance(target, forms.ChoiceField)  # noqa: S101  # for the type alone
        target.choices = [("", "–"), *steps]


WordFormSet = forms.formset_factory(
    WordForm, extra=1, can_delete=True, max_num=MOST_WORDS, absolute_max=MOST_WORDS + 1
)


def initial_words(document: FlowDocument) -> list[Json]:
    return [{"keywords": list(one.keywords), "next": one.next} for one in document.words]


def words_from(formset: Any) -> list[Json]:
    said = [form.cleaned_data for form in formset.forms if form.cleaned_data.get("keywords")]
    return [
        {"keywords": one["keywords"], "next": one["next"]} for one in said if not one.get("DELETE")
    ]


def steps_of(document: FlowDocument) -> list[tuple[str, str]]:
    """The passos as a choice, by their titles."""
    named = [(node_id, node.title or node_id) for node_id, node in document.nodes.items()]
    return sorted(named, key=lambda one: one[1].casefold())


def _text(label: _StrPromise) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=LONGEST_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class SettingsForm(forms.Form):
    """Name and use of the flow, which count at once, and what is part of its draft."""

    OF_FLOW = ("name", "description", "is_active", "needs_approval")

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    description = forms.CharField(label=gettext_lazy("Description"), required=False, max_length=300)
    is_active = forms.BooleanField(
        label=gettext_lazy("In use"),
        required=False,
        help_text=gettext_lazy(
            "Switched off, no trigger starts it. Conversations under way go on to their end."
        ),
    )
    needs_approval = forms.BooleanField(
        label=gettext_lazy("A second person approves before it is published"),
        required=False,
        help_text=gettext_lazy(
            "Whoever asks for a draft to be published cannot be the one who approves it. Whoever"
            " switches this off cannot be the next one who publishes."
        ),
    )
    idle_minutes = forms.IntegerField(
        label=gettext_lazy("Ends after this many minutes of silence"),
        required=False,
        min_value=1,
        max_value=7 * 24 * 60,
        help_text=gettext_lazy("Empty: as the site has it."),
    )
    warning_minutes = forms.IntegerField(
        label=gettext_lazy("Warns this many minutes before"),
        min_value=0,
        max_value=24 * 60,
        help_text=gettext_lazy("0: without a warning."),
    )
    warning_text = _text(gettext_lazy("What the warning says"))
    end_text = _text(gettext_lazy("What is said at the end"))
    only_text_answer = _text(
        gettext_lazy("When somebody sends a file where a text is expected"),
    )
    trouble_text = _text(gettext_lazy("When the conversation cannot go on"))


def initial_settings(flow: Flow, document: FlowDocument) -> Json:
    idle = document.idle
    return {
        **{name: getattr(flow, name) for name in SettingsForm.OF_FLOW},
        "idle_minutes": idle.minutes,
        "warning_minutes": idle.warning_minutes,
        "warning_text": idle.warning_text,
        "end_text": idle.end_text,
        "only_text_answer": document.only_text_answer,
        "trouble_text": document.trouble_text,
    }


def settings_into(document: FlowDocument, said: Mapping[str, Any]) -> Json:
    """The document with what the form says."""
    idle = Idle(
        minutes=said["idle_minutes"],
        warning_minutes=said["warning_minutes"],
        warning_text=_lines(said["warning_text"]),
        end_text=_lines(said["end_text"]),
    )
    changed = document.model_copy(
        update={
            "name": said["name"],
            "idle": idle,
            "only_text_answer": _lines(said["only_text_answer"]),
            "trouble_text": _lines(said["trouble_text"]),
        }
    )
    return changed.as_dict()


def _lines(text: str) -> str:
    """With the line breaks that documents have."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
