"""Which fields the form of each kind of passo has, in which order, with their words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.utils.dates import WEEKDAYS
from django.utils.functional import Promise
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from chatbot.editor.elements import Element, Field, Group, Option, OptionGroup, Row, Rows
from chatbot.editor.known import Known
from chatbot.editor.raw import GROUPS, Raw
from chatbot.editor.step_codecs import HandlerShape
from chatbot.handlers.forms import ArgumentField
from chatbot.kind_words import ANSWERS, MEDIA
from chatbot.labels import EXIT_LABELS
from leads.models import LeadStatus
from tickets.models import Priority

Choices = Sequence[tuple[str, str | Promise]]

SHORT, LONG = 200, 4096
DEEPEST = 3  # groups of conditions inside groups

JOINS: Choices = (
    ("all", gettext_lazy("all of these hold")),
    ("any", gettext_lazy("any of these holds")),
    ("none", gettext_lazy("none of these holds")),
)
CONDITIONS: Choices = (
    ("variable", gettext_lazy("variable or fact")),
    ("open", gettext_lazy("department is open")),
    ("hours", gettext_lazy("time of day")),
    ("weekday", gettext_lazy("day of the week")),
    ("tag", gettext_lazy("lead has the tag")),
    ("first_contact", gettext_lazy("first contact")),
    ("group", gettext_lazy("group of conditions")),
)
OPERATORS: Choices = (
    ("eq", gettext_lazy("is")),
    ("ne", gettext_lazy("is not")),
    ("contains", gettext_lazy("contains the words")),
    ("in", gettext_lazy("is one of")),
    ("lt", gettext_lazy("is less than")),
    ("le", gettext_lazy("is at most")),
    ("gt", gettext_lazy("is more than")),
    ("ge", gettext_lazy("is at least")),
    ("filled", gettext_lazy("has a value")),
    ("empty", gettext_lazy("is empty")),
)
ASSIGNMENTS: Choices = (
    ("set", gettext_lazy("becomes")),
    ("copy", gettext_lazy("becomes what is in the variable")),
    ("add", gettext_lazy("goes up by")),
    ("subtract", gettext_lazy("goes down by")),
    ("append", gettext_lazy("gets one more item")),
    ("clear", gettext_lazy("is cleared")),
    ("lower", gettext_lazy("in small letters")),
    ("upper", gettext_lazy("in capital letters")),
    ("title", gettext_lazy("with Initial Capitals")),
    ("first_word", gettext_lazy("only the first word")),
)
WITHOUT_VALUE = frozenset({"clear", "lower", "upper", "title", "first_word"})
SCALARS: Choices = (
    ("text", gettext_lazy("text")),
    ("number", gettext_lazy("number")),
    ("yes", gettext_lazy("yes")),
    ("no", gettext_lazy("no")),
    ("nothing", gettext_lazy("nothing")),
)
PRESENTATIONS: Choices = (
    ("auto", gettext_lazy("as it fits: buttons up to 3, else a list")),
    ("buttons", gettext_lazy("buttons")),
    ("list", gettext_lazy("list")),
    ("text", gettext_lazy("numbered text")),
)
UNITS: Choices = (
    ("s", gettext_lazy("seconds")),
    ("min", gettext_lazy("minutes")),
    ("h", gettext_lazy("hours")),
    ("d", gettext_lazy("days")),
)
LEAD_FIELDS: Choices = (
    ("name", gettext_lazy("name")),
    ("email", gettext_lazy("e-mail")),
    ("phone", gettext_lazy("phone")),
    ("document", gettext_lazy("CPF or CNPJ")),
    ("company", gettext_lazy("company")),
    ("need", gettext_lazy("need")),
)
WHEN: Choices = (
    ("", gettext_lazy("any")),
    ("past", gettext_lazy("today or before")),
    ("future", gettext_lazy("today or later")),
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def elements_of(kind: str, raw: Raw, known: Known, saved: dict[str, str]) -> list[Element]:
    """The form. `saved`: where each exit leads in the stored draft, by the exit's name."""
    form = _Form(raw, known, saved)
    return [
        form.line("title", _("Title"), help=_("What the map and the logs call it.")),
        *_LAYOUTS[kind](form),
    ]


