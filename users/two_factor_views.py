"""Two-step login: setting it up, recovery codes, taking it away."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from users import audit, two_factor
from users.account_views import back_to, managed, own_page
from users.confirming import confirmed
from users.console import without_code
from users.errors import DomainError
from users.permissions import person


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Is it on, since when, and how many recovery codes are left?"""
    user = person(request)
    left = two_factor.codes_left(user)
    context = {
        "app": two_factor.app_of(user),
        "codes_left": left,
        "has_few_codes": left <= two_factor.FEW_CODES,
        "is_required": two_factor.is_required(user),
    }
    return own_page(request, "users/two_factor.html", _("Two-step login"), context)


@without_code
@never_cache
@confirmed()
@require_http_methods(["GET", "POST"])
def setup(request: HttpRequest) -> HttpResponse:
    """Scan the picture, type what the app shows. Then the recovery codes, this once."""
    user = person(request)
    if two_factor.has_app(user):
        return HttpResponseRedirect(reverse("two_factor"))
    error = ""
    if request.method == "POST":
        try:
            made = two_factor.confirm(request, request.POST.get("code", ""))
        except DomainError as refusal:
            error = refusal.message
        else:
            audit.acted(user, audit.TWO_FACTOR_ON)
            return _show_codes(request, made)
    context = {
        "enrolment": two_factor.enrolment_of(user),
        "error": error,
        "is_owed": two_factor.is_owed(request),
    }
    return own_page(request, "users/two_factor_setup.html", _("Set up two-step login"), context)


@never_cache
@require_POST
@confirmed()
def codes(request: HttpRequest) -> HttpResponse:
    """Ten new recovery codes in place of what is left of the old ones."""
    try:
        made = two_factor.renew_codes(person(request))
    except DomainError as refusal:
        messages.error(request, refusal.message)
        return HttpResponseRedirect(reverse("two_factor"))
    audit.acted(person(request), audit.RECOVERY_CODES)
    return _show_codes(request, made)


@require_POST
@confirmed()
def remove(request: HttpRequest) -> HttpResponse:
    if two_factor.remove(person(request), request=request):
        audit.acted(person(request), audit.TWO_FACTOR_OFF)
        messages.success(request, _("Two-step login is off. Other browsers were signed out."))
    return HttpResponseRedirect(reverse("two_factor"))


@require_POST
@confirmed()
def remove_of(request: HttpRequest, user_id: int) -> HttpResponse:
    """For somebody who lost the telephone: the next login asks for the password alone."""
    user = managed(request, user_id)
    if two_factor.remove(user, request=request):
        audit.acted(user, audit.TWO_FACTOR_OFF)
        messages.success(request, _("Two-step login of %(name)s is off.") % {"name": user})
    return back_to(user)


def _show_codes(request: HttpRequest, made: list[str]) -> HttpResponse:
    return own_page(
        request, "users/recovery_codes.html", _("Keep your recovery codes"), {"codes": made}
    )
