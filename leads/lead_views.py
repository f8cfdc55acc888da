"""What is done on the page of a lead: each a POST that also works without a script."""

from __future__ import annotations

from copy import copy
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import reswap, retarget, trigger_client_event

from leads import changes, documents, duplicates, lead_page, services
from leads.changes import Change
from leads.models import Lead, LeadStatus, Tag
from users.console import log_reveal, toast
from users.contact import EMAIL, PHONE, RULES, hides
from users.errors import DomainError
from users.masking import hint
from users.permissions import person

CONSOLE = "console"  # the origin of what is recorded here
CHANGED = "lead-changed"  # the timeline listens to it
NUMBER_DIGITS = 18  # of a bigint


@require_POST
def field(request: HttpRequest, lead_id: int, name: str) -> HttpResponse:
    """One field, validated by the form of the page. What is refused leaves the old value."""
    lead = _lead(request, lead_id)
    form_class = _form_class(request, lead, name)
    before = changes.value_of(lead, name)
    form = form_class(request.POST, instance=copy(lead))
    errors: list[str] = [str(error) for error in form.errors.get(name, ())]
    if form.is_valid() and name in form.changed_data:
        try:
            _console().save_model(request, form.instance, form, change=True)
            _console().log_change(request, lead, [{"changed": {"fields": [_label(form, name)]}}])
        except DomainError as refusal:
            errors = [refusal.message]
    lead.refresh_from_db()
    change = Change(name, before, changes.value_of(lead, name))
    said = _("Saved: %(field)s") % {"field": _label(form, name)}
    if not _is_htmx(request):
        return _back(request, lead, errors, said)
    context = {
        "lead": lead,
        "field": _field_after(form, form_class, lead, name),
        "errors": errors,
        "is_saved": not errors,
        **_document(lead, is_shown=bool(errors)),
    }
    answer = TemplateResponse(request, "leads/_field_saved.html", context)
    return answer if errors else _told(request, answer, lead, change, said)


def _field_after(form: Any, form_class: Any, lead: Lead, name: str) -> Any:
    """With the stored value, or, where that is hidden and was not shown, with what was typed."""
    is_hidden = name in RULES and hides(name)
    return form[name] if is_hidden and form.errors else form_class(instance=lead)[name]


