"""The simulator as a page shows it: beside a flow's map, on a flow's own page, or on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from chatbot.engine.nodes import FlowError, parse_flow
from chatbot.flows_service import with_subflows
from chatbot.models import Flow, SimulatedPerson
from chatbot.requests import StaffRequest
from chatbot.simulation import goldens, people, travel
from chatbot.simulation.integrations import integrations_of
from chatbot.simulation.scene import Choice, Scene, choices_of, is_ready, scene_of
from tickets.models import Ticket
from users.models import Calendar

ACTIONS = (
    *("state", "say", "start_over", "again", "travel", "line"),
    *("result", "choose", "keep"),
)


@dataclass(frozen=True)
class Panel:
    """What the templates of the simulator read. `flow` None: the simulator's own page, where the
    triggers say who answers."""

    request: StaffRequest
    flow: Flow | None
    back: str
    trouble: str = ""

    @cached_property
    def person(self) -> SimulatedPerson | None:
        return people.current(self.request.user, self.flow)

    @cached_property
    def scene(self) -> Scene:
        return scene_of(self.person)

    @cached_property
    def urls(self) -> Mapping[str, str]:
        """Where each action goes."""
        if self.flow is None:
            return {name: reverse(f"simulator_{name}") for name in ACTIONS if name != "keep"}
        found = {name: reverse(f"flow_simulator_{name}", args=[self.flow.pk]) for name in ACTIONS}
        return found

    @property
    def is_wide(self) -> bool:
        """On a page of its own, with the log."""
        pages = [reverse("simulator")]
        if self.flow is not None:
            pages.append(reverse("flow_simulator", args=[self.flow.pk]))
        return self.back.partition("?")[0].partition("#")[0] in pages

    @property
    def is_ready(self) -> bool:
        return self.flow is not None or is_ready()

    @property
    def label(self) -> str:
        """Which document answers."""
        version = self.scene.version
        if version is None:
            return _("draft") if self.flow is not None else ""
        return version.label if self.flow is not None else str(version)

    @cached_property
    def choices(self) -> list[Choice]:
        """The documents that somebody new can be started on."""
        if self.flow is None:
            return []
        return choices_of(self.flow, self.person.version if self.person else None)

    @property
    def is_outdated(self) -> bool:
        """Has the draft been saved since this conversation began on it?"""
        version = self.person.version if self.person else None
        if self.flow is None or version is None or version.number is not None:
            return False
        return version.revision not in (None, self.flow.draft_revision)

    @property
    def seen(self) -> str:
        """Changes with anything that the page shows."""
        return f"{self.scene.digest}{'-outdated' if self.is_outdated else ''}"

    @cached_property
    def integrations(self) -> list[Any]:
        if self.scene.document is not None or self.flow is None:
            return self.scene.integrations
        try:
            document = with_subflows(parse_flow(self.flow.draft))
        except FlowError:
            return []
        return integrations_of(document, self.flow.pk, self.person)

    @cached_property
    def calendars(self) -> list[Calendar]:
        return travel.calendars()

    @property
    def may_really_ask(self) -> bool:
        """Requests to other systems are for admins, and real people's results too."""
        return self.request.user.is_admin

    @cached_property
    def is_ticket_visible(self) -> bool:
        ticket = self.scene.ticket
        mine = Ticket.objects.visible_to(self.request.user)
        return ticket is not None and mine.filter(pk=ticket.pk).exists()

    @property
    def may_keep(self) -> bool:
        return self.flow is not None and goldens.may_keep(self.person, self.flow)

    @cached_property
    def kept(self) -> int:
        """How many test conversations the flow has."""
        return goldens.goldens_of(self.flow).count() if self.flow is not None else 0

    @property
    def golden_name(self) -> str:
        """A name that says what the conversation is about: what was said first."""
        first = next((one.text for one in self.scene.talk.bubbles if one.is_inbound), "")
        return first[:60]

    def as_context(self, **more: Any) -> dict[str, Any]:
        return {
            "request": self.request,
            "panel": self,
            "scene": self.scene,
            # One id for each thing that can be sent from a page: a double click is one message.
            "text_id": uuid4(),
            "choice_message_id": uuid4(),
            "extra_id": uuid4(),
            **more,
        }


def panel_for(
    request: StaffRequest, flow: Flow | None, *, back: str = "", trouble: str = ""
) -> Panel:
    """`back`: the page that shows it, to which a form without a script returns."""
    own = reverse("flow_simulator", args=[flow.pk]) if flow is not None else reverse("simulator")
    is_ours = url_has_allowed_host_and_scheme(back, allowed_hosts=None)
    return Panel(request, flow, back if back and is_ours else own, trouble)
