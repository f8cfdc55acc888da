"""The inbound ledger's screens: what came in and could not be handled, and its second try."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from chatbot import ledger, reprocess_jobs
from chatbot.log_admin import LogAdmin
from chatbot.models import FailedEvent, FailedEventState, Task, TaskKind, TaskStatus, Worker
from chatbot.reprocessing import reprocess
from sessions_app.models import Channel, ChannelKind
from users.console import background
from users.errors import DomainError
from users.permissions import person

BODY_SHOWN = 20_000
TEXT_SHOWN = 120
TAIL_OF_SLUG = 6
STATE_CHIPS = {
    FailedEventState.NEW: "warn",
    FailedEventState.DONE: "ok",
    FailedEventState.SUPERSEDED: "",
    FailedEventState.IGNORED: "",
}
JOB_CHIPS = {
    TaskStatus.PENDING: ("info", _("running")),
    TaskStatus.DONE: ("ok", _("finished")),
    TaskStatus.DROPPED: ("", _("cancelled")),
    TaskStatus.FAILED: ("danger", _("abandoned")),
}


# --- Filters -----------------------------------------------------------------------------------


class LedgerFilter(admin.SimpleListFilter):
    """A filter whose meaning is the ledger's, so that "all that match" matches the same."""

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        return ledger.narrowed(queryset, str(self.parameter_name), value) if value else queryset


class StateFilter(LedgerFilter):
    title = _("situation")
    parameter_name = "state__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(FailedEventState.choices)


class ChannelFilter(LedgerFilter):
    title = _("channel")
    parameter_name = "channel"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        channels = Channel.objects.visible_to(request.user).order_by("name")
        named = [(str(pk), name) for pk, name in channels.values_list("pk", "name")]
        return [(ledger.NO_CHANNEL, _("no channel")), *named]


class PartFilter(LedgerFilter):
    title = _("what failed")
    parameter_name = "part"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(ledger.Part.choices)


class TypeFilter(LedgerFilter):
    title = _("kind of item")
    parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(ledger.TYPE_LABELS.items())


class SinceFilter(LedgerFilter):
    title = _("arrival")
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        today = timezone.localdate()
        spans = [(0, _("today")), (6, _("last 7 days")), (29, _("last 30 days"))]
        return [((today - timedelta(days=days)).isoformat(), name) for days, name in spans]


# --- The screens -------------------------------------------------------------------------------


