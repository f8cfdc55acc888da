"""What the form of a passo offers to choose from: the rest of the flow, and what this site has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from chatbot.channels import transport_class
from chatbot.editor.elements import Option, OptionGroup
from chatbot.editor.operations import KINDS
from chatbot.editor.raw import NEW
from chatbot.editor.step_codecs import HandlerShape
from chatbot.editor.variables import VariableUse, variables_of
from chatbot.engine.findings import ChannelLimits, Limits
from chatbot.engine.kinds import Menu
from chatbot.engine.nodes import FlowDocument
from chatbot.handlers import registry
from chatbot.handlers.forms import fields_of
from chatbot.kind_words import LOOKS, WORDS
from chatbot.models import Flow, MessageTemplate, Secret, TemplateStatus
from leads.models import LeadStatus, Tag
from sessions_app.models import Channel, ChannelKind
from users.models import Department, Skill

if TYPE_CHECKING:
    from users.models import User

SHOWN = 3  # passos named
ORDER = (
    "send",
    "menu",
    "ask",
    "branch",
    "set",
    "lead",
    "call",
    "http",
    "handoff",
    "flow",
    "wait",
    "end",
    "start",
)

PURPOSES: dict[str, Promise] = {
    "send": gettext_lazy("Says something, or sends a file, and goes on."),
    "menu": gettext_lazy("Offers buttons or a list to choose from."),
    "ask": gettext_lazy("Asks, checks the answer and keeps it."),
    "branch": gettext_lazy("Goes one way or another, without the customer noticing."),
    "set": gettext_lazy("Sets, counts or reshapes variables."),
    "lead": gettext_lazy("Keeps fields, stage, tags or consent of the lead."),
    "call": gettext_lazy("Runs a program of this site."),
    "http": gettext_lazy("Asks another system on the internet."),
    "handoff": gettext_lazy("Hands the conversation to the team."),
    "flow": gettext_lazy("Runs another flow and comes back."),
    "wait": gettext_lazy("Lets time pass."),
    "end": gettext_lazy("Ends the flow."),
    "start": gettext_lazy("Where the flow begins."),
}


def kind_label(kind: str) -> str:
    """The kind of a passo, as it begins a line."""
    if kind == "menu":
        return capfirst(pgettext("kind of step", "options"))
    return capfirst(str(WORDS[kind]))


def kind_choices(*, with_start: bool = True) -> tuple[Option, ...]:
    kinds = [kind for kind in ORDER if kind in KINDS and (with_start or kind != "start")]
    return tuple((kind, kind_label(kind)) for kind in kinds)


def kind_cards() -> list[tuple[str, str, str, str, str]]:
    """(kind, label, what it does, icon, tone) of every kind, the usual ones first."""
    return [(kind, kind_label(kind), str(PURPOSES[kind]), *LOOKS[kind]) for kind in ORDER]


def drawn(kind: str) -> tuple[str, str]:
    """(icon, tone) of a kind."""
    return LOOKS[kind]


@dataclass(frozen=True)
class Insertable:
    """A placeholder for a text, and what fills it."""

    text: str
    label: str
    filled_by: str


@dataclass(frozen=True)
class TemplateValue:
    key: str
    label: str
    example: str
    is_needed: bool


class Known:
    """Read as it is asked for: each kind of passo needs a little of it."""

    def __init__(self, document: FlowDocument, user: User) -> None:
        self.document = document
        self._user = user

    # -- the flow

    @cached_property
    def targets(self) -> tuple[OptionGroup, ...]:
        """What an exit may lead to; by title, and by id where two have the same one."""
        titles = [node.title or node_id for node_id, node in self.document.nodes.items()]
        options = [
            (node_id, self._titled(node_id, is_unique=titles.count(title) == 1))
            for title, node_id in zip(titles, self.document.nodes, strict=True)
        ]
        options.sort(key=lambda one: one[1].casefold())
        return (
            ("", (("", _("– not connected –")), (NEW, _("create a new step…")))),
            (_("Steps"), tuple(options)),
        )

    def _titled(self, node_id: str, *, is_unique: bool) -> str:
        node = self.document.nodes[node_id]
        title = node.title or node_id
        return f"{title} · {kind_label(node.kind)}" + ("" if is_unique else f" ({node_id})")

    def title_of(self, node_id: str) -> str:
        node = self.document.nodes.get(node_id)
        return (node.title if node else "") or node_id

    @cached_property
    def variables(self) -> list[VariableUse]:
        outputs = {name: one.outputs for name, one in registry.registered().items()}
        return variables_of(self.document, outputs)

    @cached_property
    def facts(self) -> tuple[Option, ...]:
        """What the program knows by itself, for texts."""
        return (
            ("lead.first_name", _("first name of the lead")),
            ("lead.name", _("name of the lead")),
            ("lead.email", _("e-mail of the lead")),
            ("lead.phone", _("phone of the lead")),
            ("channel.kind", _("kind of channel")),
            ("today", _("the date of today")),
            ("now", _("the time of day")),
        )

    @property
    def new_kinds(self) -> tuple[Option, ...]:
        """What can be made at the end of an exit."""
        return kind_choices(with_start=False)

    @cached_property
    def variables_shown(self) -> list[Insertable]:
        """Everything that a text may name."""
        own = [
            Insertable(f"{{{{ {one.name} }}}}", one.label, self._filled_by(one))
            for one in self.variables
        ]
        facts = [Insertable(f"{{{{ {name} }}}}", label, "") for name, label in self.facts]
        return [*own, *facts]

    def _filled_by(self, use: VariableUse) -> str:
        if use.set_at:
            titles = ", ".join(self.title_of(one) for one in use.set_at[:SHOWN])
            return _("filled by %(steps)s") % {"steps": titles}
        return _("given by whoever starts the flow") if use.is_given else _("filled nowhere")

    @cached_property
    def compared(self) -> tuple[OptionGroup, ...]:
        """What a condition may look at."""
        own = tuple(
            (one.name, f"{one.label} ({one.name})" if one.declared.label else one.name)
            for one in self.variables
        )
        facts = (
            *self.facts,
            ("lead.status", _("stage of the lead")),
            ("lead.source", _("where the lead came from")),
            ("lead.opted_out", _("the lead has opted out")),
            ("channel.slug", _("channel")),
        )
        return ((_("Variables of the flow"), own), (_("Known by itself"), facts))

    def values_of(self, variable: str) -> tuple[Option, ...]:
        """What the variable may be compared with, as far as that is known."""
        if variable == "lead.status":
            return tuple((value, str(label)) for value, label in LeadStatus.choices)
        if variable == "channel.kind":
            return tuple((value, str(label)) for value, label in ChannelKind.choices)
        if variable == "lead.opted_out":
            return (("true", _("yes")), ("false", _("no")))
        return tuple(
            (option.id, option.label)
            for node in self.document.nodes.values()
            if isinstance(node, Menu) and node.save_as == variable
            for option in node.options
        )

    # -- the site

    @cached_property
    def departments(self) -> tuple[Option, ...]:
        rows = Department.objects.visible_to(self._user).active().order_by("name")
        return tuple(rows.values_list("slug", "name"))

    @cached_property
    def skills(self) -> tuple[str, ...]:
        return tuple(Skill.objects.values_list("name", flat=True))

    @cached_property
    def flows(self) -> tuple[Option, ...]:
        """Other flows; those that are not on air say so."""
        rows = Flow.objects.visible_to(self._user).exclude(slug=self.document.slug)
        rows = rows.filter(is_active=True).order_by("name")
        return tuple(
            (slug, name if published else _("%(flow)s (not on air)") % {"flow": name})
            for slug, name, published in rows.values_list("slug", "name", "published_id")
        )

    @cached_property
    def tags(self) -> tuple[Option, ...]:
        return tuple(
            (name, "") for name in Tag.objects.order_by("name").values_list("name", flat=True)
        )

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        rows = Secret.objects.visible_to(self._user).order_by("name")
        return tuple(rows.values_list("name", flat=True))

    @cached_property
    def _templates(self) -> dict[str, MessageTemplate]:
        """Those that may be sent, by `name|language`."""
        usable = (TemplateStatus.APPROVED, TemplateStatus.PAUSED)
        rows = MessageTemplate.objects.visible_to(self._user).filter(
            status__in=usable, channel__is_active=True
        )
        return {f"{row.name}|{row.language}": row for row in rows.order_by("name", "language")}

    @property
    def templates(self) -> tuple[Option, ...]:
        return tuple((key, f"{one.name} · {one.language}") for key, one in self._templates.items())

    def template_text(self, key: str) -> str:
        template = self._templates.get(key)
        return template.parts.body if template else ""

    def template_values(self, key: str) -> tuple[TemplateValue, ...]:
        template = self._templates.get(key)
        return tuple(
            TemplateValue(one.key, one.key, one.example, one.is_needed)
            for one in (template.parts.variables if template else ())
        )

    @cached_property
    def handlers(self) -> tuple[Option, ...]:
        return tuple(
            (name, capfirst(str(one.label))) for name, one in registry.registered().items()
        )

    def handler(self, name: str) -> HandlerShape | None:
        found = registry.registered().get(name)
        if found is None:
            return None
        return HandlerShape(tuple(fields_of(found.args.model_json_schema())), found.routes)

    def outputs_of(self, name: str) -> Sequence[str]:
        found = registry.registered().get(name)
        return found.outputs if found else ()

    @cached_property
    def limits(self) -> Mapping[str, int]:
        """The narrowest of this site's channels; 0: no such limit."""
        active = Channel.objects.visible_to(self._user).active().order_by("kind")
        kinds = active.values_list("kind", flat=True).distinct()
        channels: list[ChannelLimits] = [transport_class(kind).capabilities for kind in kinds]
        names = Limits.__dataclass_fields__
        channels = channels or [Limits()]
        return {
            name: min((size for one in channels if (size := getattr(one, name))), default=0)
            for name in names
        }
