"""The simulator's pages and what is done there. Every form works without a script; htmx only saves
the reload."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chatbot.documents import document_of
from chatbot.engine.nodes import FlowDocument, FlowError
from chatbot.findings import why_unreadable
from chatbot.models import Flow, FlowVersion, SimulatedPerson
from chatbot.requests import StaffRequest
from chatbot.simulation import (
    acting,
    clearing,
    goldens,
    passing,
    people,
    travel,
    witnesses,
)
from chatbot.simulation.integrations import Integration, result_from
from chatbot.simulation.panel import Panel, panel_for
from chatbot.simulation.people import SimulatorBusy
from chatbot.simulation.staging import ASK, GIVE, RECORDED, RUN
from users.console import background
from users.digits import whole
from users.errors import DomainError
from users.models import Calendar

SAID = ("text", "kind", "filename", "latitude", "longitude", "message_id", "reply_to")
HOURS, DAYS, MINUTES = "h", "d", "min"
UNITS = {MINUTES: timedelta(minutes=1), HOURS: timedelta(hours=1), DAYS: timedelta(days=1)}
FARTHEST = 100_000  # of any unit; the clock has its own limit

Action = Callable[[Panel, StaffRequest], None]


# --- Pages -------------------------------------------------------------------------------------


@require_GET
def page(request: StaffRequest, flow_id: int | None = None) -> HttpResponse:
    flow = _flow(request, flow_id)
    _catch_up(people.current(request.user, flow))
    panel = panel_for(request, flow)
    context = {
        **admin.site.each_context(request),
        **panel.as_context(),
        "title": _("Simulator"),
        "flows": Flow.objects.visible_to(request.user).filter(is_active=True).only("name"),
    }
    return TemplateResponse(request, "chatbot/simulator.html", context)


@background
@require_GET
def state(request: StaffRequest, flow_id: int | None = None) -> HttpResponse:
    """What has changed since the page last looked: an answer of the team, a wait that is over. What
    has become due by the person's clock happens now: nobody else sees to it."""
    flow = _flow(request, flow_id)
    _catch_up(people.current(request.user, flow))
    panel = panel_for(request, flow, back=request.GET.get("next", ""))
    if panel.seen == request.GET.get("seen"):
        return HttpResponse(status=204)
    return _parts(request, panel)


def clear(request: StaffRequest) -> HttpResponse:
    """Ask, then remove what every simulation of everybody has left."""
    if not request.user.is_admin:
        raise PermissionDenied
    if request.method == "POST":
        clearing.clear()
        messages.success(request, _("The simulator's conversations were removed."))
        return redirect("simulator")
    context = {
        **admin.site.each_context(request),
        "title": _("Clear the simulator's conversations?"),
        "counts": clearing.count(),
    }
    return TemplateResponse(request, "chatbot/simulator_clear.html", context)


def try_finding(request: StaffRequest, flow_id: int) -> HttpResponse:
    """Show a finding of the verification: somebody new does what leads to it. By a link, too: all
    that it makes is a person whom the one who asks plays; but not from another site."""
    flow = get_object_or_404(Flow.objects.visible_to(request.user), pk=flow_id)
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        return redirect("flow_simulator", flow.pk)
    asked = request.POST if request.method == "POST" else request.GET
    try:
        version = _version(flow, asked.get("version", ""))
        document = document_of(version.pk)
        finding = witnesses.finding_of(document, asked.get("finding", ""))
        witnesses.show(request.user, flow, version, document, finding)
    except FlowError as error:
        messages.error(request, why_unreadable(error))
    except DomainError as refusal:
        messages.error(request, str(refusal))
    return redirect("flow_simulator", flow.pk)


# --- What is done ------------------------------------------------------------------------------