class FailedEventAdmin(LogAdmin):
    list_display = [
        "moment",
        "what_it_is",
        "whose",
        "channel_name",
        "why_it_failed",
        "tries",
        "state_chip",
        "short_outcome",
    ]
    list_filter = [StateFilter, ChannelFilter, PartFilter, TypeFilter, SinceFilter]
    list_select_related = ["channel"]
    search_fields = ["error"]  # the box is shown; what it finds is the ledger's matter
    search_help_text = _("Words of the error or the message, a number, an id, or a lead's name")
    heavy = ("body", "details", "history", "channel__credentials", "channel__settings")
    actions = ["process_again", "ignore_chosen", "take_up_chosen"]
    change_list_template = "admin/chatbot/failedevent/change_list.html"

    def has_reprocess_permission(self, request: HttpRequest) -> bool:
        return person(request).is_admin

    def get_urls(self) -> list[Any]:
        pages: list[tuple[str, str, Callable[..., HttpResponse]]] = [
            ("process-all/", "process_all", self.process_all),
            ("job/<int:task_id>/", "job", self.job),
            ("job/<int:task_id>/state/", "job_state", self.job_state),
            ("job/<int:task_id>/cancel/", "job_cancel", self.job_cancel),
            ("<int:event_id>/process/", "process", self.process),
            ("<int:event_id>/ignore/", "ignore", self.ignore),
            ("<int:event_id>/take-up/", "take_up", self.take_up),
        ]
        ours = [
            path(way, self.admin_site.admin_view(view), name=f"chatbot_failedevent_{name}")
            for way, name, view in pages
        ]
        return [*ours, *super().get_urls()]

    # -- the list

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return ledger.narrowed(queryset, "q", search_term), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        """The list, how many of what it shows wait, and the job that is under way."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        wanted = ledger.filters_in(request.GET)
        waiting = ledger.processable(ledger.matching(_meant(wanted)))
        is_about_waiting = wanted.get("state__exact", FailedEventState.NEW) == FailedEventState.NEW
        context = {
            "wanted": _meant(wanted),
            "waiting": waiting.count() if is_about_waiting else 0,
            "running": _jobs().filter(status=TaskStatus.PENDING).order_by("-id").first(),
            "is_narrowed": bool(_meant(wanted)),
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    @admin.display(description=_("what"))
    def what_it_is(self, event: FailedEvent) -> str:
        return ledger.what(event)

    @admin.display(description=_("whose"))
    def whose(self, event: FailedEvent) -> str:
        return ledger.who(event)

    @admin.display(description=_("channel"))
    def channel_name(self, event: FailedEvent) -> str:
        return event.channel.name if event.channel else gettext("no channel")

    @admin.display(description=_("why"))
    def why_it_failed(self, event: FailedEvent) -> str:
        return Truncator(ledger.why(event)).chars(TEXT_SHOWN)

    @admin.display(description=_("situation"))
    def state_chip(self, event: FailedEvent) -> SafeString:
        chip = STATE_CHIPS.get(FailedEventState(event.state), "")
        return format_html('<span class="chip {}">{}</span>', chip, event.get_state_display())

    @admin.display(description=_("outcome"))
    def short_outcome(self, event: FailedEvent) -> str:
        return Truncator(ledger.in_words(event.outcome)).chars(TEXT_SHOWN) or "–"

    # -- one event

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Everything that is known about one event, to read; what can be done has its own
        addresses."""
        if request.method != "GET" or not self.has_view_permission(request):
            raise PermissionDenied
        if not re.fullmatch(r"[0-9]{1,18}", object_id):
            raise Http404
        event = self._event(request, int(object_id))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": ledger.what(event),
            "event": event,
            "chip": STATE_CHIPS.get(FailedEventState(event.state), ""),
            "why": ledger.why(event),
            "part": ledger.part_of(event).label,
            "whose": ledger.who(event),
            "fields": list(ledger.fields_of(event)),
            "outcome": ledger.in_words(event.outcome),
            "places": event.details.splitlines(),
            "history": ledger.history_of(event),
            "raw": json.dumps(event.item, indent=2, ensure_ascii=False) if event.item else "",
            "body": _shown_body(event),
            "may_process": _may_process(event),
            "is_notice": event.item.get("type") == ledger.NOTICE,
            "is_ignored": event.state == FailedEventState.IGNORED,
            "is_waiting": event.state == FailedEventState.NEW,
            "number": ledger.unknown_number(event),
            "add_channel_url": _add_channel_url(event),
        }
        return TemplateResponse(request, "admin/chatbot/failedevent/change_form.html", context)

    def process(self, request: HttpRequest, event_id: int) -> HttpResponse:
        """Now, while one waits."""
        self._check(request, "POST")
        event = self._event(request, event_id)
        outcome = reprocess(event, now=timezone.now(), by=str(person(request)))
        level = messages.WARNING if event.state == FailedEventState.NEW else messages.SUCCESS
        self.message_user(request, ledger.in_words(outcome) or gettext("It waits."), level)
        return redirect("admin:chatbot_failedevent_change", event_id)

    def ignore(self, request: HttpRequest, event_id: int) -> HttpResponse:
        self._check(request, "POST")
        reason = request.POST.get("reason", "").strip()
        if not reason:
            self.message_user(request, gettext("Say why, in a few words."), messages.ERROR)
            return redirect("admin:chatbot_failedevent_change", event_id)
        by, now = str(person(request)), timezone.now()
        return self._settle(
            request, event_id, lambda event: ledger.ignore(event, reason=reason, by=by, now=now)
        )

    def take_up(self, request: HttpRequest, event_id: int) -> HttpResponse:
        self._check(request, "POST")
        by, now = str(person(request)), timezone.now()
        return self._settle(request, event_id, lambda event: ledger.take_up(event, by=by, now=now))

    def _settle(
        self, request: HttpRequest, event_id: int, act: Callable[[FailedEvent], FailedEvent]
    ) -> HttpResponse:
        event = self._event(request, event_id)
        try:
            act(event)
        except DomainError as refusal:
            self.message_user(request, refusal.message, messages.ERROR)
        return redirect("admin:chatbot_failedevent_change", event_id)

    def _event(self, request: HttpRequest, event_id: int) -> FailedEvent:
        """With all of its parts, unlike in a list."""
        events = self.get_queryset(request).defer(None)
        related = events.select_related("channel", "message__session__lead")
        event: FailedEvent = get_object_or_404(related, pk=event_id)
        return event

    def _check(self, request: HttpRequest, method: str) -> None:
        if request.method != method or not self.has_reprocess_permission(request):
            raise PermissionDenied

    # -- many events

    @admin.action(description=_("Process again"), permissions=["reprocess"])
    def process_again(self, request: HttpRequest, events: QuerySet[FailedEvent]) -> HttpResponse:
        ids = list(events.order_by("id").values_list("pk", flat=True))
        return self._start(request, ids=ids)

    @admin.action(description=_("Ignore"), permissions=["reprocess"])
    def ignore_chosen(
        self, request: HttpRequest, events: QuerySet[FailedEvent]
    ) -> HttpResponse | None:
        """Ask why first; the chosen rows travel with the question."""
        reason = request.POST.get("reason", "").strip()
        if not reason:
            return self._ask_why(request, events)
        by, now = str(person(request)), timezone.now()
        waiting = events.filter(state=FailedEventState.NEW).order_by("id")
        count = self.do_to_each(
            request,
            waiting,
            lambda event: ledger.ignore(event, reason=reason, by=by, now=now),
        )
        text = ngettext("%(count)d event ignored.", "%(count)d events ignored.", count)
        self.tell_count(request, text, count)
        return None

    @admin.action(description=_("Take up again"), permissions=["reprocess"])
    def take_up_chosen(self, request: HttpRequest, events: QuerySet[FailedEvent]) -> None:
        by, now = str(person(request)), timezone.now()
        ignored = events.filter(state=FailedEventState.IGNORED).order_by("id")
        count = self.do_to_each(
            request, ignored, lambda event: ledger.take_up(event, by=by, now=now)
        )
        text = ngettext("%(count)d event waits again.", "%(count)d events wait again.", count)
        self.tell_count(request, text, count)

    def process_all(self, request: HttpRequest) -> HttpResponse:
        """All that the list's filters leave, in the background."""
        self._check(request, "POST")
        return self._start(request, wanted=_meant(ledger.filters_in(request.POST)))

    def _start(self, request: HttpRequest, **meant: Any) -> HttpResponse:
        try:
            task, is_new = reprocess_jobs.start(
                by=str(person(request)), now=timezone.now(), **meant
            )
        except DomainError as refusal:
            self.message_user(request, refusal.message, messages.WARNING)
            return redirect("admin:chatbot_failedevent_changelist")
        if not is_new:
            self.message_user(request, gettext("This is under way already."), messages.INFO)
        return redirect("admin:chatbot_failedevent_job", task.pk)

    def _ask_why(self, request: HttpRequest, events: QuerySet[FailedEvent]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Ignore the chosen events?"),
            "count": events.count(),
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "checkbox": ACTION_CHECKBOX_NAME,
            "across": request.POST.get("select_across", "0"),
            "back": request.get_full_path(),
            "is_unanswered": "reason" in request.POST,
        }
        return TemplateResponse(request, "chatbot/failed_events_ignore.html", context)

    # -- a job

    def job(self, request: HttpRequest, task_id: int) -> HttpResponse:
        self._check(request, "GET")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Processing again"),
            **_progress(task_id),
        }
        return TemplateResponse(request, "chatbot/reprocess_job.html", context)

    @background
    def job_state(self, request: HttpRequest, task_id: int) -> HttpResponse:
        """The part of the page that moves."""
        self._check(request, "GET")
        return TemplateResponse(request, "chatbot/_reprocess_job.html", _progress(task_id))

    def job_cancel(self, request: HttpRequest, task_id: int) -> HttpResponse:
        self._check(request, "POST")
        task = get_object_or_404(_jobs(), pk=task_id)
        if not reprocess_jobs.cancel(task, now=timezone.now()):
            self.message_user(request, gettext("It was over already."), messages.INFO)
        return redirect("admin:chatbot_failedevent_job", task_id)


