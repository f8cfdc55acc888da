"""Browsers in which one is logged in, and what admins do about those of others."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from users import audit, clients, lockout, logins, services
from users.confirming import confirmed
from users.models import LoginEvent, User
from users.permissions import person

EVENTS_SHOWN = 30

# --- Browsers ----------------------------------------------------------------------------------


@require_GET
def own_logins(request: HttpRequest) -> HttpResponse:
    """Where one is logged in, and what happened at the door lately."""
    user = person(request)
    key = request.session.session_key
    rows = [
        {
            "login": login,
            "browser": clients.browser_in_words(login.user_agent),
            "is_this": login.session_key == key,
        }
        for login in logins.live_of(user, timezone.now())
    ]
    events = LoginEvent.objects.visible_to(user).filter(user=user)[:EVENTS_SHOWN]
    context = {
        "logins": rows,
        "has_others": any(not row["is_this"] for row in rows),
        "events": [
            {"event": event, "browser": clients.browser_in_words(event.user_agent)}
            for event in events
        ],
    }
    return own_page(request, "users/logins.html", _("My accesses"), context)


@require_POST
def end_one(request: HttpRequest, login_id: int) -> HttpResponse:
    """Sign one of one's browsers out; this one by logging out."""
    login = get_object_or_404(person(request).logins, pk=login_id)
    if login.session_key == request.session.session_key:
        messages.warning(request, _("This is the browser you are in. Log out instead."))
    else:
        logins.end(login, request=request)
        messages.success(request, _("Signed out there."))
    return HttpResponseRedirect(reverse("own_logins"))


@require_POST
def end_others(request: HttpRequest) -> HttpResponse:
    count = logins.end_all(person(request), keep=request.session.session_key, request=request)
    text = ngettext("%(count)d browser signed out.", "%(count)d browsers signed out.", count)
    messages.success(request, text % {"count": count})
    return HttpResponseRedirect(reverse("own_logins"))


# --- Others ------------------------------------------------------------------------------------


@require_POST
@confirmed()
def sign_out_person(request: HttpRequest, user_id: int) -> HttpResponse:
    """Everywhere at once."""
    user = managed(request, user_id)
    count = logins.end_all(user, request=request)
    if count:
        audit.acted(user, audit.SIGNED_OUT)
    text = ngettext("%(count)d browser signed out.", "%(count)d browsers signed out.", count)
    messages.success(request, text % {"count": count})
    return back_to(user)


@require_POST
def let_in(request: HttpRequest) -> HttpResponse:
    """Forget the failed logins of a name at an address, so that they can try again at once."""
    if not person(request).is_admin:
        raise PermissionDenied
    username, address = request.POST.get("username", ""), request.POST.get("address", "")
    if lockout.let_in(username, address):
        user = User.objects.filter(username=username).first()  # door: an admin sees everybody
        if user is not None:
            audit.acted(user, audit.LET_IN)
        messages.success(request, _("%(name)s can try again at once.") % {"name": username})
    return HttpResponseRedirect(reverse("admin:users_loginevent_changelist"))


def managed(request: HttpRequest, user_id: int) -> User:
    """Somebody else whom this person may manage."""
    user = get_object_or_404(User.objects.visible_to(request.user), pk=user_id)
    if user.pk == person(request).pk or not services.may_manage(person(request), user):
        raise PermissionDenied
    return user


def back_to(user: User) -> HttpResponse:
    """To the page of the person."""
    return HttpResponseRedirect(reverse("admin:users_user_change", args=[user.pk]))


def own_page(
    request: HttpRequest, template: str, title: str, context: dict[str, Any]
) -> HttpResponse:
    """A page of the console with this title."""
    shell = admin.site.each_context(request)
    return TemplateResponse(request, template, {**shell, "title": title, **context})
