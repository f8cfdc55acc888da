"""What was said, as fragments that ticket, lead and session pages embed."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any
from uuid import UUID, uuid4

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.views.decorators.http import (
    require_GET,
    require_http_methods,
    require_POST,
    require_safe,
)
from django_htmx.http import HttpResponseClientRedirect

from chatbot import delivery, transcript
from chatbot import media as fetching
from chatbot.attachments import accepted
from chatbot.conversation import send_reply
from chatbot.conversation import send_template as conversation_send_template
from chatbot.file_names import safe_name
from chatbot.message_templates import usable_on
from chatbot.models import Media, MediaStatus, MessageLog
from chatbot.pictures import THUMBNAIL_TYPE
from chatbot.requests import StaffRequest
from chatbot.serving import file_response
from chatbot.template_picker import picker, values_in
from sessions_app.models import Session
from users.errors import DomainError


@require_GET
def page(request: StaffRequest, session_id: int) -> HttpResponse:
    """The conversation alone: where earlier messages are read without a script."""
    session = _session(request, session_id)
    before = _number(request, "before")
    context = {
        **admin.site.each_context(request),
        "title": str(session.lead),
        "session": session,
        "talk": transcript.latest([session], before=before),
        "is_past": before is not None,
    }
    return TemplateResponse(request, "chatbot/conversation.html", context)


@require_GET
def new_messages(request: StaffRequest, session_id: int) -> HttpResponse:
    """What was said after an id, and delivery that has moved; 204 when neither is there."""
    session = _session(request, session_id)
    talk = transcript.news(session, after=_number(request, "after") or 0)
    if not talk.bubbles and talk.digest == request.GET.get("ticks", talk.digest):
        return HttpResponse(status=204)
    return _fragment(request, "chatbot/_news.html", session, talk)


@require_GET
def earlier_messages(request: StaffRequest, session_id: int) -> HttpResponse:
    session = _session(request, session_id)
    before = _number(request, "before")
    if before is None:
        raise Http404
    talk = transcript.latest([session], before=before)
    return _fragment(request, "chatbot/_earlier.html", session, talk)


@require_POST
def reply(request: StaffRequest, session_id: int) -> HttpResponse:
    """Say something to the customer as oneself; what was written is kept when it is refused."""
    session = _session(request, session_id)
    if not request.user.has_perm("chatbot.add_messagelog"):
        raise PermissionDenied
    text, error = request.POST.get("text", ""), ""
    try:
        _send(request, session, text)
    except DomainError as refusal:
        error = refusal.message
    if request.htmx:
        return _reply_fragment(request, session, text=text, error=error)
    if error:
        messages.error(request, error)
    return redirect(_came_from(request, session))


@require_http_methods(["GET", "POST"])
def template(request: StaffRequest, session_id: int) -> HttpResponse:
    """The fields of a template that was picked; posted with them, it is sent."""
    session = _session(request, session_id)
    if not request.user.has_perm("chatbot.add_messagelog"):
        raise PermissionDenied
    if request.method == "GET":
        found = picker(session, chosen=request.GET.get("template", ""), at=timezone.now())
        context = {"session": session, "picker": found}
        return TemplateResponse(request, "chatbot/_template_fields.html", context)
    return _send_template(request, session)


@require_POST
def template_preview(request: StaffRequest, session_id: int) -> HttpResponse:
    """The template with the values typed so far."""
    session = _session(request, session_id)
    found = picker(
        session,
        chosen=request.POST.get("template", ""),
        values=values_in(request.POST),
        at=timezone.now(),
    )
    if found.chosen is None:
        return HttpResponse(status=204)
    context = {"session": session, "preview": found.chosen.preview}
    return TemplateResponse(request, "chatbot/_template_bubble.html", context)


def _send_template(request: StaffRequest, session: Session) -> HttpResponse:
    usable = usable_on(session.channel)
    wanted = _number(request, "template", request.POST)
    chosen = usable.filter(pk=wanted).first() if wanted is not None else None
    error = "" if chosen else gettext("Choose a template.")
    message = None
    if chosen is not None:
        try:
            message = conversation_send_template(
                session,
                user=request.user,
                name=chosen.name,
                language=chosen.language,
                values=values_in(request.POST),
                client_id=_client_id(request),
                at=timezone.now(),
            )
        except DomainError as refusal:
            error = refusal.message
    if message is not None and message.session_id != session.pk:
        return _go_to(request, reverse("conversation", args=[message.session_id]))
    if request.htmx:
        text = request.POST.get("text", "")
        return _reply_fragment(request, session, text=text, error=error, is_template=True)
    if error:
        messages.error(request, error)
        query = {"template": wanted} if wanted is not None else None
        return redirect(reverse("conversation", args=[session.pk], query=query))
    return redirect(_came_from(request, session))


def _go_to(request: StaffRequest, url: str) -> HttpResponse:
    """The conversation goes on elsewhere."""
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


@require_POST
def send_again(request: StaffRequest, session_id: int, message_id: int) -> HttpResponse:
    """A message that was not delivered goes out once more, as a new one."""
    session = _session(request, session_id)
    if not request.user.has_perm("chatbot.add_messagelog"):
        raise PermissionDenied
    mine = MessageLog.objects.visible_to(request.user).filter(session=session)
    try:
        delivery.send_again(get_object_or_404(mine, pk=message_id), user=request.user)
    except DomainError as refusal:
        messages.error(request, refusal.message)
    return redirect(_came_from(request, session))


def _send(request: StaffRequest, session: Session, text: str) -> None:
    """What stands in the form; the file is put away before anything is locked."""
    upload = request.FILES.get("file")
    kind = request.POST.get("kind", "")
    with accepted(upload, session, kind=kind) if upload else nullcontext() as file:
        send_reply(
            session,
            user=request.user,
            text=text,
            attachment=file,
            client_id=_client_id(request),
            at=timezone.now(),
        )


def _reply_fragment(
    request: StaffRequest, session: Session, *, text: str, error: str, is_template: bool = False
) -> HttpResponse:
    """The form once more, as the conversation now stands. What was typed stays while it was not
    sent; a text that came too late stands beside the templates."""
    session.refresh_from_db()
    at = timezone.now()
    values = values_in(request.POST) if is_template and error else None
    chosen = request.POST.get("template", "") if is_template and error else ""
    is_window_open = session.is_live and session.window_is_open(at)
    context: dict[str, Any] = {
        "is_window_open": is_window_open,
        "picker": None if is_window_open else picker(session, chosen=chosen, values=values, at=at),
        "session": session,
        "talk": transcript.news(session, after=_number(request, "after", request.POST) or 0),
        "error": error,
        "text": text if error or is_template else "",
        "client_id": request.POST.get("client_id") if error else uuid4(),
        "next": request.POST.get("next", ""),
        "may_reply": True,
    }
    return TemplateResponse(request, "chatbot/_reply_result.html", context)


@require_safe
def media(request: StaffRequest, media_id: int) -> HttpResponseBase:
    """A file that a customer or we sent, for whoever may see the conversation."""
    file = _media(request, media_id)
    if file.status != MediaStatus.STORED:
        raise Http404
    return file_response(
        request,
        file.file,
        mime_type=file.mime_type,
        filename=safe_name(
            file.filename, fallback=f"{file.message.kind}-{file.pk}", mime_type=file.mime_type
        ),
        etag=file.sha256 or str(file.pk),
        changed_at=file.fetched_at,
    )


@require_safe
def thumbnail(request: StaffRequest, media_id: int) -> HttpResponseBase:
    file = _media(request, media_id)
    if not file.thumbnail:
        raise Http404
    return file_response(
        request,
        file.thumbnail,
        mime_type=THUMBNAIL_TYPE,
        filename=f"{file.pk}.webp",
        etag=f"{file.sha256 or file.pk}-small",
        changed_at=file.fetched_at,
    )


@require_GET
def attachment(request: StaffRequest, media_id: int) -> HttpResponse:
    """How a file that is on its way stands now."""
    return _attachment_fragment(request, _media(request, media_id))


@require_POST
def fetch_again(request: StaffRequest, media_id: int) -> HttpResponse:
    """Ask the provider once more for a file that did not come."""
    file = _media(request, media_id)
    if not request.user.has_perm("chatbot.add_messagelog"):
        raise PermissionDenied
    try:
        file = fetching.fetch_again(file)
    except DomainError as refusal:
        if not request.htmx:
            messages.error(request, refusal.message)
    if request.htmx:
        return _attachment_fragment(request, file)
    session = _session(request, file.message.session_id)
    return redirect(_came_from(request, session))


def _media(request: StaffRequest, media_id: int) -> Media:
    visible = MessageLog.objects.visible_to(request.user)
    files = Media.objects.select_related("message")  # door: visible messages, below
    return get_object_or_404(files, pk=media_id, message__in=visible)


def _attachment_fragment(request: StaffRequest, file: Media) -> HttpResponse:
    context = {
        "file": transcript.attachment_of(file.message, file),
        "may_reply": request.user.has_perm("chatbot.add_messagelog"),
    }
    return TemplateResponse(request, "chatbot/_attachment.html", context)


def _fragment(
    request: StaffRequest, template: str, session: Session, talk: transcript.Transcript
) -> HttpResponse:
    may_reply = request.user.has_perm("chatbot.add_messagelog")
    context = {"session": session, "talk": talk, "may_reply": may_reply}
    return TemplateResponse(request, template, context)


def _session(request: StaffRequest, session_id: int) -> Session:
    mine = Session.objects.visible_to(request.user).select_related("lead", "channel")
    return get_object_or_404(mine, pk=session_id)


def _number(request: StaffRequest, name: str, source: Any = None) -> int | None:
    value = (request.GET if source is None else source).get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= 18 else None  # noqa: PLR2004  # digits of a bigint


def _client_id(request: StaffRequest) -> UUID | None:
    try:
        return UUID(request.POST.get("client_id", ""))
    except ValueError:
        return None


def _came_from(request: StaffRequest, session: Session) -> str:
    wanted = request.POST.get("next") or request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}):
        return wanted
    return reverse("conversation", args=[session.pk])
