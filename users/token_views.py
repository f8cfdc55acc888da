"""One's own API tokens: made, shown once, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from users import services, tokens
from users.account_views import own_page
from users.confirming import confirmed
from users.models import ApiToken
from users.permissions import person

TOKEN_DAYS = 90


class TokenForm(forms.Form):
    """What a token is for: the less it may do, the less a thief may."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=80,
        help_text=gettext_lazy("What uses it, so that you know later which one to revoke."),
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What it may do"), choices=tokens.scope_choices
    )
    expires_on = forms.DateField(
        label=gettext_lazy("Valid until"),
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text=gettext_lazy("Empty: until it is revoked."),
    )

    def clean_expires_on(self) -> Any:
        """To the end of that day."""
        day = self.cleaned_data["expires_on"]
        if day is None:
            return None
        today = timezone.localdate()
        if day < today:
            raise forms.ValidationError(_("This day is over."))
        if tokens.lives_too_long(tokens.end_of(day), timezone.now()):
            raise forms.ValidationError(tokens.TOO_LONG)
        return day


@require_GET
def own(request: HttpRequest) -> HttpResponse:
    at = timezone.now()
    rows = [
        {"token": token, "is_expired": token.expires_at is not None and token.expires_at <= at}
        for token in ApiToken.objects.visible_to(request.user).filter(user=person(request))
    ]
    return own_page(request, "users/tokens.html", _("My tokens"), {"rows": rows})


@never_cache
@confirmed()
@require_http_methods(["GET", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A token with at most the rights of its owner; its text is on the answer and nowhere else."""
    until = timezone.localdate() + timedelta(days=TOKEN_DAYS)
    form = TokenForm(request.POST or None, initial={"expires_on": until})
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        day = given["expires_on"]
        token, text = services.create_token(
            person(request),
            name=given["name"],
            scopes=given["scopes"],
            expires_at=tokens.end_of(day) if day else None,
            actor=person(request),
        )
        context = {"token": token, "text": text}
        return own_page(request, "users/token_shown.html", _("Copy your token"), context)
    chosen = form["scopes"].value() or []
    rows = [
        {
            "name": resource.name,
            "help": resource.help,
            "read": f"{resource.scope}:read",
            "write": f"{resource.scope}:write",
        }
        for resource in tokens.RESOURCES
    ]
    context = {"form": form, "rows": rows, "chosen": set(chosen)}
    return own_page(request, "users/token_new.html", _("New token"), context)


@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    mine = ApiToken.objects.visible_to(request.user).filter(user=person(request))
    token = get_object_or_404(mine, pk=token_id)
    services.revoke_token(token, at=timezone.now(), actor=person(request))
    messages.success(request, _("%(token)s opens nothing any more.") % {"token": token})
    return HttpResponseRedirect(reverse("own_tokens"))
