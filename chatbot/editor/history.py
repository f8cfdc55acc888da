"""What was done to a draft, in words, and what can be undone and done again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot.models import DraftStep, Flow

if TYPE_CHECKING:
    from users.models import User

# Codes of `said` in a draft's step, with what their parameters fill: whoever saves says one.
SAID: dict[str, Promise] = {
    "step_changed": gettext_lazy("“%(step)s” changed"),
    "step_added": gettext_lazy("“%(step)s” added"),
    "step_inserted": gettext_lazy("“%(step)s” put before “%(target)s”"),
    "step_copied": gettext_lazy("“%(step)s” copied"),
    "step_deleted": gettext_lazy("“%(step)s” deleted"),
    "words_changed": gettext_lazy("words that work anywhere changed"),
    "variables_changed": gettext_lazy("variables changed"),
    "settings_changed": gettext_lazy("settings of the flow changed"),
    "synonym_added": gettext_lazy("synonym “%(word)s” added"),
    "restored": gettext_lazy("version %(version)s restored"),
    "begun": gettext_lazy("flow begun"),
    "imported": gettext_lazy("flow imported from a file"),
    "json_edited": gettext_lazy("JSON edited"),
}
SHOWN = 60  # characters of a title


@dataclass(frozen=True)
class Doable:
    """What the buttons would undo and do again; empty where there is nothing."""

    undo: str
    redo: str


def in_words(said: Mapping[str, Any]) -> str:
    """What a step did, as part of a sentence."""
    about = {name: str(value)[:SHOWN] for name, value in said.items() if name != "code"}
    sentence = SAID.get(str(said.get("code")))
    try:
        return str(sentence) % about if sentence else _("a change of the draft")
    except (KeyError, ValueError):
        return _("a change of the draft")


def doable(flow: Flow, user: User) -> Doable:
    """The last change, and the one that was undone last; in two statements."""
    steps = DraftStep.objects.visible_to(user).filter(flow=flow).select_related("user")
    steps = steps.defer("before", "after")
    done = steps.filter(is_undone=False).order_by("-number").first()
    undone = steps.filter(is_undone=True).order_by("number").first()
    return Doable(_told(done, user), _told(undone, user))


def _told(step: DraftStep | None, user: User) -> str:
    """With the name of who did it, when it was somebody else."""
    if step is None:
        return ""
    words = in_words(step.said)
    if step.user is None or step.user == user:
        return words
    return _("%(what)s (%(who)s)") % {"what": words, "who": step.user}
