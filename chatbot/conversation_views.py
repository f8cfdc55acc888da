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

from chatbot import composer, delivery, transcript, transcript_bubbles, why
from chatbot import media as fetching
from chatbot.attachments import accepted
from chatbot.conversation import ReplyHeld, Seen, send_reply
from chatbot.conversation import send_template as conversation_send_template
from chatbot.file_names import safe_name
from chatbot.message_templates import usable_on
from chatbot.models import Author, Media, MediaStatus, MessageLog
from chatbot.pictures import THUMBNAIL_TYPE
from chatbot.requests import StaffRequest
from chatbot.serving import file_response
from chatbot.template_picker import picker, values_in
from sessions_app.models import Session
from tickets.models import DraftKind, Ticket
from users.console import background
from users.digits import whole
from users.errors import DomainError

SAY = "chatbot.add_messagelog"
NOTE = "tickets.add_internalnote"


# --- Reading -----------------------------------------------------------------------------------


@require_GET
def page(request: StaffRequest, session_id: int) -> HttpResponse:
    """The conversation alone: where earlier messages are read without a script."""
    session = _session(request, session_id)
    before = _number(request, "before")
    talk = transcript.earlier(session, request.user, before=before) if before is not None else None
    context = {
        **admin.site.each_context(request),
        "title": str(session.lead),
        "session": session,
        "talk": talk,
    }
    return TemplateResponse(request, "chatbot/conversation.html", context)


@background
@require_GET
def new_messages(request: StaffRequest, session_id: int) -> HttpResponse:
    """What has come since the page last looked, and what looks different now; 204 when nothing
    does, after two statements. What has come and is not drawn moves the poller on, so that it is
    read once."""
    glanced, shown = transcript.glanced_at(session_id, request.user), _shown(request)
    if glanced is None:
        raise Http404
    standing = _standing(glanced)
    if request.GET.get("standing", standing) == standing and transcript.is_as_shown(glanced, shown):
        return HttpResponse(status=204)
    session = _session(request, session_id)
    talk = transcript.news(session, request.user, shown=shown)
    standing = _standing(session)
    has_changed = request.GET.get("standing", standing) != standing
    if not talk.has_news and not has_changed:
        return _moved_on(request, session, talk, shown)
    is_other_box = has_changed and _box(standing) != _box(request.GET["standing"])
    return _news(request, session, talk, with_box=is_other_box)


def _moved_on(
    request: StaffRequest,
    session: Session,
    talk: transcript.Transcript,
    shown: transcript.Shown,
) -> HttpResponse:
    if talk.shown == shown:
        return HttpResponse(status=204)
    context = {"session": session, "talk": talk, "standing": _standing(session), "is_oob": True}
    return TemplateResponse(request, "chatbot/_poller.html", context)


@require_GET
def earlier_messages(request: StaffRequest, session_id: int) -> HttpResponse:
    """A page of what stands before a message; without one, the end of this session."""
    session = _session(request, session_id)
    talk = transcript.earlier(session, request.user, before=_number(request, "before"))
    context = {
        "session": session,
        "talk": talk,
        "may_reply": request.user.has_perm(SAY),
        "thread": _number(request, "thread") or session.pk,
    }
    return TemplateResponse(request, "chatbot/_earlier.html", context)


@require_GET
def why_said(request: StaffRequest, session_id: int, message_id: int) -> HttpResponse:
    """Why the bot said this: one step of the flow log, from what was stored of it."""
    session = _session(request, session_id)
    rows = MessageLog.objects.visible_to(request.user).filter(session=session, author=Author.BOT)
    message = get_object_or_404(
        rows.select_related("flow_log__run__version__flow").defer(
            "flow_log__run__version__document", "flow_log__run__version__flow__draft"
        ),
        pk=message_id,
    )
    context = {"session": session, "message": message, "why": why.explain(message, session)}
    if request.htmx:
        return TemplateResponse(request, "chatbot/_why.html", context)
    context |= {**admin.site.each_context(request), "title": gettext("Why did the bot say this?")}
    return TemplateResponse(request, "chatbot/why.html", context)


# --- Writing -----------------------------------------------------------------------------------


