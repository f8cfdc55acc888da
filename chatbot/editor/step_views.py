"""The form of a passo and what can be done to it; undo and redo.

Each address is a page of its own; asked for by htmx, it is a part for `#step-panel`. Whatever
changed the draft says so to the page around it by the event `flow-changed`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from chatbot import flows_service
from chatbot.editor import history, operations
from chatbot.editor.elements import everything
from chatbot.editor.known import Known, drawn, kind_cards, kind_label
from chatbot.editor.operations import CutOff, EditRefused, Json
from chatbot.editor.step_forms import StepForm, differences
from chatbot.engine.nodes import FlowDocument, FlowError, parse_flow
from chatbot.findings import Finding, check_document, why_unreadable
from chatbot.flow_map import exit_label
from chatbot.flows_service import DraftConflict, NothingToUndo
from chatbot.models import Flow
from chatbot.requests import StaffRequest
from users.digits import COUNT, whole
from users.errors import DomainError

HEADING = "step-heading"


@dataclass
class Desk:
    """A request about one flow, its draft and what is known around it."""

    request: StaffRequest
    flow: Flow
    document: FlowDocument

    @classmethod
    def of(cls, request: StaffRequest, flow_id: int) -> Desk:
        """Whoever changes the draft does so under the lock of its row: what is compared is what is
        changed. Nothing is joined, since a joined row would be as it was before the wait."""
        flows = Flow.objects.visible_to(request.user)
        if request.method == "POST":
            flows = flows.select_for_update(no_key=True)
        flow = get_object_or_404(flows, pk=flow_id)
        return cls(request, flow, parse_flow(flow.draft))

    @property
    def known(self) -> Known:
        return Known(self.document, self.request.user)

    @property
    def is_stale(self) -> bool:
        return self.asked_revision != self.flow.draft_revision

    @property
    def asked_revision(self) -> int:
        data = self.request.POST or self.request.GET
        text = data.get("revision", "") or self.request.GET.get("revision", "")
        given = whole(text, most=COUNT)
        return -1 if given is None else given

    @property
    def who(self) -> str:
        """Who saved the draft last, when it was somebody else."""
        by = self.flow.draft_saved_by
        return str(by) if by and by != self.request.user else ""

    def title_of(self, node_id: str) -> str:
        node = self.document.nodes.get(node_id)
        return (node.title if node else "") or node_id

    def save(self, draft: Json, said: Json) -> None:
        """Store the draft, unless it is the one that is stored."""
        if draft == self.flow.draft:
            return
        revision = self.flow.draft_revision
        user = self.request.user
        flows_service.save_draft(self.flow, draft, user=user, revision=revision, said=said)
        self.document = parse_flow(self.flow.draft)

    # -- answers

    def answer(self, page: str, title: str, **more: Any) -> TemplateResponse:
        """A part for the panel, or the same on a page of its own."""
        context = {
            "flow": self.flow,
            "revision": self.flow.draft_revision,
            "part": f"chatbot/editor/_{page}.html",
            "title": title,
            "heading": HEADING,
            **more,
        }
        if self.request.htmx:
            context["history"] = history.doable(self.flow, self.request.user)
            return TemplateResponse(self.request, "chatbot/editor/_panel.html", context)
        context["history"] = history.doable(self.flow, self.request.user)
        context |= admin.site.each_context(self.request)
        return TemplateResponse(
            self.request, "chatbot/editor/page.html", context | {"title": title}
        )

    def changed(self, response: HttpResponse, text: str, node_id: str = "") -> HttpResponse:
        """Tell the page around the panel that the draft is another one now."""
        events: Json = {
            "flow-changed": {"revision": self.flow.draft_revision, "node": node_id, "by": "panel"},
            "toast": {"text": text},
        }
        response["HX-Trigger"] = json.dumps(events)
        return response

    def url(self, name: str, *args: str) -> str:
        return reverse(name, args=[self.flow.pk, *args])

    def back(self) -> HttpResponseRedirect:
        """To where the request came from, if it says so; else to the flow."""
        wanted = self.request.POST.get("back", "")
        is_ours = url_has_allowed_host_and_scheme(
            wanted, {self.request.get_host()}, require_https=self.request.is_secure()
        )
        return HttpResponseRedirect(wanted if is_ours else _flow_url(self.flow))


def _elsewhere(request: StaffRequest, url: str) -> HttpResponse:
    if request.htmx:
        return HttpResponse(headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)


def _flow_url(flow: Flow) -> str:
    return reverse("admin:chatbot_flow_change", args=[flow.pk])


def _desk(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view of one flow whose draft can be read; one that cannot is mended as JSON."""

    def wrapped(request: StaffRequest, flow_id: int, **more: Any) -> HttpResponse:
        try:
            with transaction.atomic():
                return view(Desk.of(request, flow_id), **more)
        except FlowError as error:
            about = {"why": why_unreadable(error)}
            messages.error(request, _("The draft cannot be read: %(why)s") % about)
        url = reverse("admin:chatbot_flow_change", args=[flow_id])
        return _elsewhere(request, url)

    return wrapped


