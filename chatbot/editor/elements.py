"""The parts that the form of a passo consists of, as its templates draw them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

Widget = Literal["line", "area", "select", "check", "checks", "target"]
Option = tuple[str, str]
OptionGroup = tuple[str, tuple[Option, ...]]


@dataclass(frozen=True)
class Note:
    """What the check says about a field of the passo as it is saved."""

    severity: str
    text: str


@dataclass
class Told:
    """What is said at a place of the form: what cannot be saved, and what the check found."""

    errors: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    @property
    def is_bad(self) -> bool:
        return bool(self.errors) or any(one.severity == "error" for one in self.notes)


@dataclass
class Field:
    """One setting. `limit`: characters that the channel takes. `refreshes`: what else the form asks
    depends on it."""

    name: str
    label: str
    widget: Widget
    values: list[str]
    help: str = ""
    choices: Sequence[OptionGroup] = ()
    suggestions: Sequence[Option] = ()
    limit: int = 0
    rows: int = 3
    mode: str = ""  # inputmode
    takes_variables: bool = False
    refreshes: bool = False
    is_quiet: bool = False  # its label is for who does not see the form
    told: Told = field(default_factory=Told)
    # of an exit
    exit: str = ""
    new_kind: str = ""
    new_title: str = ""
    opens: str = ""  # the passo that it is connected to, in the saved draft

    template = "chatbot/editor/_step_field.html"

    @property
    def id(self) -> str:
        return f"step-{self.name}"

    @property
    def value(self) -> str:
        return self.values[0] if self.values else ""

    @property
    def length(self) -> int:
        """In UTF-16 units, as providers count."""
        return len(self.value.encode("utf-16-le", "surrogatepass")) // 2

    @property
    def is_over(self) -> bool:
        return bool(self.limit) and self.length > self.limit

    @property
    def is_wide(self) -> bool:
        return self.widget in ("area", "target", "checks")

    @property
    def shown(self) -> str:
        """The value as people read it."""
        words = {value: label for _group, options in self.choices for value, label in options}
        return ", ".join(words.get(one, one) for one in self.values if one)


@dataclass
class Row:
    key: str
    label: str
    elements: list[Element]
    told: Told = field(default_factory=Told)
    name: str = ""


@dataclass
class Rows:
    """A list that grows, shrinks and is put in order by buttons."""

    name: str
    label: str
    rows: list[Row]
    add_label: str
    row_label: str
    least: int = 0
    is_ordered: bool = True
    is_compact: bool = False  # the fields of a row stand side by side
    help: str = ""
    told: Told = field(default_factory=Told)

    template = "chatbot/editor/_step_rows.html"

    @property
    def may_remove(self) -> bool:
        return len(self.rows) > self.least

    @property
    def may_move(self) -> bool:
        return self.is_ordered and len(self.rows) > 1


@dataclass
class Group:
    """Fields under a heading; one that folds is open when something in it is told or filled in."""

    label: str
    elements: list[Element]
    folds: bool = False
    is_filled: bool = False
    is_inline: bool = False
    help: str = ""

    template = "chatbot/editor/_step_group.html"

    @property
    def is_open(self) -> bool:
        return self.is_filled or any(
            one.told.errors or one.told.notes for one in everything(self.elements)
        )


Element = Field | Rows | Group


def everything(elements: Sequence[Element]) -> Iterator[Field | Rows | Row]:
    """Everything that can be told something, however deep, in the order drawn."""
    for element in elements:
        match element:
            case Field():
                yield element
            case Group():
                yield from everything(element.elements)
            case Rows():
                yield element
                for row in element.rows:
                    yield row
                    yield from everything(row.elements)


def fields_in(elements: Sequence[Element], before: str = "") -> Iterator[tuple[str, Field]]:
    """(label with those of the rows around it, field) of every field, in the order drawn."""
    for element in elements:
        match element:
            case Field():
                yield f"{before}{element.label}", element
            case Group():
                yield from fields_in(element.elements, before)
            case Rows():
                for number, row in enumerate(element.rows, 1):
                    place = f"{before}{element.row_label} {number} · "
                    yield from fields_in(row.elements, place)
