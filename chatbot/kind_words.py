"""The kinds of passo as people see them: an icon, its tone, and a few words."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from chatbot.engine.conditions import IsOpen, OnWeekday, WithinHours
from chatbot.engine.kinds import AnyNode, Ask, Branch, End, Menu, SendNode, SubFlow, WaitNode

FEW = 3  # options that fit as buttons
UNITS = ((86400, "d"), (3600, "h"), (60, "min"))

# Icon and tone: what the bot says, what it looks up, what brings people in, what only passes.
LOOKS: dict[str, tuple[str, str]] = {
    "start": ("session", ""),
    "send": ("msgs", "bot"),
    "ask": ("edit", "bot"),
    "menu": ("msgs", "bot"),
    "branch": ("merge", "info"),
    "set": ("note", "info"),
    "lead": ("lead", "info"),
    "call": ("bolt", "info"),
    "http": ("plug", "info"),
    "handoff": ("swap", "accent"),
    "flow": ("flow", ""),
    "wait": ("snooze", ""),
    "end": ("check-c", ""),
}
WORDS: dict[str, Promise] = {
    "start": pgettext_lazy("kind of step", "entry"),
    "send": pgettext_lazy("kind of step", "message"),
    "ask": pgettext_lazy("kind of step", "question"),
    "branch": pgettext_lazy("kind of step", "condition"),
    "set": pgettext_lazy("kind of step", "sets variables"),
    "lead": pgettext_lazy("kind of step", "updates the lead"),
    "call": pgettext_lazy("kind of step", "integration"),
    "http": pgettext_lazy("kind of step", "call to another system"),
    "handoff": pgettext_lazy("kind of step", "transfers and opens a ticket"),
    "flow": pgettext_lazy("kind of step", "sub-flow"),
    "wait": pgettext_lazy("kind of step", "wait"),
    "end": pgettext_lazy("kind of step", "end"),
}
MEDIA: dict[str, Promise] = {
    "image": gettext_lazy("image"),
    "audio": gettext_lazy("audio"),
    "video": gettext_lazy("video"),
    "document": gettext_lazy("document"),
}
MEDIA_ICONS = {"image": "image", "audio": "mic", "video": "video", "document": "clip"}
ANSWERS: dict[str, str | Promise] = {
    "number": gettext_lazy("number"),
    "email": gettext_lazy("e-mail"),
    "phone": gettext_lazy("phone"),
    "cpf": "CPF",
    "cnpj": "CNPJ",
    "date": gettext_lazy("date"),
    "location": gettext_lazy("location"),
    "file": gettext_lazy("file"),
}


def drawn_as(node: AnyNode) -> tuple[str, str]:
    """The icon of a passo and the tone of what stands behind it."""
    icon, tone = LOOKS[node.kind]
    return _own_icon(node) or icon, tone


def detail_of(node: AnyNode) -> str:
    """What kind of passo it is, and how much of it there is: "list · 4 options"."""
    return " · ".join(filter(None, [_kind_in_words(node), _more_of(node)]))


def _own_icon(node: AnyNode) -> str:
    match node:
        case SendNode(template=template, media=media):
            return "tpl" if template else MEDIA_ICONS[media.kind] if media else ""
        case Menu() as menu if _is_list(menu):
            return "list"
        case Branch() as branch if _asks_for_hours(branch):
            return "clock"
    return ""


def _kind_in_words(node: AnyNode) -> str:
    match node:
        case Menu() as menu if menu.presentation == "text":
            return _("numbered text")
        case Menu() as menu:
            return _("list") if _is_list(menu) else _("buttons")
        case End(end_session=True):
            return _("ends the conversation")
    return str(WORDS[node.kind])


def _more_of(node: AnyNode) -> str:
    match node:
        case SendNode() as send:
            is_template = send.template is not None
            kind = MEDIA[send.media.kind] if send.media else ""
            return _("message template") if is_template else str(kind)
        case Ask() as ask:
            return str(ANSWERS.get(ask.answer, ""))
        case Menu() | Branch():
            return _counted(node)
        case SubFlow() as sub:
            return sub.flow
        case WaitNode() as wait:
            return _span(wait.seconds)
    return ""


def _counted(node: Menu | Branch) -> str:
    if isinstance(node, Menu):
        count = len(node.options)
        return ngettext("%(count)d option", "%(count)d options", count) % {"count": count}
    count = len(node.cases)
    return ngettext("%(count)d case", "%(count)d cases", count) % {"count": count}


def _is_list(menu: Menu) -> bool:
    is_many = len(menu.options) > FEW
    return menu.presentation == "list" or (menu.presentation == "auto" and is_many)


def _asks_for_hours(branch: Branch) -> bool:
    return any(isinstance(case.when, IsOpen | WithinHours | OnWeekday) for case in branch.cases)


def _span(seconds: int) -> str:
    """In the largest unit that counts it whole."""
    for unit, short in UNITS:
        if seconds % unit == 0:
            return f"{seconds // unit} {short}"
    return f"{seconds} s"