# --- The form of a passo -----------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@_desk
def step(desk: Desk, node_id: str) -> HttpResponse:
    """Show and save one passo. A button that changes rows, or a field that others depend on, shows
    the form again and saves nothing."""
    if desk.request.method == "POST":
        return _posted(desk, node_id)
    node = desk.flow.draft.get("nodes", {}).get(node_id)
    if node is None:
        raise Http404
    return _form_page(desk, StepForm(desk.document, node_id, node, desk.known), base=node)


def _posted(desk: Desk, node_id: str) -> HttpResponse:
    data = desk.request.POST
    stored = desk.flow.draft.get("nodes", {}).get(node_id)
    kind = data.get("kind", "")
    if kind not in operations.KINDS:
        raise Http404
    verb = data.get("do", "save")
    base = _json(data.get("base", ""))
    form = StepForm.posted(desk.document, node_id, kind, desk.known, data)
    if verb != "save":
        return _rows_changed(desk, form, stored, verb, base)
    return _save(desk, node_id, kind, base)


def _rows_changed(
    desk: Desk, form: StepForm, stored: Json | None, verb: str, base: Json | None
) -> HttpResponse:
    action, _colon, name = verb.partition(":")
    if action == "take" and stored is not None:
        form.take(name, StepForm(desk.document, form.node_id, stored, desk.known))
    else:
        form.do(verb)
    focus = _focus_after(form, action, name)
    if desk.request.POST.get("before"):
        return _conflict(desk, form, stored, _json(desk.request.POST["before"]), focus=focus)
    asked = desk.asked_revision
    return _form_page(desk, form, base=base, revision=asked, focus=focus, is_touched=True)


def _focus_after(form: StepForm, action: str, name: str) -> str:
    if action == "add":
        keys = form.raw.rows(name)
        inside = (
            one
            for one in everything(form.elements)
            if keys and one.name.startswith(f"{name}.{keys[-1]}.")
        )
        first = next(inside, None)
        return f"step-{first.name}" if first else ""
    if action == "remove":
        return f"step-{name.rpartition('.')[0]}-add"
    return f"step-{name}-{action}" if action in ("up", "down") else ""


def _save(desk: Desk, node_id: str, kind: str, base: Json | None) -> HttpResponse:
    """Onto the draft as it is now. Somebody else's work on other passos stays; on the same one,
    both are shown."""
    stored = desk.flow.draft.get("nodes", {}).get(node_id)
    form = StepForm.posted(desk.document, node_id, kind, desk.known, desk.request.POST)
    if stored != base and desk.is_stale:
        return _conflict(desk, form, stored, base)
    is_merged = desk.is_stale
    try:
        draft, new_id = form.saved_into(desk.flow.draft)
    except (FlowError, EditRefused):
        return _form_page(desk, form, base=base, revision=desk.asked_revision)
    is_changed = draft != desk.flow.draft
    title = draft["nodes"][new_id].get("title") or new_id
    desk.save(draft, {"code": "step_changed", "step": title})
    return _saved(desk, node_id, new_id, is_changed=is_changed, is_merged=is_merged)


