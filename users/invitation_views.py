"""Where the link of an invitation leads: no login yet, a name and a password to begin with."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import SetPasswordForm
from django.contrib.auth.views import PasswordResetConfirmView
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse_lazy
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from users import services
from users.errors import DomainError
from users.invitations import tokens
from users.models import User


class AcceptForm(SetPasswordForm):
    """How the person is called, and their password by the rules of the site."""

    first_name = forms.CharField(label=gettext_lazy("first name"), max_length=150)
    last_name = forms.CharField(label=gettext_lazy("last name"), max_length=150, required=False)
    field_order = ["first_name", "last_name", "new_password1", "new_password2"]

    def __init__(self, user: User | None, *arguments: Any, **options: Any) -> None:
        """`user` None: the link is no good, and the page shows no form."""
        super().__init__(user, *arguments, **options)
        if user is not None:
            self.initial["first_name"] = user.first_name
            self.initial["last_name"] = user.last_name


@method_decorator(login_not_required, name="dispatch")
class AcceptInvitation(PasswordResetConfirmView):
    """Django's page for a new password, for somebody who has none yet.

    The token leaves the address at once, so that no other site learns it; it is checked again when
    the form is posted, and the service lets it in once.
    """

    token_generator = tokens
    form_class = AcceptForm
    template_name = "users/invitation.html"
    success_url = reverse_lazy("admin:login")
    reset_url_token = "senha"  # noqa: S105  # stands in the address in place of the token
    title = gettext_lazy("Welcome to Atende")

    def form_valid(self, form: Any) -> HttpResponse:
        given = form.cleaned_data
        try:
            user = services.accept_invitation(
                cast("User", self.user),
                password=given["new_password1"],
                first_name=given["first_name"],
                last_name=given["last_name"],
            )
        except DomainError as refusal:
            form.add_error(None, refusal.message)
            return self.form_invalid(form)
        logout(self.request)  # of whoever sat here before; it also drops the token
        text = _("Your password was set. Log in as %(name)s.") % {"name": user.username}
        messages.success(self.request, text)
        return HttpResponseRedirect(str(self.get_success_url()))
