"""A flow from a file: what it names that is not here, what stands for it, and saving it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.db import transaction
from django.utils.functional import Promise
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot import flows_service
from chatbot.editor import creation
from chatbot.editor.exchange import Package
from chatbot.editor.mapping import Name, Sort, names_in, with_names
from chatbot.engine.nodes import FlowDocument, parse_flow
from chatbot.findings import Finding, check_document
from chatbot.flows_service import surroundings, with_subflows
from chatbot.handlers import registry
from chatbot.models import Flow, MessageTemplate, TemplateStatus
from users.errors import DomainError
from users.models import Department, User

LEAVE, CREATE = "leave", "create"
SORT_WORDS: dict[Sort, Promise] = {
    "department": gettext_lazy("department"),
    "handler": gettext_lazy("integration"),
    "template": gettext_lazy("message template"),
    "flow": gettext_lazy("sub-flow"),
}

Json = dict[str, Any]
Choice = tuple[str, str]


@dataclass(frozen=True)
class Missing:
    """A name that means nothing here, the passos that use it, and what may stand for it."""

    number: int
    name: Name
    steps: tuple[str, ...]
    choices: tuple[Choice, ...]
    chosen: str

    @property
    def field(self) -> str:
        return f"map-{self.number}"

    @property
    def sort(self) -> str:
        return str(SORT_WORDS[self.name[0]])

    @property
    def shown(self) -> str:
        name, _bar, language = self.name[1].partition("|")
        return f"{name} ({language})" if language else name


class Import:
    """A file on its way into the draft of `flow`, or into a flow of its own."""

    def __init__(
        self, package: Package, *, user: User, flow: Flow | None = None, chosen: Mapping[str, str]
    ) -> None:
        self.package = package
        self.user = user
        self.flow = flow
        self._chosen = chosen

    @property
    def document(self) -> FlowDocument:
        return self.package.document

    @cached_property
    def missing(self) -> list[Missing]:
        """What the file names that is not here, departments first."""
        found: list[Missing] = []
        titles = {node_id: one.title or node_id for node_id, one in self.document.nodes.items()}
        for name, node_ids in names_in(self._needed).items():
            here = self._here[name[0]]
            if name[1] in here or (name[0] == "flow" and name[1] == self.document.slug):
                continue
            number = len(found)
            choices = self._choices(name)
            wanted = self._chosen.get(f"map-{number}", "")
            chosen = wanted if wanted in dict(choices) else LEAVE
            steps = tuple(titles.get(one, one) for one in node_ids)
            found.append(Missing(number, name, steps, choices, chosen))
        return found

    @property
    def _needed(self) -> Json:
        """Without the sub-flows that are here already, which stay as they are."""
        document = self.document.as_dict()
        subflows = document.pop("subflows", {})
        new = {slug: one for slug, one in subflows.items() if slug not in self._here["flow"]}
        return {**document, "subflows": new}

    @cached_property
    def _here(self) -> dict[Sort, dict[str, str]]:
        """What there is to name, with what people call it."""
        departments = Department.objects.active().order_by("name")
        sendable = (TemplateStatus.APPROVED, TemplateStatus.PAUSED)
        templates = MessageTemplate.objects.filter(status__in=sendable, channel__is_active=True)
        flows = Flow.objects.order_by("name")
        if self.flow is not None:
            flows = flows.exclude(pk=self.flow.pk)
        handlers = registry.registered().items()
        return {
            "department": dict(departments.values_list("slug", "name")),
            "handler": {name: str(one.label) for name, one in handlers},
            "template": {
                f"{name}|{language}": f"{name} ({language})"
                for name, language in templates.order_by("name").values_list("name", "language")
            },
            "flow": dict(flows.values_list("slug", "name")),
        }

    def _choices(self, name: Name) -> tuple[Choice, ...]:
        sort, said = name
        made: list[Choice] = []
        if sort == "department":
            made = [(CREATE, _("create the department “%(name)s”") % {"name": said})]
        elif sort == "flow" and said in self.document.subflows:
            sub = self.document.subflows[said]
            made = [(CREATE, _("create the flow “%(name)s” from the file") % {"name": sub.name})]
        there = [(f"to:{key}", label) for key, label in self._here[sort].items()]
        return ((LEAVE, _("leave it as it is")), *made, *there)

    # -- what comes of it

    @cached_property
    def result(self) -> Json:
        """The draft as it would be saved."""
        mapping = {
            one.name: one.chosen.removeprefix("to:")
            for one in self.missing
            if one.chosen.startswith("to:")
        }
        mapping |= {
            one.name: _department_slug(one.name[1])
            for one in self.missing
            if one.name[0] == "department" and one.chosen == CREATE
        }
        changed = with_names(self.document.as_dict(), mapping)
        if self.flow is not None:
            changed |= {"slug": self.flow.slug, "name": self.flow.name}
        return changed

    @cached_property
    def findings(self) -> list[Finding]:
        """What the check says of it, with what would be created."""
        around = surroundings()
        created = [one.name for one in self.missing if one.chosen == CREATE]
        new = {_department_slug(said) for sort, said in created if sort == "department"}
        if around.departments is not None and new:
            around = replace(around, departments=frozenset(around.departments) | new)
        parsed = parse_flow(self.result)
        brought = {slug: parsed.subflows[slug] for sort, slug in created if sort == "flow"}
        whole = with_subflows(parsed.model_copy(update={"subflows": {}}))
        whole = whole.model_copy(update={"subflows": {**brought, **whole.subflows}})
        return check_document(whole, around)

    @property
    def errors(self) -> int:
        return sum(one.is_error for one in self.findings)

    @transaction.atomic
    def save(self, *, name: str = "", revision: int = 0, with_golden: bool = True) -> Flow:
        """The file as a draft; nothing goes on air. Raises DraftConflict and what else
        `save_draft` raises; then nothing was created either."""
        for one in self.missing:
            if one.chosen == CREATE:
                self._create(one.name)
        golden = self.package.golden if with_golden else ()
        document = {key: value for key, value in self.result.items() if key != "subflows"}
        if self.flow is None:
            return creation.create(
                name=name or self.document.name[:80],
                document=document,
                user=self.user,
                golden=golden,
            )
        said = {"code": "imported"}
        flows_service.save_draft(self.flow, document, user=self.user, revision=revision, said=said)
        creation.keep_golden(self.flow, golden, user=self.user)
        return self.flow

    def _create(self, name: Name) -> None:
        sort, said = name
        if sort == "department":
            self._create_department(said)
            return
        sub = self.result["subflows"][said]
        creation.create(name=sub["name"][:80], slug=said, document=sub, user=self.user)

    @staticmethod
    def _create_department(said: str) -> None:
        slug, name = _department_slug(said), said[:80]
        is_new = not Department.objects.filter(slug=slug).exists()
        if is_new and Department.objects.filter(name=name).exists():
            raise DomainError(
                _("There is a department called “%(name)s” already: choose it instead.")
                % {"name": name},
                code="department_taken",
            )
        Department.objects.update_or_create(
            slug=slug, defaults={"is_active": True}, create_defaults={"name": name}
        )


def _department_slug(said: str) -> str:
    return slugify(said)[:50] or "departamento"


def counted(document: FlowDocument) -> Iterator[tuple[str, int]]:
    """What the file has, in figures."""
    yield _("steps"), len(document.nodes)
    yield _("words that work anywhere"), sum(len(one.keywords) for one in document.words)
    yield _("variables"), len(document.variables)
    yield _("sub-flows"), len(document.subflows)