def _doing(action: Action) -> Callable[..., HttpResponse]:
    """A view that does something and shows what has become of it. What is refused is said."""

    @require_POST
    def view(request: StaffRequest, flow_id: int | None = None) -> HttpResponse:
        flow = _flow(request, flow_id)
        back = request.POST.get("next", "")
        trouble = ""
        try:
            action(panel_for(request, flow, back=back), request)
        except FlowError as error:
            trouble = why_unreadable(error)
        except DomainError as refusal:
            trouble = str(refusal)
        panel = panel_for(request, flow, back=back, trouble=trouble)
        if request.htmx:
            return _parts(request, panel)
        if trouble:
            messages.error(request, trouble)
        return redirect(panel.back)

    return view


@_doing
def say(panel: Panel, request: StaffRequest) -> None:
    person = _somebody(panel)
    form = {name: request.POST[name] for name in SAID if name in request.POST}
    form |= acting.sent(person, request.POST.get("what", ""))
    if "choice" in request.POST:
        message_id, _colon, option_id = request.POST["choice"].partition(":")
        form |= acting.tapped(person, message_id, option_id)
    if not _says_something(form):
        return
    receipt = acting.say(person, form)
    if not receipt.is_complete:
        raise DomainError(_("The message could not be stored. Try again."))


@_doing
def start_over(panel: Panel, request: StaffRequest) -> None:
    """Another fictitious person, on the document that was chosen, at everybody's time."""
    changes: dict[str, Any] = {"has_phone": "no_phone" not in request.POST}
    if panel.flow is not None:
        changes["version"] = _version(panel.flow, request.POST.get("version", "draft"))
    if panel.person is None:
        people.begin(request.user, panel.flow, **changes)
    else:
        people.begin_again(panel.person, **changes)


@_doing
def again(panel: Panel, request: StaffRequest) -> None:
    """The provider brings the last message once more."""
    if panel.person is None or acting.say_again(panel.person) is None:
        raise DomainError(_("Nothing was said yet that could come twice."))


@_doing
def travel_on(panel: Panel, request: StaffRequest) -> None:
    """Let time pass for this person: so much of it, or up to a moment."""
    person = _somebody(panel)
    seen = _seen(request.POST.get("seen", ""), person)
    now = people.now_of(person)
    holiday = ""
    match request.POST.get("to", ""):
        case "saturday":
            by = travel.next_saturday(now) - now
        case "holiday":
            at, holiday = travel.next_holiday(now, _calendar(request))
            by = at - now
        case "closed":
            by = travel.out_of_hours(now, _calendar(request)) - now
        case _:
            by = _span(request.POST.get("amount", ""), request.POST.get("unit", HOURS))
    if passing.advance(person, by, seen=seen) and holiday:
        people.note(person, "holiday", people.now_of(person), name=holiday)


@_doing
def line(panel: Panel, request: StaffRequest) -> None:
    """The provider goes away, or comes back."""
    acting.cut_line(_somebody(panel), is_away=request.POST.get("is_away") == "1")


@_doing
def result(panel: Panel, request: StaffRequest) -> None:
    """What the integration gives that the run waits for."""
    person, awaited = panel.person, panel.scene.awaited
    task, document = panel.scene.task, panel.scene.document
    is_same = task is not None and str(task.pk) == request.POST.get("task")
    if person is None or awaited is None or task is None or document is None or not is_same:
        raise DomainError(_("Nobody waits for this result any more."))
    how = _how(request, panel, awaited)
    if request.POST.get("always"):
        people.choose(person, awaited.place, _choice(how, request, awaited, document))
    with people.alone(person):
        if how == RUN:
            passing.answer_really(person, task)
        elif how == RECORDED and awaited.recorded is not None:
            passing.answer(person, task, awaited.recorded, how=RECORDED)
        else:
            passing.answer(person, task, result_from(request.POST, awaited, document))
        passing.catch_up(person)


@_doing
def choose(panel: Panel, request: StaffRequest) -> None:
    """What one integration gives from now on."""
    person = _somebody(panel)
    place = request.POST.get("place", "")
    chosen = next((one for one in panel.integrations if one.place == place), None)
    if chosen is None:
        raise DomainError(_("This flow has no such integration."))
    how = _how(request, panel, chosen)
    document = panel.scene.document or document_of(_needed_version(person))
    people.choose(person, place, _choice(how, request, chosen, document))
    _catch_up(person)