@dataclass
class _Form:
    """Makes fields out of what was typed."""

    raw: Raw
    known: Known
    saved: dict[str, str]
    names: list[Option] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = [(one.name, one.declared.label) for one in self.known.variables]

    def line(self, name: str, label: str, **more: Any) -> Field:
        return Field(name, label, "line", self.raw.all(name), **more)

    def area(self, name: str, label: str, **more: Any) -> Field:
        more.setdefault("takes_variables", True)
        return Field(name, label, "area", self.raw.all(name), **more)

    def number(self, name: str, label: str, **more: Any) -> Field:
        return self.line(name, label, mode="decimal", **more)

    def check(self, name: str, label: str, **more: Any) -> Field:
        return Field(name, label, "check", self.raw.all(name), **more)

    def select(self, name: str, label: str, choices: Choices, **more: Any) -> Field:
        """What is stored stays a choice, even where it is none any more."""
        options = [(value, capfirst(str(text))) for value, text in choices]
        value = self.raw.text(name)
        if value not in {one for one, _text in options}:
            options.append((value, _("%(value)s (not known here)") % {"value": value or "–"}))
        return Field(
            name, label, "select", self.raw.all(name), choices=[("", tuple(options))], **more
        )

    def grouped(self, name: str, label: str, groups: Sequence[OptionGroup], **more: Any) -> Field:
        value = self.raw.text(name)
        known = {one for _group, options in groups for one, _text in options}
        first: list[OptionGroup] = [("", (("", _("choose…")),))]
        if value and value not in known:
            first.append(("", ((value, value),)))
        return Field(name, label, "select", self.raw.all(name), choices=[*first, *groups], **more)

    def variable(self, name: str, label: str, **more: Any) -> Field:
        """The name of a variable, an old or a new one."""
        more.setdefault("help", _("Small letters, digits and _."))
        return self.line(name, label, suggestions=self.names, **more)

    def target(self, name: str, exit_name: str, label: str, **more: Any) -> Field:
        value = self.raw.text(name)
        groups = list(self.known.targets)
        if value and not any(value == one for _g, options in groups for one, _t in options):
            groups.append(("", ((value, _("%(step)s (deleted)") % {"step": value}),)))
        opens = self.saved.get(exit_name, "")
        return Field(
            name,
            label,
            "target",
            self.raw.all(name),
            choices=groups,
            exit=exit_name if opens else "",
            new_kind=self.raw.text(f"{name}.new_kind") or "send",
            new_title=self.raw.text(f"{name}.new_title"),
            opens=opens if opens in self.known.document.nodes else "",
            **more,
        )

    def next(self, label: str = "") -> Field:
        return self.target("next", "next", label or _("Then go to"))

    def rows(
        self,
        name: str,
        label: str,
        row: Callable[[str, str], list[Element]],
        *,
        row_label: str,
        add_label: str,
        **more: Any,
    ) -> Rows:
        """`row` gets the key of a row and the prefix of its names."""
        made = [
            Row(key, f"{row_label} {number}", row(key, f"{name}.{key}"), name=f"{name}.{key}")
            for number, key in enumerate(self.raw.rows(name), 1)
        ]
        return Rows(name, label, made, add_label=add_label, row_label=row_label, **more)

    def limit(self, name: str) -> int:
        return self.known.limits.get(name, 0)

    def has_text(self, *names: str) -> bool:
        return any(self.raw.text(name).strip() for name in names) or any(
            self.raw.rows(name) for name in names
        )


# --- Saying and asking -------------------------------------------------------------------------


def _start(form: _Form) -> Iterator[Element]:
    yield form.next()
    yield form.variable(
        "save_as",
        _("Keep the first message in the variable"),
        help=_("Optional. The text that started the flow."),
    )
    yield form.check(
        "answers_words",
        _("Words that work anywhere count in the first message too"),
        help=_("For instance somebody who begins with “atendente”."),
    )