def _jobs() -> QuerySet[Task]:
    return Task.objects.filter(kind=TaskKind.REPROCESS)  # door: admins alone, checked by each page


def _progress(task_id: int) -> dict[str, Any]:
    task = get_object_or_404(_jobs(), pk=task_id)
    is_running = task.status == TaskStatus.PENDING
    chip, label = JOB_CHIPS[TaskStatus(task.status)]
    return {
        "task": task,
        "progress": reprocess_jobs.progress_of(task),
        "is_running": is_running,
        "is_stuck": is_running and not Worker.objects.alive().exists(),  # door: if any
        "chip": chip,
        "label": label,
        "by": task.payload.get("by", ""),
    }


def _meant(wanted: dict[str, str]) -> dict[str, str]:
    """The filters of a job, which is about what waits anyway."""
    return {name: value for name, value in wanted.items() if name != "state__exact"}


def _may_process(event: FailedEvent) -> bool:
    is_notice = event.item.get("type") == ledger.NOTICE
    return event.state == FailedEventState.NEW and not is_notice


def _shown_body(event: FailedEvent) -> str:
    if event.body is None:
        return ""
    return bytes(event.body)[:BODY_SHOWN].decode("utf-8", "replace")


def _add_channel_url(event: FailedEvent) -> str:
    number = ledger.unknown_number(event)
    if number is None:
        return ""
    shown = number["display_number"] or number["external_id"]
    slug = f"numero-{number['external_id'][-TAIL_OF_SLUG:]}"
    prefilled = {**number, "kind": ChannelKind.WHATSAPP_CLOUD, "name": shown, "slug": slug}
    return f"{reverse('admin:sessions_app_channel_add')}?{urlencode(prefilled)}"
