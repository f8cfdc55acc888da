"""The form of one passo: what was typed, what is wrong with it, and the draft that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.http import QueryDict
from django.utils.translation import gettext as _

from chatbot.editor import operations
from chatbot.editor.elements import Element, Field, Note, Rows, Told, everything, fields_in
from chatbot.editor.known import Known, kind_label
from chatbot.editor.layout import elements_of
from chatbot.editor.operations import EditRefused, Json
from chatbot.editor.raw import GROUPS, NEW, ROWS, PairsOf, Raw, read_all, write_all
from chatbot.editor.step_codecs import codecs_of
from chatbot.engine.issues import FlowError, Issue
from chatbot.engine.matching import normalise
from chatbot.engine.nodes import FlowDocument
from chatbot.engine.render import placeholders
from chatbot.findings import SENTENCES, Finding

ID = "node_id"  # the field of the passo's id
MOST_ROWS = 60
# What a form sends beside the passo itself.
CONTROLS = ("csrfmiddlewaretoken", "revision", "base", "kind", "do")
PLAIN_EXITS = ("next", "on_fail", "otherwise", "ok", "error", "on_message")
# Where a finding of the check belongs, where its code alone says it.
_PLACES = {
    "missing_fallback": ("invalid", "fallback"),
    "no_try_limit": ("on_fail",),
    "unknown_handler": ("handler",),
    "unknown_department": ("department",),
    "unknown_skill": ("skills",),
    "unknown_flow": ("flow",),
    "subflow_recursion": ("flow",),
    "unknown_template": ("template",),
    "bad_url": ("url",),
    "missing_error_route": ("error", "routes.error"),
    "empty_text": ("text",),
    "too_many_options": ("options",),
    "no_valid_answer": ("minimum", "maximum"),
    "skip_word_taken": ("skip_words",),
    "sensitive_in_url": ("url",),
}
# Parameters of findings that say where they belong.
_NAMING = (
    "exit",
    "route",
    "argument",
    "value",
    "variable",
    "secret",
    "text",
    "label",
    "said",
    "option",
)


@dataclass(frozen=True)
class Difference:
    """A field that two people left differently. `take` is the part of the form that taking theirs
    replaces."""

    label: str
    mine: str
    theirs: str
    before: str
    take: str
    is_first: bool = True  # of its part
    is_list: bool = False  # the part is a whole list

    @property
    def is_mine_alone(self) -> bool:
        return self.theirs == self.before

    @property
    def is_theirs_alone(self) -> bool:
        return self.mine == self.before


class StepForm:
    """`document` is the draft, read; `node` the passo as it is stored there (or was)."""

    def __init__(
        self,
        document: FlowDocument,
        node_id: str,
        node: Json,
        known: Known,
        raw: Raw | None = None,
    ) -> None:
        self.document = document
        self.node_id = node_id
        self.kind: str = node["kind"]
        self.known = known
        self.raw = raw or raw_of(node, known)
        self.errors: list[str] = []
        self.notes: list[Note] = []
        self._told: dict[str, Told] = {}
        self._saved = _exits_of(document, node_id)
        _unfold_groups(self.raw)

    @classmethod
    def posted(
        cls, document: FlowDocument, node_id: str, kind: str, known: Known, data: QueryDict
    ) -> StepForm:
        return cls(document, node_id, {"kind": kind}, known, Raw.posted(data))

    # -- what it shows

    @cached_property
    def elements(self) -> list[Element]:
        """The fields, with what is said at each."""
        elements = elements_of(self.kind, self.raw, self.known, self._saved)
        for one in everything(elements):
            one.told = self._told.get(one.name, one.told)
        return elements

    @property
    def title(self) -> str:
        return self.raw.text("title").strip() or self.node_id

    @property
    def kind_label(self) -> str:
        return kind_label(self.kind)

    @property
    def kept(self) -> list[tuple[str, str]]:
        """What was typed or stored and is not asked for at the moment: it is sent along, so that it
        is there again when it is."""
        shown = {ID, *CONTROLS}
        for one in everything(self.elements):
            match one:
                case Field():
                    shown |= {one.name, f"{one.name}.new_kind", f"{one.name}.new_title"}
                case Rows():
                    shown.add(one.name + ROWS)
        names = (name for name in self.raw.names() if name not in shown)
        return [(name, text) for name in names for text in self.raw.all(name)]

    @property
    def new_id(self) -> str:
        return self.raw.text(ID).strip() or self.node_id

    @property
    def id_told(self) -> Told:
        return self._told.get(ID, Told())

    @property
    def has_errors(self) -> bool:
        return bool(self.errors) or any(one.errors for one in self._told.values())

    # -- buttons that change its rows

    def do(self, verb: str) -> None:
        """`add:options`, `remove:options.1`, `up:options.1`, `down:options.1`; anything else shows
        the form again as it was typed."""
        action, _colon, name = verb.partition(":")
        rows, _dot, key = name.rpartition(".")
        match action:
            case "add" if len(self.raw.rows(name)) < MOST_ROWS:
                self._add_row(name)
            case "remove":
                self.raw.remove_row(rows, key)
            case "up" | "down":
                self.raw.move_row(rows, key, -1 if action == "up" else 1)
        self.__dict__.pop("elements", None)

    def take(self, name: str, theirs: StepForm) -> None:
        """One part of the form as somebody else left it."""
        self.raw.take(theirs.raw, name)
        self.__dict__.pop("elements", None)

    def _add_row(self, name: str) -> None:
        key = self.raw.add_row(name)
        if name == "cases":
            self.raw.put(f"{name}.{key}.when.is", "all")
            self._add_row(f"{name}.{key}.when.parts")
        elif name.endswith(".parts"):
            self.raw.put(f"{name}.{key}.is", "variable")
        elif name == "values":
            self.raw.put(f"{name}.{key}.op", "set")
            self.raw.put(f"{name}.{key}.value.as", "text")

    # -- saving

    def node(self) -> Json:
        """The passo as it was typed; whether it can be read is for `parse_flow` to say."""
        node = {"kind": self.kind, **read_all(self._codecs, self.raw)}
        if self.kind == "menu":
            _name_options(node["options"])
        return node

    def saved_into(self, draft: Json) -> tuple[Json, str]:
        """(draft, id) with the passo as it was typed, and the passos that its exits ask for.

        Raises FlowError or EditRefused; what is wrong is then said at the fields.
        """
        self._refuse_repeated_names()
        try:
            changed = operations.replace(draft, self.node_id, self.node())
            changed = self._with_new_steps(changed)
            node_id = self.new_id
            return operations.rename(changed, self.node_id, node_id), node_id
        except FlowError as error:
            self._tell_issues(error.issues)
            raise
        except EditRefused as refusal:
            if refusal.code in ("bad_id", "taken_id"):
                self._at(ID).errors.append(refusal.message)
            else:
                self.errors.append(refusal.message)
            raise

    def _refuse_repeated_names(self) -> None:
        """One of two rows with the same name would be lost: said at the later one."""
        for name, codec in self._codecs.items():
            for key, inner in codec.repeated(self.raw, name) if isinstance(codec, PairsOf) else ():
                told = _("“%(key)s” is there twice.") % {"key": inner}
                place = self._at(f"{name}.{key}.name")
                place.errors.append(told if inner else _("This must be filled in."))
        if self.has_errors:
            self.__dict__.pop("elements", None)
            raise EditRefused(_("Two rows have the same name."), code="repeated_name")

    def _with_new_steps(self, document: Json) -> Json:
        exits = self._exit_names(document["nodes"][self.node_id])
        for name in [one for one in self.raw.names() if self.raw.text(one) == NEW]:
            exit_name = exits.get(name)
            if exit_name is None:
                continue
            kind = self.raw.text(f"{name}.new_kind") or "send"
            title = self.raw.text(f"{name}.new_title").strip() or kind_label(kind)
            document, _new = operations.add_after(document, self.node_id, exit_name, kind, title)
        return document

    def _exit_names(self, node: Json) -> dict[str, str]:
        """The exit that each field of the form stands for."""
        names = {one: one for one in PLAIN_EXITS}
        options = zip(self.raw.rows("options"), node.get("options", ()), strict=False)
        names |= {f"options.{key}.next": f"option:{option['id']}" for key, option in options}
        cases = enumerate(self.raw.rows("cases"), 1)
        names |= {f"cases.{key}.next": f"case:{number}" for number, key in cases}
        routes = (one for one in self.raw.names() if one.startswith("routes."))
        return {**names, **{one: f"route:{one.removeprefix('routes.')}" for one in routes}}

    @property
    def _codecs(self) -> Mapping[str, Any]:
        return codecs_of(self.kind, self.known.handler(self.raw.text("handler")))

    # -- what is said about it

    def _at(self, name: str) -> Told:
        return self._told.setdefault(name, Told())

    def _tell_issues(self, issues: Sequence[Issue]) -> None:
        fields = {field.name: field for _label, field in fields_in(self.elements)}
        places = {one.name for one in everything(self.elements)}
        for issue in issues:
            name = self._place_of(issue, places)
            field = fields.get(name)
            sentence = self._issue_in_words(issue, field)
            told = self._at(name).errors if name else self.errors
            if sentence not in told:
                told.append(sentence)
        self.__dict__.pop("elements", None)

    def _issue_in_words(self, issue: Issue, field: Field | None) -> str:
        if field is not None and not field.value.strip() and issue.code in _EMPTY:
            return _("This must be filled in.")
        about = dict(issue.params)
        if field is not None:
            about["field"] = field.label
        sentence = str(SENTENCES[issue.code]) % about
        return sentence if issue.node in ("", self.node_id) else f"{issue.node}: {sentence}"

    def _place_of(self, issue: Issue, places: set[str]) -> str:
        """The field or row that an issue is about; "" when it is about the whole."""
        if issue.node != self.node_id:
            return ""
        name = self._field_named(issue.field.split(".") if issue.field else [])
        while name and name not in places:
            name = name.rpartition(".")[0]
        if not name and issue.code in ("template_with_text", "duplicate_option"):
            return "template" if issue.code == "template_with_text" else "options"
        return name

    def _field_named(self, parts: list[str]) -> str:
        """The name in the form of a dotted path into the passo: places in lists become keys of
        rows, names in mappings too, and conditions have their own."""
        name = ""
        for part in parts:
            here = "parts" if part in GROUPS and self.raw.rows(f"{name}.parts") else part
            rows = self.raw.rows(name) if name else []
            if part == "[key]":
                continue
            if here.isdigit() and rows:
                here = rows[min(int(here), len(rows) - 1)]
            elif rows and name in ("headers", "mapping", "fields"):
                keyed = {self.raw.text(f"{name}.{key}.name").strip(): key for key in rows}
                return f"{name}.{keyed[here]}.value" if here in keyed else name
            elif name.endswith(".when") and here != "parts":
                alone = self.raw.rows(f"{name}.parts")[:1]
                name, here = f"{name}.parts", ".".join((*alone, _asked_field(here)))
            name = f"{name}.{here}" if name else here
        return _without_doubles(name)

    def tell_findings(self, findings: Sequence[Finding]) -> None:
        """What the check finds about the passo, as the draft is stored, at its fields."""
        fields = {field.name: field for _label, field in fields_in(self.elements)}
        places = {one.name for one in everything(self.elements)}
        for finding in findings:
            if finding.node != self.node_id:
                continue
            found = self._places_of(finding.code, finding.params, fields)
            name = next((one for one in found if one in places), "")
            note = Note(finding.severity, finding.text)
            (self._at(name).notes if name else self.notes).append(note)
        self.__dict__.pop("elements", None)

    def _places_of(
        self, code: str, params: Mapping[str, Any], fields: Mapping[str, Field]
    ) -> list[str]:
        """Where a finding could be said, the best place first."""
        named = {name: str(params[name]) for name in _NAMING if name in params}
        match code:
            case "dangling_exit" | "missing_else":
                exit_name = named.get("exit", "otherwise")
                names = self._exit_names(_stored(self.document, self.node_id))
                return [field for field, exit_ in names.items() if exit_ == exit_name]
            case "missing_route" | "unknown_route":
                return [f"routes.{named['route']}"]
            case "bad_args":
                return [f"args.{named['argument']}"]
            case "template_value" | "unknown_template_value":
                return [f"template.values.{named['value']}", "template"]
        if "case" in params:
            return self._row("cases", params["case"])
        own = list(_PLACES.get(code, ()))
        return [
            *own,
            *self._by_field(params),
            *_naming(fields, named),
            *_with_option(fields, named),
        ]

    def _by_field(self, params: Mapping[str, Any]) -> list[str]:
        """The setting that a finding names: one of the passo, or of an option of it."""
        field = str(params.get("field", ""))
        if field in ("option", "description"):
            inner = "label" if field == "option" else field
            return [f"{row}.{inner}" for row in self._row("options", params.get("number"))]
        return [field]

    def _row(self, name: str, number: Any) -> list[str]:
        rows = self.raw.rows(name)
        is_there = isinstance(number, int) and 0 < number <= len(rows)
        return [f"{name}.{rows[number - 1]}"] if is_there else []


_EMPTY = frozenset({"bad_name", "missing_field", "bad_value", "too_short"})


def raw_of(node: Json, known: Known) -> Raw:
    """A stored passo in a form. An option without a label has no id yet: it gets one with it."""
    raw = Raw()
    codecs = codecs_of(node["kind"], known.handler(str(node.get("handler", ""))))
    write_all(codecs, raw, node)
    for key in raw.rows("options"):
        if not raw.text(f"options.{key}.label"):
            raw.put(f"options.{key}.id", "")
    return raw


def differences(mine: StepForm, theirs: StepForm, before: StepForm | None) -> list[Difference]:
    """The fields that differ between two people's forms of a passo, in the order drawn."""
    left = dict(_by_place(mine))
    right = dict(_by_place(theirs))
    first = dict(_by_place(before)) if before else {}
    empty = Field("", "", "line", [])
    found: list[Difference] = []
    for place in dict.fromkeys((*left, *right)):
        one, other = left.get(place, empty), right.get(place, empty)
        if one.shown != other.shown:
            name = one.name or other.name
            part = name.partition(".")[0]
            found.append(
                Difference(
                    label=place,
                    mine=one.shown,
                    theirs=other.shown,
                    before=first.get(place, empty).shown,
                    take=part,
                    is_first=part not in {known.take for known in found},
                    is_list=bool(mine.raw.rows(part) or theirs.raw.rows(part)),
                )
            )
    return found