def _send(form: _Form) -> Iterator[Element]:
    yield form.area("text", _("Text"), limit=form.limit("text_length"), rows=4)
    yield Group(
        _("File"),
        [
            form.select("media.kind", _("Kind of file"), [("", _("none")), *MEDIA.items()]),
            form.line("media.url", _("Address (https)"), takes_variables=True),
            form.line(
                "media.ref",
                _("Or a stored file"),
                help=_("Its reference, for instance {{ foto }} from a question."),
                takes_variables=True,
            ),
            form.line("media.filename", _("Name that the customer sees"), takes_variables=True),
        ],
        folds=True,
        is_filled=form.has_text("media.kind", "media.url", "media.ref"),
        help=_("The text above becomes its caption."),
    )
    yield Group(
        _("Footer"),
        [form.line("footer", _("Footer"), limit=form.limit("footer"), is_quiet=True)],
        folds=True,
        is_filled=form.has_text("footer"),
    )
    yield Group(
        _("Message template instead"),
        list(_template(form)),
        folds=True,
        is_filled=form.has_text("template"),
        help=_("Goes out even when the 24-hour window is closed. It says it all: no text or file."),
    )
    yield form.next()


def _template(form: _Form) -> Iterator[Element]:
    yield form.select(
        "template",
        _("Message template"),
        [("", _("none")), *form.known.templates],
        refreshes=True,
        help=form.known.template_text(form.raw.text("template")),
    )
    needed = form.known.template_values(form.raw.text("template"))
    shown = {one.key: one for one in needed}
    for key in dict.fromkeys((*shown, *form.raw.rows("template.values"))):
        one = shown.get(key)
        label = _("Value of %(name)s") % {"name": key}
        example = _("For instance: %(example)s") % {"example": one.example} if one else ""
        yield form.line(
            f"template.values.{key}",
            label,
            takes_variables=True,
            help=example if one and one.example else "",
        )


def _ask(form: _Form) -> Iterator[Element]:
    yield form.area("text", _("Question"), limit=form.limit("text_length"))
    yield Group(
        "",
        [
            form.select(
                "answer",
                _("Answer"),
                [("text", _("text")), *ANSWERS.items()],
                help=_("What does not fit is asked for again."),
                refreshes=True,
            ),
            form.variable("save_as", _("Keep it in the variable")),
        ],
        is_inline=True,
    )
    bounds = {"number": _("of the number"), "text": _("of characters")}.get(form.raw.text("answer"))
    limits: list[Element] = [
        form.number("minimum", _("Least")),
        form.number("maximum", _("Most")),
    ]
    if bounds or form.has_text("minimum", "maximum"):
        yield Group("", limits, is_inline=True, help=bounds or "")
    if form.raw.text("answer") == "date" or form.raw.text("when"):
        yield form.select("when", _("Which days"), WHEN)
    yield form.next(_("With a good answer go to"))
    yield from _tries(form, "invalid", _("When the answer does not fit"))
    yield Group(
        _("Files and skipping"),
        [
            form.check("accepts_media", _("A file counts as an answer too")),
            form.area(
                "only_text",
                _("Said to who sends a file instead"),
                rows=2,
                help=_("Empty: the flow's own text."),
            ),
            form.area(
                "skip_words",
                _("Words that skip the question"),
                rows=2,
                takes_variables=False,
                help=_("One a line, for instance “pular”. The variable stays as it is."),
            ),
        ],
        folds=True,
        is_filled=form.has_text("accepts_media", "only_text", "skip_words"),
    )