def _saved(
    desk: Desk, node_id: str, new_id: str, *, is_changed: bool, is_merged: bool
) -> HttpResponse:
    told = _("Saved.") if is_changed else _("Nothing has changed.")
    merged = _merged_words() if is_merged and is_changed else ""
    text = " ".join(filter(None, [told, merged]))
    if not desk.request.htmx:
        messages.success(desk.request, text)
        return HttpResponseRedirect(desk.url("flow_step", new_id))
    node = desk.flow.draft["nodes"][new_id]
    form = StepForm(desk.document, new_id, node, desk.known)
    response = _form_page(desk, form, base=node, told=merged, focus="step-save")
    if new_id != node_id and desk.request.htmx.current_url_abs_path == desk.url(
        "flow_step", node_id
    ):
        response["HX-Replace-Url"] = desk.url("flow_step", new_id)
    return desk.changed(response, text, new_id)


def _merged_words() -> str:
    return _(
        "Somebody else has changed other steps in the meantime. Their work and yours are both kept."
    )


def _form_page(  # noqa: PLR0913  # keyword-only
    desk: Desk,
    form: StepForm,
    *,
    base: Json | None,
    revision: int | None = None,
    focus: str = "",
    told: str = "",
    **more: Any,
) -> HttpResponse:
    if not form.has_errors and "conflict" not in more:
        form.tell_findings(_findings(desk))
    bad = next((one for one in everything(form.elements) if one.told.errors), None)
    if form.has_errors:
        focus = f"step-{bad.name}" if bad else "step-errors"
    icon, tone = drawn(form.kind)
    context: dict[str, Any] = {
        "form": form,
        "base": json.dumps(base, ensure_ascii=False),
        "focus": focus or HEADING,
        "icon": icon,
        "tone": tone,
        "told": told,
        "kinds": form.known.new_kinds,
        "variables": form.known.variables_shown,
        "is_start": form.node_id == desk.document.start,
        **more,
    }
    if revision is not None and revision >= 0:
        context["revision"] = revision
    return desk.answer("step_form", form.title, **context)


def _findings(desk: Desk) -> list[Finding]:
    around = flows_service.surroundings()
    return check_document(flows_service.with_subflows(desk.document), around)


# --- Two people at the same passo --------------------------------------------------------------


def _conflict(
    desk: Desk, mine: StepForm, stored: Json | None, before: Json | None, *, focus: str = ""
) -> HttpResponse:
    """Both texts side by side; the form below holds mine and replaces theirs when it is saved."""
    kind = {"kind": mine.kind}
    is_other_kind = stored is not None and stored["kind"] != mine.kind
    theirs = StepForm(desk.document, mine.node_id, stored or kind, desk.known)
    first = None
    if before is not None and before.get("kind") == mine.kind:
        first = StepForm(desk.document, mine.node_id, before, desk.known)
    found = [] if stored is None or is_other_kind else differences(mine, theirs, first)
    return _form_page(
        desk,
        mine,
        base=stored,
        focus=focus or "step-conflict",
        conflict={
            "who": desk.who,
            "is_deleted": stored is None,
            "is_other_kind": is_other_kind,
            "differences": found,
            "knows_before": first is not None,
        },
        before=json.dumps(before, ensure_ascii=False),
    )


def _json(text: str) -> Json | None:
    try:
        value = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, dict) and isinstance(value.get("kind"), str) else None


# --- New passos --------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@_desk
def add(desk: Desk) -> HttpResponse:
    """A new passo that nothing leads to yet; with `origin` and `exit`, one at that exit."""
    origin = (desk.request.POST or desk.request.GET).get("origin", "")
    if origin:
        return _insert(desk, origin)

    def act(draft: Json, kind: str, title: str) -> tuple[Json, str, Json]:
        changed, node_id = operations.add(draft, kind, title)
        return changed, node_id, {"code": "step_added", "step": title}

    return _make(desk, act, heading=_("New step"), action=desk.url("flow_step_add"))


@require_http_methods(["GET", "POST"])
@_desk
def insert(desk: Desk, node_id: str) -> HttpResponse:
    """A new passo between an exit and where it leads; at the end of one that leads nowhere."""
    return _insert(desk, node_id)


