"""The pages of replays: begin one, watch it, look at what came out otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.paginator import Paginator
from django.db.models import Count
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from chatbot.documents import document_of
from chatbot.engine.nodes import FlowDocument, parse_flow
from chatbot.engine.rehearsal import Said, Turn
from chatbot.flow_words import any_node, any_title, document_or_none, sensitive_names
from chatbot.labels import MATCH_LABELS
from chatbot.models import Flow, JobState, Replay, ReplayDifference, ReplayOutcome, Worker
from chatbot.replays import jobs, states
from chatbot.replays.forms import ReplayForm
from chatbot.replays.jobs import ReplayRefused
from chatbot.replays.states import UNDER_WAY
from chatbot.requests import StaffRequest
from users.console import background
from users.masking import MASK
from users.permissions import person

KINDS = {
    "started": "",
    "media": gettext_lazy("a file"),
    "location": gettext_lazy("a location"),
    "contacts": gettext_lazy("a contact"),
    "form": gettext_lazy("a form"),
    "timer": gettext_lazy("time went by"),
    "returned": gettext_lazy("an answer of another system"),
}

SHOWN = 20  # replays in the list
PER_PAGE = 50
CHIPS = {
    JobState.WAITING: "",
    JobState.RUNNING: "info",
    JobState.DONE: "ok",
    JobState.CANCELLED: "",
    JobState.FAILED: "danger",
}
# From the worst to what nobody needs to look at.
ORDER = (
    ReplayOutcome.DEAD_END,
    ReplayOutcome.LATER,
    ReplayOutcome.EARLIER,
    ReplayOutcome.PATH,
    ReplayOutcome.TEXT,
    ReplayOutcome.UNPLAYED,
    ReplayOutcome.SAME,
)
OUTCOME_CHIPS = {
    ReplayOutcome.DEAD_END: "danger",
    ReplayOutcome.LATER: "warn",
    ReplayOutcome.EARLIER: "warn",
    ReplayOutcome.PATH: "info",
    ReplayOutcome.TEXT: "info",
    ReplayOutcome.UNPLAYED: "",
    ReplayOutcome.SAME: "ok",
}
REASONS = {
    "erased": gettext_lazy("personal data of it was erased"),
    "nothing_recorded": gettext_lazy("nothing was said"),
    "unreadable": gettext_lazy("the record cannot be read"),
}


@dataclass(frozen=True)
class Share:
    """How many came out like this."""

    outcome: str
    label: str
    chip: str
    count: int
    percent: int


@dataclass(frozen=True)
class Group:
    """Conversations with the same first difference."""

    outcome: str
    label: str
    chip: str
    node: str
    title: str
    count: int


@dataclass(frozen=True)
class Side:
    """One way of a turn, in words."""

    texts: tuple[str, ...]
    way: tuple[str, ...]
    hands_over: bool
    trouble: str
    asked: str


@dataclass(frozen=True)
class Exchange:
    said: str
    at: datetime | None
    then: Side
    now: Side
    is_same: bool
    is_first: bool


def index(request: StaffRequest, flow_id: int) -> HttpResponse:
    """The replays of a flow, and the form for another one."""
    flow = _flow(request, flow_id)
    form = ReplayForm(request.POST or None, flow=flow)
    if request.method == "POST" and form.is_valid():
        try:
            replay = jobs.start(flow, form.wanted, user=person(request), version=form.version)
        except ReplayRefused as refusal:
            form.add_error(None, refusal.message)
        else:
            return redirect("flow_replay", flow.pk, replay.pk)
    replays = Replay.objects.visible_to(request.user).filter(flow=flow)
    rows = replays.select_related("created_by").defer("document")[:SHOWN]
    context = {
        **_context(request, flow, _("Replays")),
        "form": form,
        "rows": [(row, CHIPS[JobState(row.state)], _counted(row)) for row in rows],
    }
    return TemplateResponse(request, "chatbot/replays/index.html", context)


@require_GET
def page(request: StaffRequest, flow_id: int, replay_id: int) -> HttpResponse:
    flow = _flow(request, flow_id)
    replay = _replay(request, flow, replay_id)
    differences = ReplayDifference.objects.visible_to(request.user).filter(replay=replay)
    chosen = request.GET.get("outcome", ""), request.GET.get("node")
    if chosen[0] in ReplayOutcome.values:
        differences = differences.filter(outcome=chosen[0])
    if chosen[1] is not None:
        differences = differences.filter(node=chosen[1])
    shown = differences.select_related("session__lead").order_by("id")
    found = Paginator(shown, PER_PAGE).get_page(request.GET.get("p"))
    document = parse_flow(replay.document)
    context = {
        **_context(request, flow, _("Replay with %(document)s") % {"document": replay.title}),
        **_progress(replay, request),
        "rows": [
            (row, _label(row), OUTCOME_CHIPS[ReplayOutcome(row.outcome)], _title(row, document))
            for row in found
        ],
        "found": found,
        "chosen": chosen,
        "is_narrowed": bool(chosen[0] or chosen[1] is not None),
    }
    return TemplateResponse(request, "chatbot/replays/page.html", context)


@background
@require_GET
def state(request: StaffRequest, flow_id: int, replay_id: int) -> HttpResponse:
    """The part of the page that moves."""
    flow = _flow(request, flow_id)
    replay = _replay(request, flow, replay_id)
    context = {"flow": flow, **_progress(replay, request)}
    return TemplateResponse(request, "chatbot/replays/_progress.html", context)


@require_POST
def cancel(request: StaffRequest, flow_id: int, replay_id: int) -> HttpResponse:
    flow = _flow(request, flow_id)
    replay = _replay(request, flow, replay_id)
    if not states.cancel(replay, now=timezone.now()):
        messages.info(request, _("It was over already."))
    return redirect("flow_replay", flow.pk, replay.pk)


@require_GET
def difference(
    request: StaffRequest, flow_id: int, replay_id: int, difference_id: int
) -> HttpResponse:
    """One conversation, as it went and as it would go, side by side."""
    flow = _flow(request, flow_id)
    replay = _replay(request, flow, replay_id)
    rows = ReplayDifference.objects.visible_to(request.user).filter(replay=replay)
    row = get_object_or_404(
        rows.select_related("session__lead", "run__version__flow"), pk=difference_id
    )
    rehearsal = jobs.rehearsed(row)
    before, after = document_or_none(row.run.version_id), parse_flow(replay.document)
    neighbours = rows.filter(outcome=row.outcome, node=row.node)
    context = {
        **_context(request, flow, str(row.session.lead)),
        "replay": replay,
        "row": row,
        "label": _label(row),
        "chip": OUTCOME_CHIPS[ReplayOutcome(row.outcome)],
        "place": any_title(before, row.node),
        "version": row.run.version,
        "exchanges": _exchanges(rehearsal.turns, row.seq, before, after),
        "next": neighbours.filter(pk__gt=row.pk).order_by("pk").first(),
        "before": neighbours.filter(pk__lt=row.pk).order_by("-pk").first(),
    }
    return TemplateResponse(request, "chatbot/replays/difference.html", context)


def _flow(request: StaffRequest, flow_id: int) -> Flow:
    return get_object_or_404(
        Flow.objects.visible_to(request.user).select_related("published"), pk=flow_id
    )


def _replay(request: StaffRequest, flow: Flow, replay_id: int) -> Replay:
    replays = Replay.objects.visible_to(request.user).filter(flow=flow)
    return get_object_or_404(replays.select_related("created_by"), pk=replay_id)


def _context(request: StaffRequest, flow: Flow, title: str) -> dict[str, Any]:
    return {**admin.site.each_context(request), "flow": flow, "title": title}


def _progress(replay: Replay, request: StaffRequest) -> dict[str, Any]:
    is_running = replay.state in UNDER_WAY
    groups = ReplayDifference.objects.visible_to(request.user).filter(replay=replay)
    counted = groups.values("outcome", "node").annotate(count=Count("pk"))
    document = parse_flow(replay.document)
    return {
        "replay": replay,
        "chip": CHIPS[JobState(replay.state)],
        "is_running": is_running,
        "is_stuck": is_running and not Worker.objects.alive().exists(),  # door: if any
        "percent": 100 * replay.done // replay.total if replay.total else 100,
        "shares": _shares(replay),
        "groups": _groups(counted, replay, document),
        "speed": _speed(replay),
    }


def _speed(replay: Replay) -> int | None:
    """Conversations a second, once it has begun."""
    if replay.started_at is None or not replay.done:
        return None
    seconds = ((replay.finished_at or timezone.now()) - replay.started_at).total_seconds()
    return round(replay.done / seconds) if seconds > 0 else None


def _shares(replay: Replay) -> list[Share]:
    counts = {outcome: int(replay.counts.get(outcome, 0)) for outcome in ORDER}
    total = sum(counts.values())
    return [
        Share(outcome, str(outcome.label), OUTCOME_CHIPS[outcome], count, 100 * count // total)
        for outcome, count in counts.items()
        if count
    ]


def _groups(counted: Any, replay: Replay, document: FlowDocument) -> list[Group]:
    groups = [
        Group(
            outcome=row["outcome"],
            label=str(ReplayOutcome(row["outcome"]).label),
            chip=OUTCOME_CHIPS[ReplayOutcome(row["outcome"])],
            node=row["node"],
            title=_place_title(row["node"], replay, document),
            count=row["count"],
        )
        for row in counted
    ]
    return sorted(groups, key=lambda one: (ORDER.index(ReplayOutcome(one.outcome)), -one.count))


def _counted(replay: Replay) -> int:
    """How many came out otherwise."""
    return sum(count for outcome, count in replay.counts.items() if outcome != "same")


def _place_title(place: str, replay: Replay, document: FlowDocument) -> str:
    """As the present document calls the passo, else as the one on air does."""
    if any_node(document, place) is None and replay.flow.published_id is not None:
        return any_title(document_of(replay.flow.published_id), place)
    return any_title(document, place)


def _title(row: ReplayDifference, document: FlowDocument) -> str:
    return any_title(document, row.node)


def _label(row: ReplayDifference) -> str:
    label = str(ReplayOutcome(row.outcome).label)
    reason = str(row.details.get("reason", ""))
    why = str(REASONS.get(reason, MATCH_LABELS.get(reason, "")))
    return f"{label} ({why})" if why else label


def _exchanges(
    turns: tuple[Turn, ...],
    first: int | None,
    before: FlowDocument | None,
    after: FlowDocument,
) -> list[Exchange]:
    hidden = sensitive_names(before) | sensitive_names(after)
    shown: list[Exchange] = []
    asked = ""
    for turn in turns:
        node = any_node(before, asked)
        is_secret = getattr(node, "save_as", "") in hidden
        shown.append(
            Exchange(
                said=MASK if is_secret else _said(turn),
                at=_time(turn.at),
                then=_side(turn.then, before),
                now=_side(turn.now, after),
                is_same=turn.is_same,
                is_first=turn.seq == first,
            )
        )
        asked = turn.then.node
    return shown


def _side(said: Said, document: FlowDocument | None) -> Side:
    titles: list[str] = []
    for place, _exit in said.path:
        title = any_title(document, place)
        if not titles or titles[-1] != title:
            titles.append(title)
    return Side(
        texts=said.texts,
        way=tuple(titles),
        hands_over=said.hands_over,
        trouble=str(MATCH_LABELS.get(said.trouble, said.trouble)),
        asked=any_title(document, said.asked) if said.asked else "",
    )


def _said(turn: Turn) -> str:
    """What the customer said, or what happened instead."""
    message = turn.said
    own = ("text", "title", "id", "caption", "filename", "name", "address")
    words = next((str(message[name]) for name in own if message.get(name)), "")
    names = ", ".join(map(str, message.get("names") or ()))
    kind = str(message.get("kind") or "")
    return words or names or str(KINDS.get(kind, kind))


def _time(at: str) -> datetime | None:
    try:
        return datetime.fromisoformat(at)
    except ValueError:
        return None
