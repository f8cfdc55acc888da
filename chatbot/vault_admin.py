"""The vault's screen: secrets are written here and never read."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.validators import RegexValidator
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from chatbot.models import Flow, Secret
from chatbot.vault import VALUE, flows_that_name
from sessions_app.fields import UNREADABLE
from users.console import VisibleModelAdmin
from users.permissions import person


class SecretForm(forms.ModelForm):
    """The value goes in and never comes out: left empty it stays as it is."""

    name = forms.CharField(
        label=_("Name"),
        max_length=40,
        validators=[
            RegexValidator(
                r"^[a-z_][a-z0-9_]*$", _("Small letters, digits and _ only, a letter first.")
            )
        ],
        help_text=_("Flows call it by this name: {{ secret.name }}."),
    )
    new_value = forms.CharField(
        label=_("Value"),
        required=False,
        strip=False,
        max_length=4000,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text=_("It is stored encrypted and never shown again. Empty: as it is."),
    )

    class Meta:
        model = Secret
        fields = ["name", "note"]

    def clean_new_value(self) -> str:
        value: str = self.cleaned_data["new_value"]
        if not value and not self.instance.pk:
            raise forms.ValidationError(_("Give the secret its value."), code="required")
        if not value.isprintable():
            raise forms.ValidationError(_("A header takes one line of ordinary characters."))
        return value


class SecretAdmin(VisibleModelAdmin):
    form = SecretForm
    confirms = frozenset({"add", "change", "delete", "delete_selected"})
    list_display = ["name", "note", "updated_at", "updated_by", "used_at", "is_readable"]
    list_select_related = ["updated_by"]
    search_fields = ["name", "note"]
    ordering = ["name"]
    fields = ["name", "new_value", "note", "used_by", "updated_at", "updated_by", "used_at"]
    readonly_fields = ["used_by", "updated_at", "updated_by", "used_at"]

    def get_fields(self, request: HttpRequest, obj: Secret | None = None) -> Any:
        return self.fields if obj else ["name", "new_value", "note"]

    def get_readonly_fields(self, request: HttpRequest, obj: Secret | None = None) -> Any:
        """Flows name it: the name stays."""
        return ["name", *self.readonly_fields] if obj else self.readonly_fields

    def save_model(self, request: HttpRequest, obj: Secret, form: Any, change: bool) -> None:
        if form.cleaned_data["new_value"]:
            obj.value = {VALUE: form.cleaned_data["new_value"]}
        obj.updated_by = person(request)
        super().save_model(request, obj, form, change)

    @admin.display(description=_("named by"))
    def used_by(self, secret: Secret) -> str:
        flows: list[Flow] = flows_that_name(secret.name)
        return ", ".join(map(str, flows)) or "–"

    @admin.display(description=_("can be read"), boolean=True)
    def is_readable(self, secret: Secret) -> bool:
        """Not so when FIELD_ENCRYPTION_KEY was changed without keeping the old one."""
        return UNREADABLE not in secret.value and bool(secret.value)