def _insert(desk: Desk, node_id: str) -> HttpResponse:
    data = desk.request.POST if desk.request.method == "POST" else desk.request.GET
    exit_name = data.get("exit", "")
    node = desk.document.nodes.get(node_id)
    exits = {one.name: one.target for one in node.exits()} if node else {}
    if node is None or exit_name not in exits:
        raise Http404
    target = exits[exit_name]
    title_of_target = desk.title_of(target) if target else ""

    def act(draft: Json, kind: str, title: str) -> tuple[Json, str, Json]:
        if not target:
            changed, new_id = operations.add_after(draft, node_id, exit_name, kind, title)
            return changed, new_id, {"code": "step_added", "step": title}
        changed, new_id = operations.insert(draft, node_id, exit_name, kind, title)
        said = {"code": "step_inserted", "step": title, "target": title_of_target}
        return changed, new_id, said

    return _make(
        desk,
        act,
        heading=_("New step here"),
        action=desk.url("flow_step_insert", node_id),
        exit=exit_name,
        target=target,
        origin_title=desk.title_of(node_id),
        exit_label=exit_label(node, exit_name),
        target_title=title_of_target,
        only=set(operations.ONWARD) if target else None,
        is_moved=data.get("target", target) != target,
    )


def _make(  # noqa: PLR0913  # keyword-only
    desk: Desk,
    act: Callable[[Json, str, str], tuple[Json, str, Json]],
    *,
    heading: str,
    action: str,
    only: set[str] | None = None,
    is_moved: bool = False,
    **more: Any,
) -> HttpResponse:
    data = desk.request.POST
    error = ""
    if desk.request.method == "POST":
        if is_moved:
            error = _("Somebody else has changed this exit in the meantime. Look again.")
        else:
            made = _made(desk, act, only)
            if isinstance(made, HttpResponse):
                return made
            error = made
    cards = [card for card in kind_cards() if only is None or card[0] in only]
    chosen = data.get("new_kind") or desk.request.GET.get("kind") or "send"
    return desk.answer(
        "step_new",
        heading,
        heading_text=heading,
        action=action,
        cards=cards,
        chosen=chosen,
        typed_title=data.get("new_title", ""),
        error=error,
        **more,
    )


def _made(
    desk: Desk, act: Callable[[Json, str, str], tuple[Json, str, Json]], only: set[str] | None
) -> HttpResponse | str:
    """The answer to a new passo, or why there is none."""
    kind = desk.request.POST.get("new_kind", "")
    if kind not in operations.KINDS or (only is not None and kind not in only):
        return _("Choose a kind of step.")
    title = desk.request.POST.get("new_title", "").strip()[:200] or kind_label(kind)
    try:
        draft, node_id, said = act(desk.flow.draft, kind, title)
        desk.save(draft, said)
    except DomainError as refusal:
        return refusal.message
    return _opened(desk, node_id, _("“%(step)s” added.") % {"step": title})


def _opened(desk: Desk, node_id: str, text: str) -> HttpResponse:
    """The form of a passo that has just been made."""
    if not desk.request.htmx:
        messages.success(desk.request, text)
        return HttpResponseRedirect(desk.url("flow_step", node_id))
    node = desk.flow.draft["nodes"][node_id]
    form = StepForm(desk.document, node_id, node, desk.known)
    response = _form_page(desk, form, base=node, focus="step-title")
    if desk.request.htmx.current_url_abs_path and "/step" in desk.request.htmx.current_url_abs_path:
        response["HX-Push-Url"] = desk.url("flow_step", node_id)
    return desk.changed(response, text, node_id)


@require_POST
@_desk
def duplicate(desk: Desk, node_id: str) -> HttpResponse:
    if node_id not in desk.document.nodes:
        raise Http404
    before = desk.title_of(node_id)
    title = (_("%(step)s (copy)") % {"step": before})[:200]
    draft, new_id = operations.duplicate(desk.flow.draft, node_id, title)
    desk.save(draft, {"code": "step_copied", "step": before})
    return _opened(desk, new_id, _("“%(step)s” added.") % {"step": title})


# --- Deleting ----------------------------------------------------------------------------------


