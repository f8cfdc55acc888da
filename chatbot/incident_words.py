"""What an incident says to people: what happened, what to do, and where."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot.models import Incident, IncidentKind

# What lasts, and is seen again at each look: how often says nothing.
LASTING = frozenset(
    {
        IncidentKind.FAILURES,
        IncidentKind.QUEUE,
        IncidentKind.SILENCE,
        IncidentKind.WORKER,
        IncidentKind.CIRCUIT,
        IncidentKind.LOG,
    }
)


@dataclass(frozen=True)
class Words:
    """title: a line for a list; short: one sentence for who answers customers; what: the facts;
    advice: what to do; times: how often, "" for what lasts; path: where to do it."""

    title: str
    short: str
    what: str
    advice: str
    times: str
    path: str

    @property
    def url(self) -> str:
        return settings.SITE_URL + self.path


def describe(incident: Incident) -> Words:
    """In the language that is active. Facts are shown as they are: a provider or an admin wrote
    them."""
    channel = str(incident.channel) if incident.channel else ""
    kind = str(incident.get_kind_display())
    what, advice = _SAYINGS[IncidentKind(incident.kind)](dict(incident.facts))
    label = kind[:1].upper() + kind[1:]
    return Words(
        title=f"{label}: {channel}" if channel else label,
        short=_short(incident, channel),
        what=what,
        advice=advice,
        times=_times(incident),
        path=_path(incident),
    )


def _times(incident: Incident) -> str:
    if incident.kind in LASTING or "topic" in incident.facts:
        return ""
    text = ngettext("%(count)d time", "%(count)d times", incident.count)
    return text % {"count": incident.count}


def _path(incident: Incident) -> str:
    """Where it is mended."""
    match incident.kind:
        case IncidentKind.UNKNOWN_NUMBER:
            return reverse("admin:sessions_app_channel_add")
        case IncidentKind.TEMPLATE:
            return reverse("admin:chatbot_messagetemplate_changelist")
        case IncidentKind.FAILURES | IncidentKind.QUEUE:
            status = "failed" if incident.kind == IncidentKind.FAILURES else "queued"
            url = reverse("admin:chatbot_messagelog_changelist")
            return f"{url}?status__exact={status}"
        case IncidentKind.LOG:
            return reverse("session_checks")
    if incident.channel_id is not None:
        return reverse("channel_test", args=[incident.channel_id])
    return reverse("admin:chatbot_incident_change", args=[incident.pk])


def _short(incident: Incident, channel: str) -> str:
    """For attendants: what it means for their answers. Mending it is not their work."""
    named = {"channel": channel}
    match incident.kind:
        case IncidentKind.WORKER:
            return _("No message is being sent. What you write is kept and goes out later.")
        case IncidentKind.QUEUE:
            return _("Messages of %(channel)s go out late. They are kept.") % named
        case IncidentKind.FAILURES:
            return _("Many messages of %(channel)s are not delivered.") % named
    return _("Sending on %(channel)s is held up. What you write may go out late.") % named


# --- One for each kind -------------------------------------------------------------------------

Facts = dict[str, Any]
Saying = tuple[str, str]


def _code(facts: Facts) -> str:
    """The provider's code and words, as they end a sentence."""
    code, detail = str(facts.get("code") or ""), str(facts.get("detail") or "")
    said = ": ".join(filter(None, (code, detail)))
    return f" ({said})" if said else ""


def _token(facts: Facts) -> Saying:
    return (
        _("The provider refuses the access token. Messages are kept and nothing is sent.")
        + _code(facts),
        _("Make a new permanent token, type it in on the channel's page, and test the channel."),
    )


def _account(facts: Facts) -> Saying:
    topic = str(facts.get("topic") or "")
    if topic == "ban":
        what = _("The provider has blocked the business account, or is about to.")
    elif topic == "violation":
        what = _("The provider says that the business account has broken its rules.")
    elif topic == "disconnected":
        what = _("The business account is no longer connected.")
    elif topic:
        what = _("The provider warns about the business account.")
    else:
        what = _("The provider has restricted the business account. Messages are kept.")
    advice = _(
        "Look at the account's quality page in the provider's manager, and ask for a review."
    )
    return what + _code(facts), advice


def _payment(facts: Facts) -> Saying:
    return (
        _("The provider has no valid way of payment. Messages are kept and nothing is sent.")
        + _code(facts),
        _("Add or correct the payment method of the business account in the provider's manager."),
    )


def _number(facts: Facts) -> Saying:
    if facts.get("topic") == "quality":
        return (
            _("The provider has flagged the number: customers block or report it.") + _code(facts),
            _("Send fewer messages that nobody asked for, and look at the number's quality."),
        )
    if facts.get("topic"):
        return (
            _("The provider warns about the number.") + _code(facts),
            _("Test the channel, and look at the code in the provider's manager."),
        )
    return (
        _("The provider does not send for this number. Messages are kept.") + _code(facts),
        _("Test the channel: it says whether the number is registered and its name approved."),
    )