@require_POST
def reply(request: StaffRequest, session_id: int) -> HttpResponse:
    """Say something to the customer as oneself; what was written is kept when it is refused."""
    session = _session(request, session_id)
    if not request.user.has_perm(SAY):
        raise PermissionDenied
    try:
        _send(request, session)
    except DomainError as refusal:
        return _refused(request, session, refusal)
    _forget(request, session, DraftKind.REPLY)
    return _done(request, session)


@require_POST
def note(request: StaffRequest, session_id: int) -> HttpResponse:
    """Write something for the team, in a table of its own: no way leads from here to the
    customer."""
    session = _session(request, session_id)
    if not request.user.has_perm(NOTE):
        raise PermissionDenied
    ticket = _ticket(request, session)
    try:
        composer.write_note(ticket, author=request.user, text=request.POST.get("text", ""))
    except DomainError as refusal:
        return _refused(request, session, refusal, kind=DraftKind.NOTE)
    composer.forget_draft(ticket, request.user, DraftKind.NOTE)
    return _done(request, session)


@require_POST
def draft(request: StaffRequest, session_id: int) -> HttpResponse:
    """Keep what is being written. 413: it is longer than is kept here."""
    session = _session(request, session_id)
    kind = request.POST.get("kind", "")
    if kind not in DraftKind.values:
        raise Http404
    ticket = _ticket(request, session)
    text = request.POST.get("text", "")
    is_kept = composer.keep_draft(ticket, request.user, DraftKind(kind), text)
    return HttpResponse(status=204 if is_kept else 413)


@require_GET
def canned(request: StaffRequest, session_id: int) -> HttpResponse:
    """The canned responses that may be used here, with their variables filled in."""
    session = _session(request, session_id)
    ticket = composer.ticket_of(session, request.user)
    offered = composer.canned_for(session, ticket, request.user)
    context = {"session": session, "offered": offered}
    return TemplateResponse(request, "chatbot/_composer_canned.html", context)


@require_GET
def people(request: StaffRequest, session_id: int) -> HttpResponse:
    """Colleagues who may be mentioned in a note of the ticket."""
    session = _session(request, session_id)
    ticket = _ticket(request, session)
    context = {"session": session, "people": composer.people_of(ticket, request.user)}
    return TemplateResponse(request, "chatbot/_composer_people.html", context)


@require_GET
def reply_box(request: StaffRequest, session_id: int) -> HttpResponse:
    """The box to answer in, anew; `?templates=1`: the message templates, although text may be
    sent."""
    session = _session(request, session_id)
    if not request.user.has_perm(SAY):
        raise PermissionDenied
    asks_for_templates = "templates" in request.GET
    context = _box_context(request, session, with_templates=asks_for_templates)
    return TemplateResponse(request, "chatbot/_reply_box.html", context)


@require_http_methods(["GET", "POST"])
def template(request: StaffRequest, session_id: int) -> HttpResponse:
    """The fields of a template that was picked; posted with them, it is sent."""
    session = _session(request, session_id)
    if not request.user.has_perm(SAY):
        raise PermissionDenied
    if request.method == "GET":
        found = picker(session, chosen=request.GET.get("template", ""), at=timezone.now())
        context = {"session": session, "picker": found, "text": request.GET.get("text", "")}
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


@require_POST
def send_again(request: StaffRequest, session_id: int, message_id: int) -> HttpResponse:
    """A message that was not delivered goes out once more, as a new one."""
    session = _session(request, session_id)
    try:
        row = _message(request, session, message_id)
        delivery.send_again(row, user=request.user, seen=_seen(request))
    except DomainError as refusal:
        return _refused(request, session, refusal)
    return _done(request, session, changed=message_id)


@require_POST
def discard(request: StaffRequest, session_id: int, message_id: int) -> HttpResponse:
    """A message that was not delivered asks nobody any more."""
    session = _session(request, session_id)
    try:
        delivery.discard(_message(request, session, message_id), user=request.user)
    except DomainError as refusal:
        return _refused(request, session, refusal)
    return _done(request, session, changed=message_id)


def _message(request: StaffRequest, session: Session, message_id: int) -> MessageLog:
    if not request.user.has_perm(SAY):
        raise PermissionDenied
    mine = MessageLog.objects.visible_to(request.user).filter(session=session)
    return get_object_or_404(mine, pk=message_id)


