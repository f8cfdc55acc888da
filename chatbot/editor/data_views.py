"""Pages of what a flow has beside its passos: variables, words that work anywhere, settings."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db import transaction
from django.http import HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_http_methods

from chatbot import flows_service
from chatbot.editor import data_forms
from chatbot.editor.data_forms import SettingsForm, VariableFormSet, WordFormSet
from chatbot.editor.page_views import flow_of
from chatbot.editor.variables import VariableUse, variables_of
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.flows_service import DraftConflict, FlowRefused
from chatbot.handlers import registry
from chatbot.models import Flow
from chatbot.requests import StaffRequest
from users.digits import COUNT, whole

Json = dict[str, Any]
Lines = list[tuple[str, str]]


@require_http_methods(["GET", "POST"])
def variables(request: StaffRequest, flow_id: int) -> HttpResponse:
    """Where each variable is set and read, and what the flow says about it."""
    flow = flow_of(request, flow_id)
    document = _draft_of(flow)
    if document is None:
        return _unreadable(request, flow)
    uses = uses_of(document)
    formset = VariableFormSet(
        request.POST or None, initial=data_forms.initial_variables(uses), prefix="v"
    )
    if request.method == "POST" and formset.is_valid():
        stored = data_forms.variables_from(formset, document.variables)
        changed = document.as_dict() | {"variables": stored}
        page = _save(request, flow, changed, "variables", _variable_lines)
        if isinstance(page, HttpResponse):
            return page
    else:
        page = {}
    by_name = {use.name: use for use in uses}
    titles = dict(data_forms.steps_of(document))
    rows = [_row(form, by_name.get(_name_in(form)), titles) for form in formset.forms]
    context = {"formset": formset, "rows": rows, "part": "variables", **page}
    return _answer(request, "chatbot/flow/variables.html", flow, context)


@require_http_methods(["GET", "POST"])
def words(request: StaffRequest, flow_id: int) -> HttpResponse:
    flow = flow_of(request, flow_id)
    document = _draft_of(flow)
    if document is None:
        return _unreadable(request, flow)
    steps = data_forms.steps_of(document)
    formset = WordFormSet(
        request.POST or None,
        initial=data_forms.initial_words(document),
        prefix="w",
        form_kwargs={"steps": steps},
    )
    page: Json = {}
    if request.method == "POST" and formset.is_valid():
        changed = document.as_dict() | {"words": data_forms.words_from(formset)}
        saved = _save(request, flow, changed, "words", _word_lines)
        if isinstance(saved, HttpResponse):
            return saved
        page = saved
    context = {"formset": formset, "part": "words", **page}
    return _answer(request, "chatbot/flow/words.html", flow, context)


@require_http_methods(["GET", "POST"])
def settings(request: StaffRequest, flow_id: int) -> HttpResponse:
    flow = flow_of(request, flow_id)
    document = _draft_of(flow)
    if document is None:
        return _unreadable(request, flow)
    form = SettingsForm(request.POST or None, initial=data_forms.initial_settings(flow, document))
    page: Json = {}
    if request.method == "POST" and form.is_valid():
        changed = data_forms.settings_into(document, form.cleaned_data)
        own = [name for name in SettingsForm.OF_FLOW if name in form.changed_data]
        for name in own:
            setattr(flow, name, form.cleaned_data[name])
        saved = _save(request, flow, changed, "settings", _setting_lines, own)
        if isinstance(saved, HttpResponse):
            return saved
        page = saved
    context = {"form": form, "part": "settings", **page}
    return _answer(request, "chatbot/flow/settings.html", flow, context)


def uses_of(document: FlowDocument) -> list[VariableUse]:
    """The variables of a flow, with those that its integrations fill."""
    outputs = {name: one.outputs for name, one in registry.registered().items()}
    return variables_of(document, outputs)


# --- Saving ------------------------------------------------------------------------------------


def _save(  # noqa: PLR0913, PLR0917  # what is saved, and what is told when it is not
    request: StaffRequest,
    flow: Flow,
    document: Json,
    part: str,
    lines_of: Any,
    own: list[str] | None = None,
) -> HttpResponse | Json:
    """Store the draft, and fields of the flow itself. When somebody saved first, or the document
    cannot be, what the page shows besides: nothing that was typed is lost."""
    revision = _revision(request, flow)
    try:
        with transaction.atomic():
            if own:
                flow.save(update_fields=own)
                names = ", ".join(str(SettingsForm.base_fields[name].label) for name in own)
                said = _("Changed in the settings: %(names)s.") % {"names": names}
                LogEntry.objects.log_actions(  # door: the history of a flow that the person sees
                    request.user.pk, [flow], CHANGE, said, single_object=True
                )
            if document != flow.draft or revision != flow.draft_revision:
                flows_service.save_draft(
                    flow,
                    document,
                    user=request.user,
                    revision=revision,
                    said={"code": f"{part}_changed"},
                )
    except DraftConflict as conflict:
        theirs = _parsed(conflict.stored)
        lines = lines_of(theirs) if theirs else []
        return {"revision": conflict.revision, "conflict": conflict.message, "theirs": lines}
    except FlowRefused as refused:
        return {"refusals": [one.sentence for one in refused.findings]}
    messages.success(request, _("Saved in the draft."))
    return redirect(f"flow_{part}", flow.pk)


def _revision(request: StaffRequest, flow: Flow) -> int:
    """The draft that the edit began with."""
    given = whole(request.POST.get("revision"), most=COUNT)
    return flow.draft_revision if given is None else given


def _draft_of(flow: Flow) -> FlowDocument | None:
    return _parsed(flow.draft)


def _parsed(document: Any) -> FlowDocument | None:
    try:
        return parse_flow(document)
    except FlowError:
        return None


# --- What somebody else saved, line by line ----------------------------------------------------


def _variable_lines(document: FlowDocument) -> Lines:
    types = dict(data_forms.VARIABLE_TYPES)
    return [
        (
            name,
            " · ".join(
                filter(
                    None,
                    [
                        one.label,
                        str(types.get(one.type, one.type)),
                        pgettext("a variable", "sensitive") if one.sensitive else "",
                        pgettext("a variable", "given") if one.given else "",
                    ],
                )
            ),
        )
        for name, one in document.variables.items()
    ]


def _word_lines(document: FlowDocument) -> Lines:
    titles = dict(data_forms.steps_of(document))
    return [(", ".join(one.keywords), titles.get(one.next, one.next)) for one in document.words]


def _setting_lines(document: FlowDocument) -> Lines:
    fields = SettingsForm.base_fields
    shown = {
        "idle_minutes": document.idle.minutes,
        "warning_minutes": document.idle.warning_minutes,
        "warning_text": document.idle.warning_text,
        "end_text": document.idle.end_text,
        "only_text_answer": document.only_text_answer,
        "trouble_text": document.trouble_text,
    }
    return [(str(fields[name].label), str(value or "–")) for name, value in shown.items()]


# --- Pages -------------------------------------------------------------------------------------


def _name_in(form: Any) -> str:
    return str(form.initial.get("name") or "")


def _row(form: Any, use: VariableUse | None, titles: dict[str, str]) -> Json:
    """A line of the table: the form of a variable, and the passos that set and read it."""

    def steps(ids: list[str]) -> list[tuple[str, str]]:
        return [(one, titles.get(one, one)) for one in ids]

    return {
        "form": form,
        "use": use,
        "set_at": steps(use.set_at) if use else [],
        "read_at": steps(use.read_at) if use else [],
        "is_unused": use is not None and not use.set_at and not use.read_at,
    }


def _answer(request: StaffRequest, template: str, flow: Flow, context: Json) -> TemplateResponse:
    shown = {"revision": flow.draft_revision, **context}
    whole = {**admin.site.each_context(request), "flow": flow, "title": flow.name, **shown}
    return TemplateResponse(request, template, whole)


def _unreadable(request: StaffRequest, flow: Flow) -> HttpResponse:
    messages.error(request, _("The draft cannot be read. Import it anew, or restore a version."))
    return redirect("admin:chatbot_flow_change", flow.pk)