def _tries(form: _Form, field_name: str, label: str) -> Iterator[Element]:
    """What happens to who cannot answer."""
    texts: list[Element] = [
        form.area(field_name, label, rows=2, help=_("Said before asking again."))
    ]
    if field_name == "fallback":
        texts.append(
            form.area(
                "ambiguous",
                _("When it fits two options"),
                rows=2,
                help=_("Empty: the same as above."),
            )
        )
    yield Group(
        _("Wrong answers"),
        [
            *texts,
            form.number(
                "tries", _("Tries"), help=_("0: no limit, and who answers wrongly is stuck.")
            ),
            form.target("on_fail", "on_fail", _("After the last try go to")),
        ],
    )


def _menu(form: _Form) -> Iterator[Element]:
    raw, limit = form.raw, form.limit
    count, kind = len(raw.rows("options")), raw.text("presentation")
    is_list = kind == "list" or (kind == "auto" and count > (limit("buttons") or count))
    label_limit = 0 if kind == "text" else limit("list_row_title" if is_list else "button_title")
    yield form.area("text", _("Text"), limit=0 if kind == "text" else limit("body_length"))

    def option(_key: str, name: str) -> list[Element]:
        saved_id = raw.text(f"{name}.id")
        fields: list[Element] = [
            Group(
                "",
                [
                    form.line(f"{name}.label", _("What it says"), limit=label_limit),
                    form.target(f"{name}.next", f"option:{saved_id}", _("Goes to")),
                ],
                is_inline=True,
            ),
            Group(
                _("More"),
                [
                    form.line(
                        f"{name}.description",
                        _("Description"),
                        limit=limit("list_row_description"),
                        help=_("Shown in a list, below the option."),
                    ),
                    form.area(
                        f"{name}.synonyms",
                        _("Synonyms"),
                        rows=2,
                        takes_variables=False,
                        help=_("One a line: what people type instead of tapping."),
                    ),
                    form.line(
                        f"{name}.id",
                        _("Id"),
                        help=_("What is kept in the variable. Empty: made from what it says."),
                    ),
                ],
                folds=True,
            ),
        ]
        return fields

    yield form.rows(
        "options",
        _("Options"),
        option,
        row_label=pgettext("of a menu", "Option"),
        add_label=_("Add option"),
        least=1,
    )
    yield form.variable(
        "save_as",
        _("Keep the choice in the variable"),
        help=_("Optional. The id of the option is kept."),
    )
    yield from _tries(form, "fallback", _("When it is not understood"))
    yield Group(
        _("How it looks"),
        [
            form.select("presentation", _("Shown as"), PRESENTATIONS, refreshes=True),
            form.line("header", _("Heading"), limit=limit("header"), takes_variables=True),
            form.line("footer", _("Footer"), limit=limit("footer"), takes_variables=True),
            form.line("list_button", _("Button that opens the list"), limit=limit("list_button")),
            form.area(
                "only_text",
                _("Said to who sends a file instead"),
                rows=2,
                help=_("Empty: the flow's own text."),
            ),
        ],
        folds=True,
        is_filled=form.has_text("header", "footer", "only_text") or kind != "auto",
    )


# --- Deciding and keeping ----------------------------------------------------------------------


def _branch(form: _Form) -> Iterator[Element]:
    def case(key: str, name: str) -> list[Element]:
        return [
            form.select(f"{name}.when.is", _("When"), JOINS),
            _conditions(form, f"{name}.when", 0),
            form.target(f"{name}.next", f"case:{_saved_number(key)}", _("Go to")),
            form.line(
                f"{name}.label", _("Called on the map"), help=_("Optional, for instance “aberto”.")
            ),
        ]

    yield form.rows(
        "cases",
        _("Cases"),
        case,
        row_label=pgettext("of a condition", "Case"),
        add_label=_("Add case"),
        least=1,
        help=_("The first case that holds is taken."),
    )
    yield form.target("otherwise", "otherwise", _("Otherwise go to"))


def _saved_number(key: str) -> int:
    """The place that a row has in the stored passo: its key says; 0 when it came later."""
    return int(key) + 1 if key.isdigit() else 0