def _send(request: StaffRequest, session: Session) -> None:
    """What stands in the form; the file is put away before anything is locked."""
    form = request.POST
    text = form.get("text", "")
    if form.get("sign"):
        text = composer.signed(text, request.user)
    upload = request.FILES.get("file")
    with accepted(upload, session, kind=form.get("kind", "")) if upload else nullcontext() as file:
        send_reply(
            session,
            user=request.user,
            text=text,
            attachment=file,
            reply_to=_quoted(request, session),
            client_id=_client_id(request),
            seen=_seen(request),
            at=timezone.now(),
        )


def _quoted(request: StaffRequest, session: Session) -> str:
    """The provider's id of the message that is answered, of this conversation or an earlier one of
    the same person here; "" when none is."""
    wanted = _number(request, "reply_to", request.POST)
    if wanted is None:
        return ""
    visible = MessageLog.objects.visible_to(request.user)
    same = visible.filter(session__lead=session.lead_id, channel=session.channel_id)
    return same.filter(pk=wanted).values_list("provider_id", flat=True).first() or ""


def _seen(request: StaffRequest) -> Seen | None:
    """What the page had shown when the answer was sent; None from a page that does not say."""
    message_id = _number(request, "seen_message", request.POST)
    if message_id is None:
        return None
    return Seen(message_id, _number(request, "seen_assignee", request.POST) or None)


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
                seen=_seen(request),
                at=timezone.now(),
            )
        except DomainError as refusal:
            error = refusal.message
    if message is not None and message.session_id != session.pk:
        return _go_to(request, reverse("conversation", args=[message.session_id]))
    if request.htmx:
        return _template_fragment(request, session, error=error)
    if error:
        messages.error(request, error)
        query = {"template": wanted} if wanted is not None else None
        return redirect(reverse("conversation", args=[session.pk], query=query))
    return redirect(_came_from(request, session))


def _go_to(request: StaffRequest, url: str) -> HttpResponse:
    """The conversation goes on elsewhere."""
    return HttpResponseClientRedirect(url) if request.htmx else redirect(url)


def _template_fragment(request: StaffRequest, session: Session, *, error: str) -> HttpResponse:
    """The box once more, as the conversation now stands, with what was typed while it was not
    sent; and what the thread has to show."""
    values = values_in(request.POST) if error else None
    chosen = request.POST.get("template", "") if error else ""
    session = _as_it_stands(request, session)
    talk = transcript.news(session, request.user, shown=_shown(request, request.POST))
    context = {
        **_news_context(request, session, talk),
        **_box_context(request, session, with_templates=bool(error), chosen=chosen, values=values),
        "with_box": True,
        "error": error,
        "text": request.POST.get("text", ""),
        "client_id": request.POST.get("client_id") if error else uuid4(),
        "next": request.POST.get("next", ""),
    }
    return TemplateResponse(request, "chatbot/_answer.html", context)


# --- Answers -----------------------------------------------------------------------------------


def _done(request: StaffRequest, session: Session, *, changed: int | None = None) -> HttpResponse:
    """What the thread has to show now; `changed` names a message to draw anew."""
    if not request.htmx:
        return redirect(_came_from(request, session))
    session = _as_it_stands(request, session)
    shown = _shown(request, request.POST)
    talk = transcript.news(session, request.user, shown=shown)
    is_drawn = changed is None or any(one.pk == changed for one in talk.changed)
    again = () if is_drawn or changed is None else transcript.again(session, changed)
    return _news(request, session, talk, again=again)


def _refused(
    request: StaffRequest,
    session: Session,
    refusal: DomainError,
    *,
    kind: DraftKind = DraftKind.REPLY,
) -> HttpResponse:
    """Nothing was stored. The answer says why and brings what the page had not shown; the page
    keeps what was written. Without a script it is kept as a draft of this kind."""
    if not request.htmx:
        messages.error(request, refusal.message)
        _keep_refused(request, session, kind)
        return redirect(_came_from(request, session))
    session = _as_it_stands(request, session)
    talk = transcript.news(session, request.user, shown=_shown(request, request.POST))
    is_closed = composer.window_of(session, timezone.now()).state != composer.OPEN
    context = {
        **_news_context(request, session, talk),
        "refusal": refusal,
        "may_insist": isinstance(refusal, ReplyHeld) and refusal.holder is None,
    }
    if is_closed and request.user.has_perm(SAY):
        text = request.POST.get("text", "")
        context |= {**_box_context(request, session), "text": text, "with_box": True}
    return TemplateResponse(request, "chatbot/_answer.html", context, status=refusal.status)


