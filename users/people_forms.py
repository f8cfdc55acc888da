"""What an admin fills in for somebody new."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AdminPasswordChangeForm
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from users.models import User
from users.services import Places

PLACES = ("departments", "supervised_departments", "skills")


def places_of(given: dict[str, Any]) -> Places:
    """What a form says of where somebody works, supervises and what they can do."""
    return Places(*(given.get(name) for name in PLACES))


class PasswordForm(AdminPasswordChangeForm):
    """A new password, never none: whoever has none cannot log in, and the last admin would lock
    everybody out. Who shall have no access is deactivated."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.fields.pop("usable_password", None)
        for name in ("password1", "password2"):
            self.fields[name].required = True


class InviteForm(forms.ModelForm):
    """Whoever it is has no access until they have taken the invitation up."""

    class Meta:
        model = User
        fields = [
            *("first_name", "last_name", "email", "role"),
            *("departments", "supervised_departments", "capacity", "calendar", "skills"),
        ]
        widgets = dict.fromkeys(PLACES, forms.CheckboxSelectMultiple)

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.label_suffix = ""
        self.fields["email"].required = True
        self.fields["first_name"].help_text = _("They can change it when they come in.")

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        known = User.objects.filter(email__iexact=email).order_by("-is_active", "-invited_at")
        one = known.first()
        if one is None:
            return email
        if known.filter(Q(is_active=True) | Q(invited_at__isnull=False)).exists():
            raise forms.ValidationError(_("Somebody else already has this e-mail address."))
        text = _(
            "%(name)s had this e-mail address and is deactivated. Reactivate or invite them on "
            "their own page."
        )
        raise forms.ValidationError(text, params={"name": one})

    @property
    def profile(self) -> dict[str, Any]:
        """The plain fields, without those that `invite` asks for by name."""
        names = ("first_name", "last_name", "capacity", "calendar")
        return {name: self.cleaned_data[name] for name in names}
