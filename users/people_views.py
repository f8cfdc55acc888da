"""What is done with people beside their form: invited, deactivated, let in again, put on a break.

Each page is reached by the ModelAdmin, which has looked whether the person may see it; what is done
needs a POST. What a service refuses is said, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
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
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from users import invitations, people, services
from users.confirming import confirmed
from users.errors import DomainError
from users.models import TeamRules, User
from users.people_forms import InviteForm, places_of
from users.permissions import TABLE, Line, Reach, person


@require_http_methods(["GET", "POST"])
@confirmed()
def invite(request: HttpRequest) -> HttpResponse:
    """Somebody new; afterwards their page shows the link."""
    if not request.user.has_perm("users.add_user"):
        raise PermissionDenied
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            user = invitations.invite(
                email=given["email"],
                fields=form.profile,
                role=given["role"],
                places=places_of(given),
                at=timezone.now(),
                actor=person(request),
            )
        except DomainError as refusal:
            form.add_error(None, refusal.message)
        else:
            _log_addition(request, user)
            _mail(request, user)
            return HttpResponseRedirect(page_of(user))
    context = {
        **admin.site.each_context(request),
        "title": _("Invite a person"),
        "opts": User._meta,
        "form": form,
    }
    return TemplateResponse(request, "admin/users/user/invite.html", context)


@require_POST
def invite_again(request: HttpRequest, user_id: int) -> HttpResponse:
    """A new link by mail; the old one opens nothing any more."""
    user = _managed(request, user_id)

    def begin() -> None:
        services.begin_invitation(user, at=timezone.now(), actor=person(request))

    if _done(request, begin):
        _mail(request, user)
    return HttpResponseRedirect(page_of(user))


@require_POST
def withdraw(request: HttpRequest, user_id: int) -> HttpResponse:
    user = _managed(request, user_id)
    act = partial(services.withdraw_invitation, user, actor=person(request))
    if _done(request, act):
        messages.success(request, _("The invitation was withdrawn. Its link opens nothing."))
    return HttpResponseRedirect(page_of(user))


@require_http_methods(["GET", "POST"])
@confirmed()
def deactivate(request: HttpRequest, user_id: int) -> HttpResponse:
    """Asks first, and says what becomes of the person's tickets."""
    user = _managed(request, user_id)
    if request.method == "POST":
        deactivate_all(request, [user])
        return HttpResponseRedirect(page_of(user))
    return confirm_deactivation(request, [user])


@require_POST
@confirmed()
def reactivate(request: HttpRequest, user_id: int) -> HttpResponse:
    user = _managed(request, user_id)
    if _done(request, lambda: services.activate_user(user, actor=person(request))):
        messages.success(request, _("%(name)s has access again.") % {"name": user})
    return HttpResponseRedirect(page_of(user))


@require_GET
def roles(request: HttpRequest) -> HttpResponse:
    """Who may do what: the table that the program itself reads."""
    if not request.user.has_perm("users.view_user"):
        raise PermissionDenied
    context = {
        **admin.site.each_context(request),
        "title": _("Roles and permissions"),
        "matrix": matrix(),
    }
    return TemplateResponse(request, "users/roles.html", context)


def matrix() -> list[dict[str, Any]]:
    """The table of roles as it is drawn: groups of lines, a line a name and three cells."""
    rules = TeamRules.current()
    return [
        {"name": group.name, "lines": [(line.name, _cells(line, rules)) for line in group.lines]}
        for group in TABLE
    ]


def _cells(line: Line, rules: TeamRules) -> list[Reach]:
    """What a rule of the team would have logged may be done plainly while it is off."""
    is_plain = bool(line.rule) and not getattr(rules, line.rule)
    reaches = (line.attendant, line.supervisor, line.admin)
    return [Reach.YES if is_plain and one == Reach.LOGGED else one for one in reaches]


def confirm_deactivation(request: HttpRequest, chosen: Sequence[User]) -> TemplateResponse:
    context = {
        **admin.site.each_context(request),
        "title": _("Deactivate people") if len(chosen) > 1 else _("Deactivate a person"),
        "opts": User._meta,
        "people": chosen,
        "returning": people.returning(chosen, person(request)),
        "is_own": person(request) in chosen,
        "is_bulk": len(chosen) > 1 or "action" in request.POST,
    }
    return TemplateResponse(request, "admin/users/user/deactivate.html", context)


def deactivate_all(request: HttpRequest, chosen: Sequence[User]) -> int:
    """Each by themselves; what is refused is said. How many lost their access."""
    actor, at = person(request), timezone.now()
    done = 0
    for user in chosen:
        try:
            services.deactivate_user(user, actor=actor, at=at)
        except DomainError as refusal:
            messages.error(request, f"{user}: {refusal.message}")
        else:
            done += 1
    if done:
        text = ngettext("%(count)d person deactivated.", "%(count)d people deactivated.", done)
        messages.success(request, text % {"count": done})
    return done


def reactivate_all(request: HttpRequest, chosen: Sequence[User]) -> int:
    actor, done = person(request), 0
    for user in chosen:
        try:
            services.activate_user(user, actor=actor)
        except DomainError as refusal:
            messages.error(request, f"{user}: {refusal.message}")
        else:
            done += 1
    if done:
        text = ngettext("%(count)d person has access.", "%(count)d people have access.", done)
        messages.success(request, text % {"count": done})
    return done


def page_of(user: User) -> str:
    return reverse("admin:users_user_change", args=[user.pk])


def _managed(request: HttpRequest, user_id: int) -> User:
    """Somebody whom the person may see and manage."""
    user = get_object_or_404(User.objects.visible_to(person(request)), pk=user_id)
    if not services.may_manage(person(request), user):
        raise PermissionDenied
    return user


def _done(request: HttpRequest, act: Callable[[], Any]) -> bool:
    try:
        act()
    except DomainError as refusal:
        messages.error(request, refusal.message)
        return False
    return True


def _mail(request: HttpRequest, user: User) -> None:
    if invitations.send(user, by=person(request)):
        said = _("An invitation was sent to %(email)s.") % {"email": user.email}
        messages.success(request, said)
        return
    text = _(
        "The mail server did not take the invitation for %(email)s. Copy the link below and give "
        "it to them, or send it again later."
    )
    messages.error(request, text % {"email": user.email})


def _log_addition(request: HttpRequest, user: User) -> None:
    console: Any = admin.site.get_model_admin(User)
    console.log_addition(request, user, [{"added": {}}])
