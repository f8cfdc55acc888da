"""Whom staff play: made, found, and alone with whoever lets something happen to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from secrets import token_hex
from time import monotonic, sleep
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot.channels.simulator.transport import SCHEME
from chatbot.engine.nodes import parse_flow
from chatbot.flows_service import with_subflows
from chatbot.models import Flow, FlowVersion, MessageLog, SimulatedPerson
from leads.models import Identity
from sessions_app.models import Channel, ChannelKind, Session
from users.errors import DomainError
from users.models import User

CUSTOMER_NAME = "Cliente de teste"  # data, not interface: it is the lead's name
SLUG = "simulador"
NOTICES = 200  # lines kept of one person
SESSIONS = 5  # conversations of one person that are looked at
LEASE = timedelta(seconds=90)  # longer than the longest request of an http passo
PATIENCE = 10.0  # seconds


class SimulatorBusy(DomainError):
    code = "simulator_busy"

    def __init__(self) -> None:
        super().__init__(_("This conversation is still busy with the last action. Try again."))


# --- Who ---------------------------------------------------------------------------------------


def current(user: User, flow: Flow | None) -> SimulatedPerson | None:
    """Whom this member of staff plays now, on the page of a flow or in the simulator itself."""
    mine = SimulatedPerson.objects.filter(user=user, flow=flow)
    with_version = mine.select_related("version__flow").defer(
        "version__document", "version__flow__draft"
    )
    return with_version.order_by("-pk").first()


def begin(
    user: User,
    flow: Flow | None,
    *,
    version: FlowVersion | None = None,
    has_phone: bool = True,
    **more: Any,
) -> SimulatedPerson:
    """Somebody new; the conversation of whoever was played before stays as it is."""
    return SimulatedPerson.objects.create(
        user=user,
        flow=flow,
        version=version,
        has_phone=has_phone,
        address=f"{user.pk}-{token_hex(6)}",
        **more,
    )


def begin_again(person: SimulatedPerson, **changes: Any) -> SimulatedPerson:
    """Somebody new, at everybody's time; what integrations give stays chosen."""
    kept = {
        "version": person.version,
        "has_phone": person.has_phone,
        "results": person.results,
    }
    return begin(person.user, person.flow, **{**kept, **changes})


def now_of(person: SimulatedPerson) -> datetime:
    """What their clock shows."""
    return timezone.now() + person.ahead


def sessions_of(person: SimulatedPerson) -> list[Session]:
    """The conversations of this person, newest first."""
    known = Identity.objects.filter(scheme=SCHEME, address=person.address).values("lead")
    mine = Session.objects.filter(lead__in=known, is_simulated=True)
    return list(mine.select_related("lead", "channel").order_by("-pk")[:SESSIONS])


def channel() -> Channel:
    """The channel of the simulator, made when it is missing."""
    known = Channel.objects.filter(kind=ChannelKind.SIMULATOR).order_by("pk").first()
    if known is not None:
        return known
    return Channel.objects.get_or_create(
        slug=SLUG, defaults={"kind": ChannelKind.SIMULATOR, "name": _("Simulator")}
    )[0]


# --- What answers them -------------------------------------------------------------------------


def draft_version(flow: Flow) -> FlowVersion:
    """The draft, with the sub-flows that are on air, as a version that was never published. The
    same draft is one version, unless a sub-flow of it has been published since. Raises FlowError
    on a draft that cannot be read."""
    document = with_subflows(parse_flow(flow.draft)).as_dict()
    for _attempt in range(2):
        tried = flow.versions.filter(number=None).filter(
            Q(revision=flow.draft_revision) | Q(revision=None)
        )
        rows = list(tried.order_by("pk"))
        same = next((one for one in rows if one.document == document), None)
        if same is not None:
            return same
        is_taken = any(one.revision == flow.draft_revision for one in rows)
        revision = None if is_taken else flow.draft_revision
        try:
            with transaction.atomic():
                return FlowVersion.objects.create(flow=flow, revision=revision, document=document)
        except IntegrityError:
            continue  # somebody tries the same draft at the same moment
    raise SimulatorBusy


# --- What stands between the messages ----------------------------------------------------------


def note(person: SimulatedPerson, code: str, at: datetime, **about: Any) -> None:
    """A line of the transcript, after what has been said so far."""
    sessions = [one.pk for one in sessions_of(person)]
    rows = MessageLog.objects.filter(session__in=sessions).order_by("-pk")
    after = rows.values_list("pk", flat=True).first() or 0
    line = {"code": code, "at": at.isoformat(), "after": after, **about}
    with transaction.atomic():
        kept = SimulatedPerson.objects.select_for_update().only("notices").get(pk=person.pk)
        person.notices = [*kept.notices, line][-NOTICES:]
        SimulatedPerson.objects.filter(pk=person.pk).update(notices=person.notices)


def change(person: SimulatedPerson, **values: Any) -> None:
    """Change how the world is for them."""
    SimulatedPerson.objects.filter(pk=person.pk).update(**values)
    for name, value in values.items():
        setattr(person, name, value)


def choose(person: SimulatedPerson, place: str, choice: Mapping[str, Any]) -> None:
    """What the integration at this place gives from now on."""
    with transaction.atomic():
        kept = SimulatedPerson.objects.select_for_update().only("results").get(pk=person.pk)
        person.results = {**kept.results, place: dict(choice)}
        SimulatedPerson.objects.filter(pk=person.pk).update(results=person.results)


def _free(now: datetime) -> Q:
    return Q(busy_until=None) | Q(busy_until__lt=now)


@contextmanager
def alone(person: SimulatedPerson, *, is_patient: bool = True) -> Iterator[None]:
    """Nobody else lets time pass for this person meanwhile. Raises SimulatorBusy, at once unless
    `is_patient`."""
    mine = SimulatedPerson.objects.filter(pk=person.pk)
    until, given_up = timezone.now() + LEASE, monotonic() + (PATIENCE if is_patient else 0)
    while not mine.filter(_free(timezone.now())).update(busy_until=until):
        if monotonic() >= given_up:
            raise SimulatorBusy
        sleep(0.05)
        until = timezone.now() + LEASE
    person.refresh_from_db(fields=["ahead", "notices", "results", "is_provider_away", "facts"])
    try:
        yield
    finally:
        mine.filter(busy_until=until).update(busy_until=None)