def _conditions(form: _Form, name: str, depth: int) -> Rows:
    def part(_key: str, inner: str) -> list[Element]:
        kind = form.raw.text(f"{inner}.is")
        kinds = CONDITIONS if depth < DEEPEST else CONDITIONS[:-1]
        if kind in GROUPS:
            return [
                form.select(f"{inner}.is", _("Group"), JOINS),
                _conditions(form, inner, depth + 1),
            ]
        chosen = form.select(
            f"{inner}.is",
            _("Look at"),
            kinds,
            refreshes=True,
        )
        return [chosen, *_asked(form, inner, kind)]

    return form.rows(
        f"{name}.parts",
        _("Conditions"),
        part,
        row_label=_("Condition"),
        add_label=_("Add condition"),
        least=1 if depth == 0 else 0,
        is_ordered=False,
        is_compact=True,
    )


def _asked(form: _Form, name: str, kind: str) -> list[Element]:
    match kind:
        case "open":
            any_one = [("", _("any department")), *form.known.departments]
            return [form.select(f"{name}.open", _("Department"), any_one)]
        case "tag":
            return [form.line(f"{name}.tag", _("Tag"), suggestions=form.known.tags)]
        case "hours":
            help_text = _("HH:MM. It may pass midnight.")
            return [
                form.line(f"{name}.from", _("From"), help=help_text),
                form.line(f"{name}.to", _("Until")),
            ]
        case "weekday":
            days = tuple((str(number), capfirst(str(day))) for number, day in WEEKDAYS.items())
            values = form.raw.all(f"{name}.weekday")
            return [Field(f"{name}.weekday", _("Days"), "checks", values, choices=[("", days)])]
        case "first_contact":
            answers = [("yes", _("it is the first contact")), ("no", _("has been here before"))]
            return [form.select(f"{name}.first_contact", _("The customer"), answers)]
    return _comparison(form, name)


def _comparison(form: _Form, name: str) -> list[Element]:
    variable, operation = form.raw.text(f"{name}.variable"), form.raw.text(f"{name}.op") or "eq"
    elements: list[Element] = [
        form.grouped(f"{name}.variable", _("Variable"), form.known.compared, refreshes=True),
        form.select(f"{name}.op", _("Comparison"), OPERATORS, refreshes=True),
    ]
    suggestions = form.known.values_of(variable)
    if operation == "in":
        elements.append(
            form.area(
                f"{name}.value", _("Values"), rows=3, takes_variables=False, help=_("One a line.")
            )
        )
    elif operation not in ("filled", "empty") or form.raw.text(f"{name}.value"):
        elements.append(form.line(f"{name}.value", _("Value"), suggestions=suggestions))
    return elements


def _set(form: _Form) -> Iterator[Element]:
    def assignment(_key: str, name: str) -> list[Element]:
        operation = form.raw.text(f"{name}.op")
        elements: list[Element] = [
            form.variable(f"{name}.name", _("Variable"), help=""),
            form.select(f"{name}.op", _("Change"), ASSIGNMENTS, refreshes=True),
        ]
        if operation == "copy":
            value = form.line(f"{name}.value", _("Variable to copy"), suggestions=form.names)
            return [*elements, value]
        if operation not in WITHOUT_VALUE or form.raw.text(f"{name}.value"):
            elements.append(form.line(f"{name}.value", _("Value"), takes_variables=True))
            elements.append(form.select(f"{name}.value.as", _("It is a"), SCALARS))
        return elements

    yield form.rows(
        "values",
        _("Changes"),
        assignment,
        row_label=_("Change"),
        add_label=_("Add change"),
        least=1,
        is_compact=True,
        help=_("One after the other."),
    )
    yield form.next()