def _keep_refused(request: StaffRequest, session: Session, kind: DraftKind) -> None:
    text = request.POST.get("text", "")
    tickets = _tickets_written_in(request, session)
    if tickets and text.strip():
        composer.keep_draft(tickets[0], request.user, kind, text)


def _forget(request: StaffRequest, session: Session, kind: DraftKind) -> None:
    for ticket in _tickets_written_in(request, session):
        composer.forget_draft(ticket, request.user, kind)


def _tickets_written_in(request: StaffRequest, session: Session) -> list[Ticket]:
    """Where drafts of the page may be, as far as the person sees it: the ticket that the page says
    it is about, and the open one, which may be another by now."""
    mine = Ticket.objects.visible_to(request.user).filter(lead=session.lead_id)
    wanted = _number(request, "ticket", request.POST)
    named = mine.filter(pk=wanted).first() if wanted is not None else None
    both = (named, composer.ticket_of(session, request.user))
    return list(dict.fromkeys(ticket for ticket in both if ticket is not None))


def _news(
    request: StaffRequest,
    session: Session,
    talk: transcript.Transcript,
    *,
    again: tuple[transcript_bubbles.Bubble, ...] = (),
    with_box: bool = False,
) -> HttpResponse:
    context = _news_context(request, session, talk)
    context["changed"] = (*talk.changed, *again)
    if with_box and request.user.has_perm(SAY):
        context |= {**_box_context(request, session), "with_box": True}
    return TemplateResponse(request, "chatbot/_answer.html", context)


def _news_context(
    request: StaffRequest, session: Session, talk: transcript.Transcript
) -> dict[str, Any]:
    return {
        "session": session,
        "talk": talk,
        "changed": talk.changed,
        "standing": _standing(session),
        "window": composer.window_of(session, timezone.now()),
        "may_reply": request.user.has_perm(SAY),
        "assignee": composer.assignee_of(session),
    }


def _box_context(
    request: StaffRequest, session: Session, *, with_templates: bool = False, **how: Any
) -> dict[str, Any]:
    return composer.box_of(
        session, request.user, with_templates=with_templates, at=timezone.now(), **how
    )


def _standing(session: Session) -> str:
    return composer.standing(session, timezone.now())


def _box(standing: str) -> str:
    """Which box belongs under the conversation: the part of its standing that says so."""
    return standing.partition("-")[0]


def _shown(request: StaffRequest, source: Any = None) -> transcript.Shown:
    """What the page that asks shows already."""
    source = request.GET if source is None else source
    return transcript.Shown(
        message=_number(request, "after", source) or 0,
        note=_number(request, "note", source) or 0,
        event=_number(request, "event", source) or 0,
        marks=transcript.marks_in(source["marks"]) if "marks" in source else None,
    )


# --- Files -------------------------------------------------------------------------------------


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


@background
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
        "file": transcript_bubbles.attachment_of(file.message, file),
        "may_reply": request.user.has_perm("chatbot.add_messagelog"),
    }
    return TemplateResponse(request, "chatbot/_attachment.html", context)


def _session(request: StaffRequest, session_id: int) -> Session:
    session = transcript.watched(session_id, request.user)
    if session is None:
        raise Http404
    return session


def _as_it_stands(request: StaffRequest, session: Session) -> Session:
    """The session once more, after something was done: who lost sight of it by that gets 404."""
    return _session(request, session.pk)


def _ticket(request: StaffRequest, session: Session) -> Ticket:
    """The ticket that the page is about, of the same person."""
    mine = Ticket.objects.visible_to(request.user).select_related("department")
    wanted = _number(request, "ticket", request.POST or request.GET)
    return get_object_or_404(mine.filter(lead=session.lead_id), pk=wanted)


def _number(request: StaffRequest, name: str, source: Any = None) -> int | None:
    return whole((request.GET if source is None else source).get(name))


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