@_doing
def keep(panel: Panel, request: StaffRequest) -> None:
    """The conversation becomes a test conversation of the flow."""
    if panel.flow is None or panel.person is None:
        raise DomainError(_("Nothing has been said yet that could be kept."))
    name = request.POST.get("name", "")
    kept = goldens.keep(panel.person, panel.flow, name=name, user=request.user)
    messages.success(request, _("“%(name)s” is a test conversation now.") % {"name": kept.name})


# --- Parts -------------------------------------------------------------------------------------


def _parts(request: StaffRequest, panel: Panel) -> HttpResponse:
    context = panel.as_context(is_oob=True)
    return TemplateResponse(request, "chatbot/_simulator_parts.html", context)


def _flow(request: StaffRequest, flow_id: int | None) -> Flow | None:
    """Drafts and versions are for those who may see flows; the simulator itself for everybody."""
    if flow_id is None:
        return None
    return get_object_or_404(Flow.objects.visible_to(request.user), pk=flow_id)


def _somebody(panel: Panel) -> SimulatedPerson:
    """Whom the member of staff plays; somebody new, on the draft, when it is nobody yet."""
    if panel.person is not None:
        return panel.person
    version = people.draft_version(panel.flow) if panel.flow is not None else None
    return people.begin(panel.request.user, panel.flow, version=version)


def _version(flow: Flow, asked: str) -> FlowVersion:
    """The draft, or a version of the flow by its id."""
    key = whole(asked)
    if key is None:
        return people.draft_version(flow)
    return get_object_or_404(flow.versions, pk=key)


def _needed_version(person: SimulatedPerson) -> int:
    if person.version_id is None:
        raise DomainError(_("This flow has no such integration."))
    return person.version_id


def _catch_up(person: SimulatedPerson | None) -> None:
    """Whoever is busy with the person sees to it."""
    if person is None:
        return
    try:
        with people.alone(person, is_patient=False):
            passing.catch_up(person)
    except SimulatorBusy:
        return


def _how(request: StaffRequest, panel: Panel, integration: Integration) -> str:
    how = request.POST.get("how", GIVE)
    if how not in {ASK, RUN, RECORDED, GIVE}:
        how = GIVE
    if how == RECORDED and (integration.recorded is None or not panel.may_really_ask):
        raise DomainError(_("There is no real result of this integration yet."))
    if how == RUN and integration.is_http and not panel.may_really_ask:
        raise DomainError(_("Only administrators let the simulator call other systems."))
    return how


def _choice(
    how: str, request: StaffRequest, integration: Integration, document: FlowDocument
) -> dict[str, Any]:
    if how != GIVE:
        return {"do": how}
    given = result_from(request.POST, integration, document)
    return {"do": GIVE, "route": given.route, "values": dict(given.values)}


def _seen(told: str, person: SimulatedPerson) -> timedelta:
    """How far ahead the clock was on the page; as it is now when nobody says."""
    try:
        return timedelta(seconds=float(told))
    except (ValueError, OverflowError):
        return person.ahead


def _span(amount: str, unit: str) -> timedelta:
    try:
        number = float(amount.replace(",", "."))
    except ValueError:
        number = 0.0
    if not 0 < number <= FARTHEST:
        raise DomainError(_("Say how much time passes, as a number."))
    return UNITS.get(unit, UNITS[HOURS]) * number


def _calendar(request: StaffRequest) -> Calendar | None:
    known = travel.calendars()
    asked = request.POST.get("calendar", "")
    return next((one for one in known if str(one.pk) == asked), known[0] if known else None)


def _says_something(form: dict[str, str]) -> bool:
    has_more = form.keys() & {"kind", "choice_id", "latitude", "contact"} != set()
    return bool(form.get("text", "").strip()) or has_more