def _lead(form: _Form) -> Iterator[Element]:
    def pair(_key: str, name: str) -> list[Element]:
        known = [(value, capfirst(str(label))) for value, label in LEAD_FIELDS]
        return [
            form.line(f"{name}.name", _("Field"), suggestions=known),
            form.line(f"{name}.value", _("Value"), takes_variables=True),
        ]

    yield form.rows(
        "fields",
        _("Fields"),
        pair,
        row_label=_("Field"),
        add_label=_("Add field"),
        is_ordered=False,
        is_compact=True,
        help=_(
            "name, email, phone, document, company, need; any other name becomes a field of its "
            "own. What is empty is left alone."
        ),
    )
    yield form.select("status", _("Stage"), [("", _("as it is")), *LeadStatus.choices])
    tags: list[Element] = [
        form.area("add_tags", _("Put on the tags"), rows=2, help=_("One a line.")),
        form.area("remove_tags", _("Take off the tags"), rows=2, help=_("One a line.")),
    ]
    yield Group("", tags, is_inline=True)
    yield Group(
        _("Consent (LGPD)"),
        [
            form.line("consent.purpose", _("Purpose"), help=_("For instance “marketing”.")),
            form.check("consent.granted", _("Given; not ticked: taken back")),
            form.area("consent.text", _("The words that were shown"), rows=2),
        ],
        folds=True,
        is_filled=form.has_text("consent.purpose", "consent.text"),
    )
    yield form.next()


# --- Other programs ----------------------------------------------------------------------------


def _call(form: _Form) -> Iterator[Element]:
    name = form.raw.text("handler")
    shape = form.known.handler(name)
    yield form.select(
        "handler",
        _("Integration"),
        [("", _("choose…")), *form.known.handlers],
        refreshes=True,
        help=_filled_by(form.known.outputs_of(name)),
    )
    fields = {one.name: one for one in (shape or HandlerShape()).fields}
    arguments: list[Element] = [
        _argument(form, fields[key]) if key in fields else form.line(f"args.{key}", key)
        for key in dict.fromkeys((*fields, *form.raw.rows("args")))
    ]
    if arguments:
        yield Group(_("What it gets"), arguments)
    routes = (*(shape or HandlerShape()).routes, *form.raw.rows("routes"))
    exits: list[Element] = [
        form.target(f"routes.{route}", f"route:{route}", _route_label(route))
        for route in dict.fromkeys(routes)
    ]
    yield Group(_("Where it goes on"), exits)


def _filled_by(names: Sequence[str]) -> str:
    return _("Fills: %(names)s.") % {"names": ", ".join(names)} if names else ""


def _route_label(route: str) -> str:
    return capfirst(str(EXIT_LABELS.get(route, route)))


def _argument(form: _Form, one: ArgumentField) -> Field:
    name, label = f"args.{one.name}", one.label
    told = [one.help] if one.help else []
    if one.default:
        told.append(_("Empty: %(default)s.") % {"default": one.default})
    if not one.is_required and not one.default:
        told.append(_("Optional."))
    about: dict[str, Any] = {"help": " ".join(told)}
    if one.kind == "choice":
        return form.select(
            name, label, [("", "–"), *((value, value) for value in one.choices)], **about
        )
    if one.kind == "boolean":
        answers = [("", "–"), ("true", _("yes")), ("false", _("no"))]
        return form.select(name, label, answers, **about)
    if one.kind == "choices":
        options = tuple((value, value) for value in one.choices)
        return Field(name, label, "checks", form.raw.all(name), choices=[("", options)], **about)
    if one.kind in ("lines", "json"):
        told.append(_("One a line.") if one.kind == "lines" else _("As JSON."))
        about["help"] = " ".join(told)
        return form.area(name, label, **about)
    return form.line(name, label, takes_variables=True, **about)


