"""Writing a message template: the fields, what WhatsApp would refuse about them, and the
components they make."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from chatbot.models import MessageTemplate
from chatbot.template_parts import (
    BODY_LENGTH,
    CODE_LENGTH,
    FOOTER_LENGTH,
    HEADER_LENGTH,
    LABEL_LENGTH,
    MEDIA,
    MOST_BUTTONS,
    NAME_LENGTH,
    PHONE_LENGTH,
    URL_LENGTH,
    VARIABLE,
    Button,
    Parts,
    Variable,
    names_in,
    parts_of,
)
from sessions_app.models import Channel

LANGUAGES = [
    ("pt_BR", _("Portuguese (Brazil)")),
    ("pt_PT", _("Portuguese (Portugal)")),
    ("en_US", _("English (US)")),
    ("en", _("English")),
    ("es", _("Spanish")),
    ("es_AR", _("Spanish (Argentina)")),
    ("es_MX", _("Spanish (Mexico)")),
]
# Authentication templates have texts that WhatsApp writes itself: they are made on its own page.
CATEGORIES = [("UTILITY", _("utility")), ("MARKETING", _("marketing"))]
HEADERS = [
    ("", _("none")),
    ("TEXT", _("text")),
    ("IMAGE", _("image")),
    ("VIDEO", _("video")),
    ("DOCUMENT", _("document")),
    ("LOCATION", _("location")),
]
NAME = re.compile(r"[a-z0-9_]+")
VARIABLE_NAME = re.compile(r"[a-z][a-z0-9_]*")
BRACES = re.compile(r"\{\{|\}\}")
EXAMPLE = "example:"  # prefix of the fields that examples come in


class TemplateForm(forms.Form):
    """Fields as a person thinks of them. `components` and `parameter_format` are what they make,
    also of a form that is not valid yet: the preview shows it while it is being written."""

    channel = forms.ModelChoiceField(
        label=_("Channel"),
        queryset=Channel.objects.none(),
        help_text=_("Every number of the same business account can send it."),
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=NAME_LENGTH,
        help_text=_("Small letters without accents, digits and _. It cannot change later."),
    )
    language = forms.ChoiceField(label=_("Language"), choices=LANGUAGES)
    category = forms.ChoiceField(
        label=_("Category"),
        choices=CATEGORIES,
        help_text=_(
            "Utility: about something the person asked for. Marketing: everything else; it does "
            "not go to who has opted out."
        ),
    )
    header_kind = forms.ChoiceField(label=_("Header"), choices=HEADERS, required=False)
    header_text = forms.CharField(
        label=_("Text of the header"), max_length=HEADER_LENGTH, required=False
    )
    header_handle = forms.CharField(
        label=_("Handle of an example file"),
        max_length=1000,
        required=False,
        help_text=_("For an image, video or document: what Meta's upload of an example returned."),
    )
    body = forms.CharField(
        label=_("Text"),
        max_length=BODY_LENGTH,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text=_("Variables as {{1}}, {{2}} … or {{nome}}; not at the beginning or the end."),
    )
    footer = forms.CharField(label=_("Footer"), max_length=FOOTER_LENGTH, required=False)
    quick_replies = forms.CharField(
        label=_("Quick replies"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("One a line, at most 25 characters each."),
    )
    url_text = forms.CharField(label=_("Link: label"), max_length=LABEL_LENGTH, required=False)
    url = forms.CharField(
        label=_("Link: address"),
        max_length=URL_LENGTH,
        required=False,
        help_text=_("https://… It may end in {{1}}."),
    )
    phone_text = forms.CharField(label=_("Call: label"), max_length=LABEL_LENGTH, required=False)
    phone_number = forms.CharField(label=_("Call: number"), max_length=PHONE_LENGTH, required=False)
    coupon = forms.CharField(
        label=_("Code to copy: example"), max_length=CODE_LENGTH, required=False
    )

    def __init__(
        self,
        data: Any = None,
        *,
        channels: QuerySet[Channel],
        template: MessageTemplate | None = None,
    ) -> None:
        self.template = template
        initial = {} if template is None else fields_of(template)
        if template is None:
            initial["channel"] = channels.first()
        super().__init__(data, initial=initial)
        field: Any = self.fields["channel"]
        field.queryset = channels
        if template is not None:  # what WhatsApp knows it by stays
            for name in ("channel", "name", "language"):
                self.fields[name].disabled = True

    # -- what it makes

    @property
    def parameter_format(self) -> str:
        names = [*names_in(self._now("body")), *names_in(self._now("header_text"))]
        return "NAMED" if names and not any(name.isdigit() for name in names) else "POSITIONAL"

    @property
    def parts(self) -> Parts:
        return parts_of(self.components, is_named=self.parameter_format == "NAMED")

    @property
    def components(self) -> list[dict[str, Any]]:
        """In the provider's form, with the examples."""
        buttons = self._buttons()
        footer = self._now("footer").strip()
        return [
            *self._header(),
            self._with_examples({"type": "BODY", "text": self._now("body")}, "body_text", ""),
            *([{"type": "FOOTER", "text": footer}] if footer else []),
            *([{"type": "BUTTONS", "buttons": buttons}] if buttons else []),
        ]

    @property
    def examples(self) -> list[tuple[str, Variable, str]]:
        """(field, variable, what was typed) for every value that needs an example."""
        return [
            (f"{EXAMPLE}{one.key}", one, self._example(one.key))
            for one in self.parts.variables
            if one.key not in {"header", self._coupon_key()} and self._is_exemplified(one)
        ]

    def _is_exemplified(self, variable: Variable) -> bool:
        return not (variable.where == "header" and self._now("header_kind") == "LOCATION")

    def _coupon_key(self) -> str:
        return next((one.key for one in self.parts.buttons if one.kind == "COPY_CODE"), "-")

    def _now(self, name: str) -> str:
        """The field as it stands, whether or not it is valid."""
        if self.is_bound and not self.fields[name].disabled:
            return str(self.data.get(name, "")).replace("\r\n", "\n")
        return str(self.initial.get(name) or "")

    def _example(self, key: str) -> str:
        if self.is_bound:
            return str(self.data.get(f"{EXAMPLE}{key}", ""))
        if self.template is None:
            return ""
        known = {one.key: one.example for one in self.template.parts.variables}
        return known.get(key, "")

    def _header(self) -> list[dict[str, Any]]:
        kind = self._now("header_kind")
        if kind == "TEXT" and self._now("header_text").strip():
            header = {"type": "HEADER", "format": "TEXT", "text": self._now("header_text").strip()}
            return [self._with_examples(header, "header_text", "header.")]
        if kind in MEDIA:
            handle = self._now("header_handle").strip()
            example = {"example": {"header_handle": [handle]}} if handle else {}
            return [{"type": "HEADER", "format": kind, **example}]
        return [{"type": "HEADER", "format": kind}] if kind == "LOCATION" else []

    def _with_examples(self, part: dict[str, Any], kind: str, prefix: str) -> dict[str, Any]:
        names = names_in(part["text"])
        if not names:
            return part
        if self.parameter_format == "NAMED":
            told = [
                {"param_name": name, "example": self._example(f"{prefix}{name}")} for name in names
            ]
            return {**part, "example": {f"{kind}_named_params": told}}
        names.sort(key=lambda name: int(name) if name.isdigit() else 0)
        values = [self._example(f"{prefix}{name}") for name in names]
        return {**part, "example": {kind: values if prefix else [values]}}

    def _buttons(self) -> list[dict[str, Any]]:
        lines = (line.strip() for line in self._now("quick_replies").split("\n"))
        buttons: list[dict[str, Any]] = [
            {"type": "QUICK_REPLY", "text": line} for line in lines if line
        ]
        if self._now("url").strip():
            buttons.append(self._link(len(buttons)))
        if self._now("phone_number").strip():
            buttons.append(
                {
                    "type": "PHONE_NUMBER",
                    "text": self._now("phone_text").strip(),
                    "phone_number": self._now("phone_number").strip(),
                }
            )
        if self._now("coupon").strip():
            buttons.append({"type": "COPY_CODE", "example": self._now("coupon").strip()})
        return buttons

    def _link(self, index: int) -> dict[str, Any]:
        url = self._now("url").strip()
        link: dict[str, Any] = {"type": "URL", "text": self._now("url_text").strip(), "url": url}
        if VARIABLE.search(url):
            suffix = self._example(f"button.{index}")
            link["example"] = [VARIABLE.sub(lambda _found: suffix, url)]
        return link

    # -- what WhatsApp would refuse

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if not NAME.fullmatch(name):
            raise ValidationError(_("Only small letters without accents, digits and _."))
        return name

    def clean_body(self) -> str:
        body: str = self.cleaned_data["body"].replace("\r\n", "\n")
        check_variables(body)
        if re.match(r"\s*\{\{", body) or re.search(r"\}\}\s*$", body):
            raise ValidationError(_("A variable cannot stand at the beginning or the end."))
        if re.search(r"\}\}\s*\{\{", body):
            raise ValidationError(_("Two variables need words between them."))
        return body

    def clean_header_text(self) -> str:
        text: str = self.cleaned_data["header_text"]
        check_variables(text)
        if len(names_in(text)) > 1:
            raise ValidationError(_("A header takes one variable."))
        return text

    def clean_footer(self) -> str:
        footer: str = self.cleaned_data["footer"]
        if BRACES.search(footer):
            raise ValidationError(_("A footer takes no variable."))
        return footer

    def clean_quick_replies(self) -> str:
        lines = [line.strip() for line in self.cleaned_data["quick_replies"].splitlines()]
        labels = [line for line in lines if line]
        if any(len(label) > LABEL_LENGTH for label in labels):
            raise ValidationError(_("At most 25 characters each."))
        if any(BRACES.search(label) for label in labels):
            raise ValidationError(_("A label takes no variable."))
        if any(count > 1 for count in Counter(labels).values()):
            raise ValidationError(_("Two have the same label."))
        return "\n".join(labels)

    def clean_url(self) -> str:
        url: str = self.cleaned_data["url"].strip()
        if url and not re.fullmatch(r"https?://[^\s{}]+(\{\{1\}\})?", url):
            raise ValidationError(_("An address begins with https:// and may end in {{1}}."))
        return url

    def clean_phone_number(self) -> str:
        number: str = self.cleaned_data["phone_number"].strip()
        if number and not re.fullmatch(r"\+?[0-9][0-9 ()-]{6,}", number):
            raise ValidationError(_("This is not a phone number."))
        return number

    def clean_coupon(self) -> str:
        code: str = self.cleaned_data["coupon"].strip()
        if code and not re.fullmatch(r"[A-Za-z0-9]+", code):
            raise ValidationError(_("A code has letters and digits only."))
        return code

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        self._check_header(cleaned)
        for address, label in (("url", "url_text"), ("phone_number", "phone_text")):
            if cleaned.get(address) and not cleaned.get(label, "").strip():
                self.add_error(label, _("A button needs a label."))
        if len(self._buttons()) > MOST_BUTTONS:
            self.add_error("quick_replies", _("At most ten buttons in all."))
        texts = f"{cleaned.get('body', '')} {cleaned.get('header_text', '')}"
        kinds = {name.isdigit() for name in names_in(texts)}
        if len(kinds) > 1:
            self.add_error("body", _("Variables are either all numbers or all names."))
        self._check_examples()
        return cleaned

    def _check_header(self, cleaned: dict[str, Any]) -> None:
        kind = cleaned.get("header_kind", "")
        if kind == "TEXT" and not cleaned.get("header_text", "").strip():
            self.add_error("header_text", _("Write the header, or choose none."))
        if kind in MEDIA and not cleaned.get("header_handle", "").strip():
            self.add_error("header_handle", _("WhatsApp wants to see an example of the file."))

    def _check_examples(self) -> None:
        """An example is a value: the same rules."""
        for _field, variable, typed in self.examples:
            if not typed.strip():
                sentence = gettext("Give an example for “%(name)s”.")
            elif not typed.isprintable() or " " * 5 in typed:
                sentence = gettext("The example for “%(name)s” needs to be one plain line.")
            else:
                continue
            self.add_error(None, sentence % {"name": variable.name})


