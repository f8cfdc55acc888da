"""A session's page as it goes on, and what staff does there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from chatbot import session_actions
from chatbot.requests import StaffRequest
from chatbot.session_page import Asked, SessionPage
from sessions_app.models import Session
from sessions_app.services import close_session
from tickets.models import Ticket
from users import audit
from users.console import background, log_reveal
from users.digits import COUNT, whole
from users.errors import DomainError
from users.models import Department

POLL_ENDS = 286  # htmx asks no more


@require_GET
@background
def live(request: StaffRequest, session_id: int) -> HttpResponse:
    """The parts of the page that go on, when anything has changed; 204 when nothing has. With the
    end of the session the asking ends."""
    page = _page(request, session_id)
    if page.session.is_live and page.digest == request.GET.get("digest", ""):
        return HttpResponse(status=204)
    response = _answer(request, "chatbot/_session_news.html", page)
    if not page.session.is_live:
        response.status_code = POLL_ENDS
    return response


@require_GET
def where(request: StaffRequest, session_id: int) -> HttpResponse:
    """The map or the table, of the flow or a sub-flow of it."""
    return _answer(request, "chatbot/_session_where.html", _page(request, session_id))


@require_GET
def history(request: StaffRequest, session_id: int) -> HttpResponse:
    """Another page of what was said and done, or another choice of it."""
    return _answer(request, "chatbot/_session_lanes.html", _page(request, session_id))


@require_GET
def copy(request: StaffRequest, session_id: int) -> HttpResponse:
    page = _page(request, session_id)
    audit.acted(page.session, audit.EXPORTED)
    shown = {"indent": 2, "ensure_ascii": False}
    response = JsonResponse(page.as_json(), json_dumps_params=shown)
    response["Content-Disposition"] = f'attachment; filename="session-{page.session.pk}.json"'
    return response


@require_POST
def reveal(request: StaffRequest, session_id: int) -> HttpResponse:
    """Show one masked variable once; the session's history keeps that it was shown, and to whom."""
    page = _page(request, session_id)
    value = page.revealed(request.POST.get("name", ""))
    if value is None:
        raise Http404
    log_reveal(request, page.session, name=value.label)
    if request.htmx:
        return _answer(request, "chatbot/_session_variable.html", page, value=value, is_shown=True)
    messages.info(request, f"{value.label}: {value.shown}")
    return _back(page.session)


@require_http_methods(["GET", "POST"])
def end(request: StaffRequest, session_id: int) -> HttpResponse:
    def act(page: SessionPage, at: datetime) -> HttpResponse:
        close_session(page.session.pk, at=at)
        messages.success(request, gettext("The session has ended."))
        return _back(page.session)

    return _action(request, session_id, "end", "sessions_app.change_session", act)


@require_http_methods(["GET", "POST"])
def extend(request: StaffRequest, session_id: int) -> HttpResponse:
    def act(page: SessionPage, at: datetime) -> HttpResponse:
        seen = _moment(request.POST.get("seen", ""))
        if seen is None:
            raise Http404
        session_actions.extend(page.session.pk, seen=seen, at=at)
        messages.success(request, gettext("The customer has 30 more minutes."))
        return _back(page.session)

    return _action(request, session_id, "extend", "sessions_app.change_session", act)


@require_http_methods(["GET", "POST"])
def begin_again(request: StaffRequest, session_id: int) -> HttpResponse:
    def act(page: SessionPage, at: datetime) -> HttpResponse:
        session_actions.begin_again_at(
            page.session.pk,
            node=request.POST.get("node", ""),
            seen_seq=whole(request.POST.get("seq"), most=COUNT) or 0,
            actor=request.user,
            at=at,
        )
        messages.success(request, gettext("The bot goes on at the step you chose."))
        return _back(page.session)

    return _action(request, session_id, "begin_again", "sessions_app.change_session", act)


@require_http_methods(["GET", "POST"])
def hand_over(request: StaffRequest, session_id: int) -> HttpResponse:
    def act(page: SessionPage, at: datetime) -> HttpResponse:
        ticket = session_actions.hand_to_team(
            page.session.pk,
            department=_department(request),
            note=request.POST.get("note", ""),
            actor=request.user,
            at=at,
        )
        said = gettext("The conversation is with the team, ticket %(protocol)s.")
        messages.success(request, said % {"protocol": ticket.protocol})
        return _to_ticket_or_list(request, ticket)

    return _action(request, session_id, "hand_over", "tickets.change_ticket", act)


def _action(
    request: StaffRequest,
    session_id: int,
    verb: str,
    permission: str,
    act: Callable[[SessionPage, datetime], HttpResponse],
) -> HttpResponse:
    """What was asked for on the page's own form. The same form on a page of its own where it is
    opened without a script; what a service refuses is said."""
    page = _page(request, session_id)
    if not request.user.has_perm(permission):
        raise PermissionDenied
    if request.method == "GET":
        more = {**admin.site.each_context(request), "verb": verb, "title": str(page.session.lead)}
        chosen = request.GET.get("node", page.session.current_state)
        return _answer(request, "chatbot/session_action.html", page, chosen=chosen, **more)
    try:
        return act(page, page.at)
    except DomainError as refusal:
        messages.error(request, refusal.message)
        return _back(page.session)


def _page(request: StaffRequest, session_id: int) -> SessionPage:
    mine = Session.objects.visible_to(request.user).select_related("lead", "channel", "identity")
    lean = mine.defer("channel__credentials", "channel__settings")
    session = get_object_or_404(lean, pk=session_id)
    asked = Asked.read(request.GET)
    return SessionPage(session, user=request.user, at=timezone.now(), asked=asked)


def _answer(
    request: StaffRequest, template: str, page: SessionPage, **more: Any
) -> TemplateResponse:
    return TemplateResponse(request, template, {"page": page, "session": page.session, **more})


def _back(session: Session) -> HttpResponseRedirect:
    return HttpResponseRedirect(reverse("admin:sessions_app_session_change", args=[session.pk]))


def _to_ticket_or_list(request: StaffRequest, ticket: Ticket) -> HttpResponseRedirect:
    """An attendant does not see the queues of other departments: nor, now, this conversation."""
    if Ticket.objects.visible_to(request.user).filter(pk=ticket.pk).exists():
        return HttpResponseRedirect(reverse("admin:tickets_ticket_change", args=[ticket.pk]))
    return HttpResponseRedirect(reverse("admin:sessions_app_session_changelist"))


def _department(request: StaffRequest) -> Department | None:
    chosen = whole(request.POST.get("department"))
    if not chosen:
        return None
    return get_object_or_404(Department.objects.visible_to(request.user).active(), pk=chosen)


def _moment(text: str) -> datetime | None:
    try:
        moment = parse_datetime(text)
    except ValueError:
        return None
    return moment if moment is not None and timezone.is_aware(moment) else None