def _http(form: _Form) -> Iterator[Element]:
    yield Group(
        "",
        [
            form.select("method", _("Method"), [(one, one) for one in METHODS]),
            form.line(
                "url", _("Address"), takes_variables=True, help=_("https:// and a fixed host.")
            ),
        ],
        is_inline=True,
    )

    def header(_key: str, name: str) -> list[Element]:
        return [
            form.line(f"{name}.name", _("Header")),
            form.line(f"{name}.value", _("Value"), takes_variables=True),
        ]

    def mapped(_key: str, name: str) -> list[Element]:
        return [
            form.variable(f"{name}.name", _("Variable"), help=""),
            form.line(
                f"{name}.value", _("Where in the answer"), help=_("For instance fatura.valor")
            ),
        ]

    yield form.rows(
        "headers",
        _("Headers"),
        header,
        row_label=_("Header"),
        add_label=_("Add header"),
        is_ordered=False,
        is_compact=True,
        help=_secrets_help(form),
    )
    yield form.area("body", _("Body"), rows=4, help=_("For instance JSON with variables in it."))
    yield form.rows(
        "mapping",
        _("Keep from the answer"),
        mapped,
        row_label=_("Value"),
        add_label=_("Add value"),
        is_ordered=False,
        is_compact=True,
        help=_("A dotted path into the JSON answer."),
    )
    numbers: list[Element] = [
        form.number("timeout_seconds", _("Wait at most (seconds)")),
        form.number("retries", _("Tries again")),
    ]
    yield Group("", numbers, is_inline=True)
    yield form.target("ok", "ok", _("With an answer go to"))
    yield form.target("error", "error", _("When it fails go to"))


def _secrets_help(form: _Form) -> str:
    if not form.known.secrets:
        return _(
            "A password belongs among the secrets of this site (Chatbot, Secrets), never here."
        )
    names = ", ".join(f"{{{{ secret.{name} }}}}" for name in form.known.secrets)
    return _("Secrets are named, never written here: %(names)s") % {"names": names}


def _handoff(form: _Form) -> Iterator[Element]:
    departments = [("", _("the fallback department")), *form.known.departments]
    yield Group(
        "",
        [
            form.select("department", _("Department"), departments),
            form.select("priority", _("Priority"), Priority.choices),
        ],
        is_inline=True,
    )
    yield form.area(
        "text",
        _("Said in business hours"),
        limit=form.limit("text_length"),
        help=_("{{ protocol }} is the ticket's number."),
    )
    yield form.area(
        "closed_text",
        _("Said outside of them"),
        limit=form.limit("text_length"),
        help=_("Empty: the same text."),
    )
    yield form.area("reason", _("What the team reads"), rows=2, help=_("The reason on the ticket."))
    yield form.area("skills", _("Skills needed"), rows=2, help=_skills_help(form))


def _skills_help(form: _Form) -> str:
    if not form.known.skills:
        return _("There are none yet: they are made under Team, Skills.")
    names = ", ".join(form.known.skills)
    return _("One a line. Distribution gives the ticket to who has all of them: %(names)s.") % {
        "names": names
    }


def _flow(form: _Form) -> Iterator[Element]:
    flows = [("", _("choose…")), *form.known.flows]
    yield form.select(
        "flow",
        _("Flow"),
        flows,
        help=_("It runs as it is on air when this flow is published. Variables are shared."),
    )
    yield form.next(_("When it comes back go to"))


def _wait(form: _Form) -> Iterator[Element]:
    yield Group(
        "",
        [form.number("seconds", _("How long")), form.select("seconds.unit", _("Unit"), UNITS)],
        is_inline=True,
        help=_("At most 30 days."),
    )
    yield form.next(_("After that go to"))
    yield form.check("interruptible", _("A message of the customer ends the wait"))
    yield form.target(
        "on_message",
        "on_message",
        _("After a message go to"),
        help=_("Not connected: as after the wait."),
    )


def _end(form: _Form) -> Iterator[Element]:
    yield form.area("text", _("Last words"), limit=form.limit("text_length"), help=_("Optional."))
    yield form.check(
        "end_session",
        _("The conversation ends too"),
        help=_("Not ticked: the customer's next message starts a flow again."),
    )


_LAYOUTS: dict[str, Callable[[_Form], Iterator[Element]]] = {
    "start": _start,
    "send": _send,
    "ask": _ask,
    "menu": _menu,
    "branch": _branch,
    "set": _set,
    "lead": _lead,
    "call": _call,
    "http": _http,
    "handoff": _handoff,
    "flow": _flow,
    "wait": _wait,
    "end": _end,
}
