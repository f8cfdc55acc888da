"""The page where a flow begins, and flows that come from files and go into them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION, CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from chatbot.editor import creation, exchange
from chatbot.editor.exchange import BadFile, Package
from chatbot.editor.importing import Import, counted
from chatbot.editor.page_views import flow_of
from chatbot.engine.nodes import FlowError, parse_flow
from chatbot.flow_files import read_file, shipped_documents, shipped_files
from chatbot.flows_service import DraftConflict, with_subflows
from chatbot.models import Flow, FlowVersion
from chatbot.requests import StaffRequest
from users import audit
from users.digits import COUNT, whole
from users.errors import DomainError

NOTHING, SHIPPED, COPY, FILE = "nothing", "shipped", "copy", "file"


class NewFlowForm(forms.Form):
    """A name, and what the flow begins with."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    source = forms.ChoiceField(
        label=gettext_lazy("Begin with"),
        choices=[
            (NOTHING, gettext_lazy("nothing: only the entry")),
            (SHIPPED, gettext_lazy("a flow that comes with the program")),
            (COPY, gettext_lazy("a copy of another flow")),
            (FILE, gettext_lazy("a file")),
        ],
        initial=NOTHING,
        widget=forms.RadioSelect,
    )
    shipped = forms.ChoiceField(label=gettext_lazy("Which one"), required=False)
    copied = forms.ModelChoiceField(
        label=gettext_lazy("Which flow"),
        queryset=Flow.objects.none(),  # door: filled with what the person sees
        required=False,
    )
    file = forms.FileField(label=gettext_lazy("JSON or YAML file"), required=False)

    def __init__(self, *args: Any, flows: QuerySet[Flow], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shipped, copied = self.fields["shipped"], self.fields["copied"]
        assert isinstance(shipped, forms.ChoiceField)  # noqa: S101  # for the type alone
        assert isinstance(copied, forms.ModelChoiceField)  # noqa: S101
        shipped.choices = [("", "–"), *((s, one.name) for s, one in shipped_documents().items())]
        copied.queryset = flows

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        needed = {SHIPPED: "shipped", COPY: "copied", FILE: "file"}.get(cleaned.get("source", ""))
        if needed and not cleaned.get(needed) and needed not in self.errors:
            self.add_error(needed, _("Choose one."))
        return cleaned


@require_http_methods(["GET", "POST"])
def new(request: StaffRequest) -> HttpResponse:
    """A new flow. From a file it is first shown what the file has."""
    flows = Flow.objects.visible_to(request.user).order_by("name")
    form = NewFlowForm(request.POST or None, request.FILES or None, flows=flows)
    if request.method == "POST" and form.is_valid():
        said = form.cleaned_data
        try:
            if said["source"] == FILE:
                package = exchange.read(_content(said["file"]))
                return _preview(request, None, package, {}, name=said["name"])
            source = _source(said)
            flow = creation.create(
                name=said["name"],
                document=source.document.as_dict() if source else creation.empty_document(),
                golden=source.golden if source else (),
                user=request.user,
            )
        except DomainError as refusal:
            for reason in getattr(refusal, "reasons", (refusal.message,)):
                form.add_error("file" if said["source"] == FILE else None, reason)
        else:
            _log(request, flow, _("Created."), ADDITION)
            return redirect("admin:chatbot_flow_change", flow.pk)
    context = {"form": form, "title": _("New flow")}
    return _answer(request, "chatbot/flow/new.html", context)


def _source(said: dict[str, Any]) -> Package | None:
    """The flow that is begun with; None for nothing."""
    if said["source"] == SHIPPED:
        path = next(one for one in shipped_files() if one.stem == said["shipped"])
        document, golden = read_file(path)
        return Package(document, tuple(golden))
    if said["source"] == COPY:
        return _draft(said["copied"])
    return None


def _draft(flow: Flow) -> Package:
    try:
        return Package(parse_flow(flow.draft), _golden(flow))
    except FlowError as error:
        raise DomainError(_("The draft of this flow cannot be read.")) from error


# --- From a file -------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
def import_file(request: StaffRequest, flow_id: int | None = None) -> HttpResponse:
    """Show what a file has and what it misses here; then it becomes the draft, never more."""
    flow = None if flow_id is None else flow_of(request, flow_id)
    if flow is None and not request.user.has_perm("chatbot.add_flow"):
        raise PermissionDenied
    if request.method == "GET":
        if flow is None:
            return redirect("admin:chatbot_flow_add")
        return _upload(request, flow)
    text = request.POST.get("text", "")
    try:
        uploaded = request.FILES.get("file")
        package = exchange.read(_content(uploaded) if uploaded else text)
    except BadFile as bad:
        return _upload(request, flow, bad.reasons, text)
    given = {key: str(value) for key, value in request.POST.items()}
    if given.get("do") == "save":
        return _save(request, flow, package, given)
    return _preview(request, flow, package, given, name=given.get("name", ""))


def _save(
    request: StaffRequest, flow: Flow | None, package: Package, given: dict[str, str]
) -> HttpResponse:
    arriving = Import(package, user=request.user, flow=flow, chosen=given)
    try:
        saved = arriving.save(
            name=given.get("name", "").strip()[:80],
            revision=whole(given.get("revision"), most=COUNT) or 0,
            with_golden="golden" in given,
        )
    except DraftConflict as conflict:
        more = {"conflict": conflict.message, "revision": conflict.revision}
        return _preview(request, flow, package, given, name=given.get("name", ""), **more)
    except DomainError as refusal:
        more = {"refusals": [refusal.message]}
        return _preview(request, flow, package, given, name=given.get("name", ""), **more)
    _log(request, saved, _("Imported from a file."), CHANGE if flow else ADDITION)
    messages.success(request, _("The file is the draft now. Nothing is on air before you publish."))
    return redirect("admin:chatbot_flow_change", saved.pk)


def _preview(
    request: StaffRequest,
    flow: Flow | None,
    package: Package,
    given: dict[str, str],
    *,
    name: str,
    **more: Any,
) -> TemplateResponse:
    arriving = Import(package, user=request.user, flow=flow, chosen=given)
    context = {
        "flow": flow,
        "arriving": arriving,
        "counted": list(counted(package.document)),
        "name": name or package.document.name,
        "revision": flow.draft_revision if flow else 0,
        "with_golden": "golden" in given or "do" not in given,
        "title": flow.name if flow else _("New flow"),
        "part": "import",
        **more,
    }
    return _answer(request, "chatbot/flow/import_preview.html", context)


def _upload(
    request: StaffRequest, flow: Flow | None, reasons: tuple[str, ...] = (), text: str = ""
) -> TemplateResponse:
    context = {
        "flow": flow,
        "reasons": reasons,
        "text": text,
        "most": exchange.MOST_BYTES // 1000,
        "title": flow.name if flow else _("New flow"),
        "part": "import",
    }
    return _answer(request, "chatbot/flow/import.html", context)


def _content(uploaded: Any) -> bytes:
    """No more of it than shows that it is too large."""
    return bytes(uploaded.read(exchange.MOST_BYTES + 1))


# --- Into a file -------------------------------------------------------------------------------


@require_GET
def export(request: StaffRequest, flow_id: int) -> HttpResponse:
    """The draft or a version as a file; without a format, the page where it is chosen."""
    flow = flow_of(request, flow_id)
    fmt = request.GET.get("format", "")
    if fmt not in exchange.FORMATS:
        versions = FlowVersion.objects.visible_to(request.user).filter(flow=flow)
        numbers = versions.published().order_by("-number").values_list("pk", "number")
        context = {"flow": flow, "versions": numbers[:50], "title": flow.name, "part": "export"}
        return _answer(request, "chatbot/flow/export.html", context)
    try:
        package, label = _exported(request, flow)
    except FlowError:
        messages.error(request, _("This document cannot be read by this version of the program."))
        return redirect("flow_export", flow.pk)
    audit.acted(flow, audit.EXPORTED, query=request.GET.urlencode())
    response = HttpResponse(exchange.write(package, fmt), content_type=exchange.FORMATS[fmt])
    name = f"{flow.slug}-{label}.{fmt}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _exported(request: StaffRequest, flow: Flow) -> tuple[Package, str]:
    wanted = whole(request.GET.get("document"))
    if wanted is not None:
        versions = FlowVersion.objects.visible_to(request.user).filter(flow=flow).published()
        version = get_object_or_404(versions, pk=wanted)
        document, label = parse_flow(version.document), version.label
    else:
        document, label = with_subflows(parse_flow(flow.draft)), "rascunho"
    if "subflows" not in request.GET:
        document = document.model_copy(update={"subflows": {}})
    return Package(document, _golden(flow)), label


def _golden(flow: Flow) -> tuple[dict[str, Any], ...]:
    rows = flow.golden_conversations.order_by("name")
    return tuple({**row.conversation, "name": row.name} for row in rows)


def _log(request: StaffRequest, flow: Flow, said: str, flag: int) -> None:
    LogEntry.objects.log_actions(  # door: the history of a flow that the person sees
        request.user.pk, [flow], flag, said, single_object=True
    )


def _answer(request: StaffRequest, template: str, context: dict[str, Any]) -> TemplateResponse:
    return TemplateResponse(request, template, {**admin.site.each_context(request), **context})