def _spam(facts: Facts) -> Saying:
    return (
        _("Too many customers have blocked or reported the number. Sending pauses for an hour.")
        + _code(facts),
        _("Stop what is sent in bulk. Answers to customers go on after the pause."),
    )


def _template(facts: Facts) -> Saying:
    name = str(facts.get("name") or facts.get("template") or "")
    named = f" ({name})" if name else _code(facts)
    return (
        _("The provider has stopped a message template. It is not sent any more.") + named,
        _("Use another template, or correct this one and submit it again."),
    )


def _circuit(facts: Facts) -> Saying:
    return (
        _("The provider does not answer. Messages are kept and tried again by themselves.")
        + _code(facts),
        _("Wait. If it lasts, look at the provider's status page and at this site's network."),
    )


def _failures(facts: Facts) -> Saying:
    failed, tried = _count(facts, "failed"), _count(facts, "tried")
    text = ngettext(
        "%(failed)d of the last %(tried)d message was not delivered",
        "%(failed)d of the last %(tried)d messages were not delivered",
        tried,
    )
    return (
        text % {"failed": failed, "tried": tried} + _code({"code": facts.get("code")}) + ".",
        _("Open the messages that failed: each says why. The commonest code is given here."),
    )


def _queue(facts: Facts) -> Saying:
    waiting = _count(facts, "waiting")
    text = ngettext(
        "%(waiting)d message waits to be sent, since %(since)s.",
        "%(waiting)d messages wait to be sent, the first since %(since)s.",
        waiting,
    )
    return (
        text % {"waiting": waiting, "since": _time(facts)},
        _("Look at the worker's log. When it is only slow, start a second worker."),
    )


def _silence(facts: Facts) -> Saying:
    usual = _count(facts, "usual")
    text = ngettext(
        "Nothing was received since %(since)s; %(usual)d message is usual in that time.",
        "Nothing was received since %(since)s; %(usual)d messages are usual in that time.",
        usual,
    )
    return (
        text % {"usual": usual, "since": _time(facts)},
        _("Test the channel: it says whether the webhook is subscribed and can be reached."),
    )


def _signature(facts: Facts) -> Saying:
    return (
        _("Bodies came to the webhook whose signature is wrong. They were refused, not stored."),
        _(
            "If customers' messages are missing, the app secret is wrong: correct it on the "
            "channel's page and the provider sends them again. Else somebody is trying doors."
        ),
    )


def _unknown_number(facts: Facts) -> Saying:
    number = str(facts.get("number") or "?")
    return (
        _("Messages came to the number with id %(number)s, which is no channel's. They are kept.")
        % {"number": number},
        _("Add a channel with this id, then process the failed events again."),
    )


def _worker(facts: Facts) -> Saying:
    return (
        _("No worker has given a sign of life for a minute. Nothing is sent; all is kept."),
        _("Start it on the server: manage.py worker."),
    )


def _media(facts: Facts) -> Saying:
    return (
        _("Files that customers send cannot be stored.") + _code(facts),
        _("Look at the free space and the rights of the folder or bucket for media."),
    )


def _log(facts: Facts) -> Saying:
    count = _count(facts, "count")
    text = ngettext(
        "%(count)d session is not what its log says.",
        "%(count)d sessions are not what their logs say.",
        count,
    )
    return (
        text % {"count": count},
        _(
            "Open the verification and look at what differs. A session that differs goes on as it "
            "is stored; somebody may have changed rows in the database by hand."
        ),
    )


def _count(facts: Facts, name: str) -> int:
    value = facts.get(name)
    return value if isinstance(value, int) else 0


def _time(facts: Facts) -> str:
    """A stored time, as people write it; what is no time is left out."""
    try:
        at = datetime.fromisoformat(str(facts.get("since")))
    except ValueError:
        return "?"
    return date_format(timezone.localtime(at), "d/m H:i")


_SAYINGS: dict[IncidentKind, Callable[[Facts], Saying]] = {
    IncidentKind.TOKEN: _token,
    IncidentKind.ACCOUNT: _account,
    IncidentKind.PAYMENT: _payment,
    IncidentKind.NUMBER: _number,
    IncidentKind.SPAM: _spam,
    IncidentKind.TEMPLATE: _template,
    IncidentKind.CIRCUIT: _circuit,
    IncidentKind.FAILURES: _failures,
    IncidentKind.QUEUE: _queue,
    IncidentKind.SILENCE: _silence,
    IncidentKind.SIGNATURE: _signature,
    IncidentKind.UNKNOWN_NUMBER: _unknown_number,
    IncidentKind.WORKER: _worker,
    IncidentKind.MEDIA: _media,
    IncidentKind.LOG: _log,
}
