"""What people say about themselves: whether they take tickets, their name, language and keys."""

from __future__ import annotations

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from users import services
from users.console import toast
from users.models import Availability, User
from users.permissions import person

SAID = {
    Availability.AVAILABLE: gettext_lazy("You are available. New tickets may come to you."),
    Availability.PAUSED: gettext_lazy("You are on a break. No new tickets come to you."),
    Availability.OFFLINE: gettext_lazy("You are offline. No new tickets come to you."),
}


class ProfileForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ["first_name", "last_name", "signature", "language", "single_keys"]


@require_POST
def availability(request: HttpRequest) -> HttpResponse:
    """Say whether one takes tickets now; htmx gets the switch anew, a plain form its page."""
    user, wanted = person(request), request.POST.get("availability", "")
    if wanted not in Availability.values:
        return HttpResponseBadRequest()
    reason, was_silent = request.POST.get("reason", ""), user.offline_by_silence
    services.set_availability(
        user, availability=wanted, reason=reason, at=timezone.now(), actor=user
    )
    said = str(SAID[Availability(wanted)])
    if request.headers.get("HX-Request") == "true":
        context = {"user": user, "was_silent": was_silent}
        response = TemplateResponse(request, "admin/includes/availability.html", context)
        return toast(response, said)
    messages.success(request, said)
    return HttpResponseRedirect(_back(request))


@require_http_methods(["GET", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """One's own name, signature, language and keys."""
    user = person(request)
    form = ProfileForm(request.POST or None, instance=User.objects.visible_to(user).get(pk=user.pk))
    if request.method == "POST" and form.is_valid():
        fields = {name: form.cleaned_data[name] for name in form.changed_data}
        services.update_user(user, fields=fields, actor=user)
        messages.success(request, _("Your profile was saved."))
        return HttpResponseRedirect(reverse("profile"))
    context = {**admin.site.each_context(request), "title": _("My profile"), "form": form}
    return TemplateResponse(request, "admin/profile.html", context)


def _back(request: HttpRequest) -> str:
    """The page that the form stood on."""
    page = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(
        page, {request.get_host()}, require_https=request.is_secure()
    )
    return page if is_ours else reverse("admin:index")