@require_http_methods(["GET", "POST"])
@_desk
def delete(desk: Desk, node_id: str) -> HttpResponse:
    """Say what would be cut off; then do it, unless that has changed in the meantime."""
    if node_id not in desk.document.nodes:
        raise Http404
    cut = operations.cut_off(desk.flow.draft, node_id)
    is_moved = False
    if desk.request.method == "POST":
        is_moved = desk.request.POST.get("seen") != _seen(desk, node_id, cut)
        if not is_moved:
            return _deleted(desk, node_id, cut)
    title = desk.title_of(node_id)
    return desk.answer(
        "step_delete",
        _("Delete “%(step)s”?") % {"step": title},
        node_id=node_id,
        step_title=title,
        cut=cut,
        cuts=[_cut_in_words(desk, one) for one in cut.cuts],
        unreachable=[desk.title_of(one) for one in cut.unreachable],
        if_bridged=[desk.title_of(one) for one in cut.unreachable_if_bridged],
        successor=desk.title_of(cut.successor) if cut.successor else "",
        is_start=node_id == desk.document.start,
        seen=_seen(desk, node_id, cut),
        is_moved=is_moved,
    )


def _deleted(desk: Desk, node_id: str, cut: CutOff) -> HttpResponse:
    title = desk.title_of(node_id)
    bridge = bool(desk.request.POST.get("bridge")) and bool(cut.successor)
    draft = operations.delete(desk.flow.draft, node_id, bridge=bridge)
    desk.save(draft, {"code": "step_deleted", "step": title})
    text = _("“%(step)s” deleted.") % {"step": title}
    if not desk.request.htmx:
        messages.success(desk.request, text)
        return HttpResponseRedirect(_flow_url(desk.flow))
    return desk.changed(desk.answer("step_gone", text, text=text), text)


def _cut_in_words(desk: Desk, cut: operations.Cut) -> str:
    if not cut.origin:
        return _("the word “%(word)s”, which works anywhere") % {"word": cut.exit}
    label = exit_label(desk.document.nodes[cut.origin], cut.exit)
    title = desk.title_of(cut.origin)
    return f"{title} · {label}" if label else title


def _seen(desk: Desk, node_id: str, cut: CutOff) -> str:
    """What somebody agreed to: the passo and everything that goes with it."""
    agreed = json.dumps([desk.flow.draft["nodes"][node_id], repr(cut)], sort_keys=True)
    return hashlib.sha256(agreed.encode()).hexdigest()[:16]


# --- Undo and redo -----------------------------------------------------------------------------


@require_POST
@_desk
def undo(desk: Desk) -> HttpResponse:
    return _travel(desk, flows_service.undo, _("Undone: %(what)s."))


@require_POST
@_desk
def redo(desk: Desk) -> HttpResponse:
    return _travel(desk, flows_service.redo, _("Done again: %(what)s."))


def _travel(desk: Desk, act: Callable[..., Any], sentence: str) -> HttpResponse:
    request = desk.request
    try:
        done = act(desk.flow, user=request.user, revision=desk.asked_revision)
    except DraftConflict:
        text = _(
            "Somebody else has changed the draft in the meantime. Look at what would be undone now."
        )
        return _travelled(desk, text, tone="bad")
    except NothingToUndo as refusal:
        return _travelled(desk, refusal.message, tone="bad")
    text = sentence % {"what": history.in_words(done.said)}
    return _travelled(desk, text)


def _travelled(desk: Desk, text: str, *, tone: str = "ok") -> HttpResponse:
    text = capfirst(text)
    if not desk.request.htmx:
        messages.add_message(
            desk.request, messages.SUCCESS if tone == "ok" else messages.WARNING, text
        )
        return desk.back()
    desk.flow.refresh_from_db(fields=["draft_revision"])
    context = {
        "flow": desk.flow,
        "revision": desk.flow.draft_revision,
        "history": history.doable(desk.flow, desk.request.user),
    }
    response = TemplateResponse(desk.request, "chatbot/editor/_history.html", context)
    events = {
        "flow-changed": {"revision": desk.flow.draft_revision, "node": "", "by": "history"},
        "toast": {"text": text, "tone": tone},
    }
    response["HX-Trigger"] = json.dumps(events)
    return response