def _by_place(form: StepForm) -> list[tuple[str, Field]]:
    """Fields by what they are called, the rows around them counted."""
    return [(label, field) for label, field in fields_in(form.elements)]


def _exits_of(document: FlowDocument, node_id: str) -> dict[str, str]:
    node = document.nodes.get(node_id)
    return {one.name: one.target for one in node.exits()} if node else {}


def _stored(document: FlowDocument, node_id: str) -> Json:
    found = document.nodes.get(node_id)
    return found.model_dump(mode="json") if found else {}


def _name_options(options: list[Json]) -> None:
    """An option without an id gets one made from its label."""
    for option in options:
        if not option["id"]:
            option["id"] = operations.free_option_id(options, option["label"])


def _unfold_groups(raw: Raw) -> None:
    """A condition that has just become a group: with one condition to begin with."""
    for name in raw.names():
        if name.endswith(".is") and raw.text(name) == "group":
            inner = name.removesuffix(".is")
            raw.put(name, "all")
            if not raw.rows(f"{inner}.parts"):
                key = raw.add_row(f"{inner}.parts")
                raw.put(f"{inner}.parts.{key}.is", "variable")


def _asked_field(part: str) -> str:
    return {"hours": "from"}.get(part, part)


def _without_doubles(name: str) -> str:
    """Tags of conditions stand before their fields: `variable.op` is the field `op`."""
    head, _dot, rest = name.rpartition(".parts.")
    parts = rest.split(".")
    if head and len(parts) > 2 and parts[1] == "variable":  # noqa: PLR2004 - key, tag, field
        parts = [parts[0], parts[2]]
        return f"{head}.parts.{'.'.join(parts)}"
    return name


def _naming(fields: Mapping[str, Field], named: Mapping[str, str]) -> list[str]:
    """The fields whose text names a variable or a secret, or holds a stretch of text."""
    variable, text = named.get("variable", ""), named.get("text", "").strip("…")
    wanted = variable or (f"secret.{named['secret']}" if "secret" in named else "")
    return [
        name
        for name, field in fields.items()
        if (text and text in field.value)
        or (wanted and field.value == wanted)
        or (wanted and any(wanted in (one, one.partition(".")[0]) for one in _named(field.value)))
    ]


def _named(text: str) -> list[str]:
    return [name for name, _default in placeholders(text)]


def _with_option(fields: Mapping[str, Field], named: Mapping[str, str]) -> list[str]:
    """The options that say what a finding is about, then the whole list of them."""
    said = {normalise(named[name]) for name in ("label", "said", "option") if named.get(name)} - {
        ""
    }
    own = [name for name in fields if name.startswith("options.")]
    found = [name for name in own if said & set(map(normalise, fields[name].value.split("\n")))]
    return [*found, "options"] if said else []