@require_POST
def undo(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Take a change back that a toast told of."""
    lead = _lead(request, lead_id)
    try:
        changes.take_back(
            request.session,
            lead,
            request.GET.get("change", ""),
            actor=person(request),
            at=timezone.now(),
        )
    except DomainError as refusal:
        answer = HttpResponse(status=204)
        return toast(answer, refusal.message)
    answer = HttpResponse(status=204)
    answer["HX-Refresh"] = "true"
    return answer


@require_http_methods(["GET", "POST"])
def stage(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Move in the funnel. Backwards, and out of it, only once it is confirmed."""
    lead = _lead(request, lead_id)
    wanted = request.POST.get("status", "")
    if request.method == "GET":
        return redirect(_page(lead))
    if wanted not in LeadStatus.values:
        raise Http404
    reason = request.POST.get("reason", "").strip()
    is_confirmed = bool(request.POST.get("confirmed"))
    if not is_confirmed and lead_page.is_backward(lead.status, wanted):
        return _ask_for_stage(request, lead, LeadStatus(wanted))
    if wanted == LeadStatus.LOST and not reason:
        error = _("Say why this lead is lost.")
        return _ask_for_stage(request, lead, LeadStatus(wanted), error if is_confirmed else "")
    change = Change(changes.STATUS, lead.status, wanted)
    services.update_lead(lead, status=wanted, actor=person(request), reason=reason)
    if not _is_htmx(request):
        return redirect(_page(lead))
    context = {"lead": lead, "funnel": lead_page.funnel_of(lead), "may_change_stage": True}
    answer = TemplateResponse(request, "leads/_funnel.html", context)
    return _told(
        request, answer, lead, change, _("Stage: %(stage)s") % {"stage": LeadStatus(wanted).label}
    )


@require_POST
def note(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Write something about the lead; only the team sees it."""
    lead = _lead(request, lead_id)
    if not request.user.has_perm("leads.add_note"):
        raise PermissionDenied
    text, error = request.POST.get("text", ""), ""
    try:
        services.add_note(lead, author=person(request), text=text)
    except DomainError as refusal:
        error = refusal.message
    if not _is_htmx(request):
        return _back(request, lead, [error] if error else [], _("Note saved"))
    context = {"lead": lead, "error": error, "text": text if error else ""}
    answer = TemplateResponse(request, "leads/_note_form.html", context)
    if error:
        return answer
    return trigger_client_event(toast(answer, _("Note saved")), CHANGED, after="settle")


@require_POST
def tags(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Put a tag on, or take one off. Who may not make tags chooses among those there are."""
    lead = _lead(request, lead_id)
    added, removed = request.POST.get("add", "").strip(), request.POST.get("remove", "").strip()
    error = ""
    try:
        if added:
            _require_known_tag(request, added)
            services.update_lead(lead, add_tags=[added], actor=person(request))
        if removed:
            services.update_lead(lead, remove_tags=[removed], actor=person(request))
    except DomainError as refusal:
        error = refusal.message
    if not _is_htmx(request):
        return _back(request, lead, [error] if error else [])
    context = {
        "lead": lead,
        "tags_shown": lead_page.tags_of(lead),
        "error": error,
        "may_change": True,
    }
    return TemplateResponse(request, "leads/_tags.html", context)


@require_POST
def contact(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Stop offers, or let them go again with the reason."""
    lead, at = _lead(request, lead_id), timezone.now()
    try:
        if request.POST.get("offers") == "no":
            text = request.POST.get("reason", "")
            services.opt_out(lead, text=text, origin=CONSOLE, at=at)
        else:
            services.opt_in_by_staff(
                lead,
                reason=request.POST.get("reason", ""),
                actor=person(request),
                origin=CONSOLE,
                at=at,
            )
    except DomainError as refusal:
        return _back(request, lead, [refusal.message])
    return _back(request, lead, [], _("Saved"))


@require_POST
def reveal(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Show the CPF or CNPJ, or the attribute of the `name` that is posted; the lead's history
    remembers who looked."""
    lead = _lead(request, lead_id)
    if (name := request.POST.get("name", "")) in RULES:
        return _reveal_contact(request, lead, name)
    if "name" in request.POST:
        return _reveal_attribute(request, lead, request.POST["name"])
    log_reveal(request, lead, name=gettext_lazy("CPF or CNPJ"))
    context = {"lead": lead, **_document(lead, is_shown=True)}
    if _is_htmx(request):
        return TemplateResponse(request, "leads/_document.html", context)
    context |= {**admin.site.each_context(request), "title": str(lead), "opts": Lead._meta}
    return TemplateResponse(request, "leads/document.html", context)


def _reveal_contact(request: HttpRequest, lead: Lead, name: str) -> HttpResponse:
    """The phone or e-mail: as a field to edit on the lead's page (`place`), else as it is."""
    label = lead_page.HIDDEN_LABELS[name]
    value = {PHONE: lead.phone or lead.channel_number, EMAIL: lead.email}[name]
    log_reveal(request, lead, name=label)
    if not _is_htmx(request):
        messages.info(request, f"{label}: {value}")
        return redirect(request.POST["next"] if _is_ours(request) else _page(lead))
    context: dict[str, Any] = {
        "lead": lead,
        "label": label,
        "value": value,
        "is_phone": name == "phone",
    }
    is_field = request.POST.get("place") == "field" and name in _console().one_by_one(request, lead)
    if not is_field:
        context["in_field"] = request.POST.get("place") == "field"
        return TemplateResponse(request, "leads/_contact_shown.html", context)
    context["field"] = _form_class(request, lead, name)(instance=lead)[name]
    return TemplateResponse(request, "leads/_field.html", context)


def _is_ours(request: HttpRequest) -> bool:
    page = request.POST.get("next", "")
    hosts = {request.get_host()}
    return url_has_allowed_host_and_scheme(page, hosts, require_https=request.is_secure())


def _reveal_attribute(request: HttpRequest, lead: Lead, name: str) -> HttpResponse:
    if name not in lead.hidden_attributes:
        raise Http404
    log_reveal(request, lead, name=name)
    shown = lead_page.attribute_of(lead, name, is_shown=True)
    if _is_htmx(request):
        context = {"lead": lead, "attribute": shown}
        return TemplateResponse(request, "leads/_attribute.html", context)
    messages.info(request, f"{shown.name}: {shown.value}")
    return redirect(_page(lead))


@require_http_methods(["GET", "POST"])
def merge(request: HttpRequest, lead_id: int) -> HttpResponse:
    """Two leads that are one person: find the other, compare, choose which one stays."""
    lead = _lead(request, lead_id)
    # Deleting one of two is what a merge does, so who may not delete may not merge.
    if not request.user.has_perm("leads.delete_lead"):
        raise PermissionDenied
    visible = Lead.objects.visible_to(request.user)
    other = _other(request, lead)
    if request.method == "POST" and other is not None:
        return _merge(request, lead, other)
    text = request.GET.get("q", "").strip()
    others = visible.live().filter(is_simulated=lead.is_simulated).exclude(pk=lead.pk)
    winner, loser = (lead, other) if request.GET.get("keep") != "other" else (other, lead)
    context = {
        **admin.site.each_context(request),
        "title": _("Merge a duplicate"),
        "opts": Lead._meta,
        "lead": lead,
        "other": other,
        "keeps_other": winner is not None and winner.pk != lead.pk,
        "winner": winner,
        "loser": loser,
        "rows": duplicates.differences(winner, loser) if winner and loser else [],
        "candidates": duplicates.duplicates_of(lead, visible),
        "query": text,
        "found": others.matching(text).order_by("-id")[: duplicates.MOST] if text else [],
    }
    return TemplateResponse(request, "leads/merge.html", context)


def _merge(request: HttpRequest, lead: Lead, other: Lead) -> HttpResponse:
    winner, loser = (other, lead) if request.POST.get("keep") == "other" else (lead, other)
    query = {"other": other.pk, **({"keep": "other"} if winner == other else {})}
    if not request.POST.get("confirmed"):
        messages.error(request, _("Confirm that both are the same person."))
        return redirect(reverse("admin:leads_lead_merge", args=[lead.pk], query=query))
    try:
        services.merge_leads(winner, loser, actor=person(request))
    except DomainError as refusal:
        messages.error(request, refusal.message)
        return redirect(reverse("admin:leads_lead_merge", args=[lead.pk], query=query))
    _console().log_change(request, winner, _("Merged with %(lead)s.") % {"lead": loser})
    messages.success(request, _("Both are %(lead)s now.") % {"lead": winner})
    return redirect(_page(winner))


def _other(request: HttpRequest, lead: Lead) -> Lead | None:
    wanted = (request.POST if request.method == "POST" else request.GET).get("other", "")
    if not (wanted.isascii() and wanted.isdigit() and len(wanted) <= NUMBER_DIGITS):
        return None
    others = Lead.objects.visible_to(request.user).live().exclude(pk=lead.pk)
    return get_object_or_404(others, pk=wanted)


# --- Parts -------------------------------------------------------------------------------------


def _lead(request: HttpRequest, lead_id: int) -> Lead:
    """The lead, if the person may see it and it can still be changed."""
    lead = get_object_or_404(Lead.objects.visible_to(request.user), pk=lead_id)
    if not _console().has_change_permission(request, lead):
        raise PermissionDenied
    return lead


def _console() -> Any:
    return admin.site.get_model_admin(Lead)


def _form_class(request: HttpRequest, lead: Lead, name: str) -> Any:
    """The page's form with this field alone; 404 for what the person may not change there."""
    if name not in _console().one_by_one(request, lead):
        raise Http404
    return _console().get_form(request, lead, change=True, fields=[name])


def _document(lead: Lead, *, is_shown: bool) -> dict[str, Any]:
    """The CPF or CNPJ as the page shows it: whole only when it was asked for."""
    return {
        "document": hint(lead.document),
        "shown_document": documents.written(lead.document),
        "is_shown": is_shown,
        "may_change_document": True,
    }


def _label(form: Any, name: str) -> str:
    return str(capfirst(form.fields[name].label))


def _told(
    request: HttpRequest, answer: HttpResponse, lead: Lead, change: Change, text: str
) -> HttpResponse:
    """With the toast that takes the change back, and news for the timeline."""
    if change.is_none:
        return answer
    word = changes.remember(request.session, lead, change, at=timezone.now())
    url = reverse("admin:leads_lead_undo", args=[lead.pk], query={"change": word})
    return trigger_client_event(toast(answer, text, undo_url=url), CHANGED, after="settle")


def _ask_for_stage(
    request: HttpRequest, lead: Lead, wanted: LeadStatus, error: str = ""
) -> HttpResponse:
    context = {
        **admin.site.each_context(request),
        "title": str(lead),
        "opts": Lead._meta,
        "lead": lead,
        "wanted": wanted,
        "is_lost": wanted == LeadStatus.LOST,
        "error": error,
    }
    if not _is_htmx(request):
        return TemplateResponse(request, "leads/stage.html", context)
    answer = TemplateResponse(request, "leads/_stage_form.html", context)
    return reswap(retarget(answer, "#lead-dialog"), "innerHTML")


def _require_known_tag(request: HttpRequest, name: str) -> None:
    known = Tag.objects.filter(name__iexact=name)  # door: tags are words that everybody uses
    if not request.user.has_perm("leads.add_tag") and not known.exists():
        raise services.LeadRefusal(
            _("There is no tag of this name. An administrator can make it."), code="unknown_tag"
        )


def _back(request: HttpRequest, lead: Lead, errors: list[str], done: str = "") -> HttpResponse:
    for error in errors:
        messages.error(request, error)
    if done and not errors:
        messages.success(request, done)
    return redirect(_page(lead))


def _page(lead: Lead) -> str:
    return reverse("admin:leads_lead_change", args=[lead.pk])


def _is_htmx(request: HttpRequest) -> bool:
    return bool(request.htmx)  # type: ignore[attr-defined]  # set by its middleware