def check_variables(text: str) -> None:
    """Numbers count up from {{1}} without a gap; names are plain; no half braces."""
    rest = VARIABLE.sub("", text)
    if BRACES.search(rest):
        raise ValidationError(_("A variable is written {{1}} or {{nome}}."))
    names = names_in(text)
    numbers = sorted(int(name) for name in names if name.isdigit())
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValidationError(_("Numbers of variables begin with {{1}} and leave no gap."))
    if not all(name.isdigit() or VARIABLE_NAME.fullmatch(name) for name in names):
        raise ValidationError(_("Names of variables have small letters, digits and _ only."))


def fields_of(template: MessageTemplate) -> dict[str, Any]:
    """The fields that make a stored template."""
    parts = template.parts
    header: dict[str, Any] = next(
        (one for one in template.components if one.get("type") == "HEADER"), {}
    )
    handles = (header.get("example") or {}).get("header_handle") or [""]
    link, call = _button(parts, "URL"), _button(parts, "PHONE_NUMBER")
    return {
        "channel": template.channel_id,
        "name": template.name,
        "language": template.language,
        "category": template.category,
        "header_kind": parts.header.kind,
        "header_text": parts.header.text,
        "header_handle": handles[0],
        "body": parts.body,
        "footer": parts.footer,
        "quick_replies": "\n".join(b.text for b in parts.buttons if b.kind == "QUICK_REPLY"),
        "url_text": link.text,
        "url": link.url,
        "phone_text": call.text,
        "phone_number": call.phone,
        "coupon": next((one.example for one in parts.variables if _is_code(parts, one)), ""),
    }


def _button(parts: Parts, kind: str) -> Button:
    return next((one for one in parts.buttons if one.kind == kind), Button(0, kind, ""))


def _is_code(parts: Parts, variable: Variable) -> bool:
    return any(one.kind == "COPY_CODE" and one.key == variable.key for one in parts.buttons)
