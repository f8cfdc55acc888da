"""Message templates: which one is meant, whether it may go to this person, and what is sent.

The only writer of a template's status, with `template_sync`, which asks the provider.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Case, Q, Value, When
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from chatbot.channels.base import Content
from chatbot.channels.inbound import TemplateNews
from chatbot.cleaning import clean_text
from chatbot.incidents import close_incident, open_incident
from chatbot.models import (
    IncidentKind,
    MessageLog,
    MessageTemplate,
    MessageTemplateQuerySet,
    TemplateStatus,
)
from chatbot.template_parts import BadValue, Parts, bad_values, build, filled, options_of
from chatbot.template_tasks import request_sync
from leads.models import Lead
from leads.services import opt_out
from sessions_app.models import Channel
from users import audit
from users.errors import DomainError

logger = logging.getLogger(__name__)

MARKETING = "MARKETING"
# To somebody who has opted out only these may go: a category yet to come counts as marketing.
WITHOUT_CONSENT = frozenset({"UTILITY", "AUTHENTICATION"})
# What the provider's refusal of one message says about the template itself.
REFUSALS = {
    "132001": TemplateStatus.DISABLED,  # missing, or not approved in that language
    "132007": TemplateStatus.DISABLED,  # against policy
    "132015": TemplateStatus.PAUSED,
    "132016": TemplateStatus.DISABLED,
}
OPTED_OUT = "131050"  # the person has stopped marketing messages on WhatsApp itself
# What a person may change and submit: nothing of it can be sent as it stands.
EDITABLE = frozenset({TemplateStatus.DRAFT, TemplateStatus.REJECTED, TemplateStatus.PAUSED})
DRAFT = {"status": TemplateStatus.DRAFT}
STOPPED = frozenset({TemplateStatus.PAUSED, TemplateStatus.DISABLED})
SAME_MOMENT = timedelta(seconds=1)  # the provider tells its times in whole seconds


@dataclass(frozen=True)
class Refusal:
    """Why something is not sent, as a stable code and as a sentence that says what to do."""

    code: str
    sentence: str


class TemplateRefused(DomainError):
    """A message template that cannot be sent as it is."""

    code = "template_refused"


# --- Which one ---------------------------------------------------------------------------------


def find(channel: Channel, name: str, language: str) -> MessageTemplate | None:
    """The template of this name that the channel may use; the channel's own row before another of
    its account, an approved one before any other."""
    named = MessageTemplate.objects.filter(name=name, language=language)
    is_own = Case(When(channel=channel, then=Value(0)), default=Value(1))
    is_approved = Case(When(status=TemplateStatus.APPROVED, then=Value(0)), default=Value(1))
    return _on(channel, named).order_by(is_own, is_approved, "id").first()


def usable_on(channel: Channel) -> MessageTemplateQuerySet:
    """The approved templates that can be sent on this channel, by name."""
    return MessageTemplate.objects.usable_on(channel).approved().order_by("name", "language", "id")


def _on(channel: Channel, rows: MessageTemplateQuerySet) -> MessageTemplateQuerySet:
    return rows.usable_on(channel).select_related("channel")


# --- May it go? --------------------------------------------------------------------------------


def why_not(
    used: Mapping[str, Any], *, channel: Channel, lead: Lead, now: datetime
) -> Refusal | None:
    """Why a content with this `template` (name, language, values) may not be sent to this person
    now; None when it may. The one place that decides it, for people, flows, API and worker."""
    template = find(channel, str(used.get("name", "")), language_of(used))
    if template is None:
        sentence = _(
            "There is no message template called “%(name)s” in %(language)s on this channel. "
            "Synchronise the templates or choose another one."
        )
        about = {"name": used.get("name", ""), "language": language_of(used)}
        return Refusal("template_unknown", sentence % about)
    return why_not_sendable(template, lead=lead, now=now) or _bad_values(template, used)


def why_not_sendable(template: MessageTemplate, *, lead: Lead, now: datetime) -> Refusal | None:
    """Why this template may not be sent to this person now, whatever its values."""
    status = _status_refusal(template, now=now)
    if status is not None:
        return status
    if template.category.upper() not in WITHOUT_CONSENT and lead.opted_out_at is not None:
        return Refusal(
            "opted_out",
            _(
                "This person has asked not to receive offers. A marketing template is not sent; "
                "use a utility template, or wait until they write."
            ),
        )
    return None


def language_of(used: Mapping[str, Any]) -> str:
    language = used.get("language")
    return str(language.get("code", "") if isinstance(language, Mapping) else language or "pt_BR")


def _status_refusal(template: MessageTemplate, *, now: datetime) -> Refusal | None:
    match template.status:
        case TemplateStatus.APPROVED:
            return None
        case TemplateStatus.PAUSED:
            return _paused(template, now=now)
        case TemplateStatus.DISABLED:
            sentence = _(
                "WhatsApp has disabled the template “%(name)s”. Choose another one, or create a "
                "new one with another text."
            )
            return Refusal("template_disabled", sentence % {"name": template.name})
        case TemplateStatus.DELETED:
            sentence = _("The template “%(name)s” does not exist on WhatsApp any more.")
            return Refusal("template_deleted", sentence % {"name": template.name})
        case TemplateStatus.REJECTED:
            sentence = _("WhatsApp has rejected the template “%(name)s”. Correct and submit it.")
            return Refusal("template_rejected", sentence % {"name": template.name})
    sentence = _("The template “%(name)s” is not approved in %(language)s yet. Choose another one.")
    about = {"name": template.name, "language": template.language}
    return Refusal("template_not_approved", sentence % about)


def _paused(template: MessageTemplate, *, now: datetime) -> Refusal | None:
    """A pause whose end is known ends by itself."""
    until = template.paused_until
    if until is not None and until <= now:
        return None
    if until is None:
        sentence = _(
            "WhatsApp has paused the template “%(name)s” because of its quality. Choose another "
            "one until it is approved again."
        )
        return Refusal("template_paused", sentence % {"name": template.name})
    sentence = _(
        "WhatsApp has paused the template “%(name)s” because of its quality, until %(until)s. "
        "Choose another one."
    )
    at = date_format(localtime(until), "SHORT_DATETIME_FORMAT")
    return Refusal("template_paused", sentence % {"name": template.name, "until": at})


def _bad_values(template: MessageTemplate, used: Mapping[str, Any]) -> Refusal | None:
    values = used.get("values")
    values = values if isinstance(values, Mapping) else {}
    return bad_values_refusal(template, {str(key): str(one) for key, one in values.items()})


def bad_values_refusal(template: MessageTemplate, values: Mapping[str, str]) -> Refusal | None:
    parts = template.parts
    if parts.unknown:
        sentence = _("The template has parts that cannot be filled here yet: %(parts)s.")
        return Refusal("template_parts", sentence % {"parts": ", ".join(parts.unknown).lower()})
    problems = bad_values(parts, values)
    if not problems:
        return None
    return Refusal("template_values", " ".join(in_words(one, parts) for one in problems))


def in_words(problem: BadValue, parts: Parts) -> str:
    """What is wrong with one value, for whoever fills it in."""
    sentences = {
        "missing": _("Fill in %(value)s."),
        "unknown": _("The template has no value %(value)s."),
        "line_break": _("%(value)s must not have line breaks or tabs."),
        "spaces": _("%(value)s must not have more than %(limit)s spaces in a row."),
        "too_long": _("%(value)s is too long: at most %(limit)s characters."),
        "link": _("%(value)s must be an https link without spaces."),
        "number": _("%(value)s must be a number on the map, such as -23.55."),
    }
    about = {"value": label_of(problem.key, parts), "limit": problem.limit}
    return sentences[problem.problem] % about


def label_of(key: str, parts: Parts) -> str:
    """How a value is called on the screen."""
    variable = next((one for one in parts.variables if one.key == key), None)
    if variable is None:
        return {"body": _("The text"), "header": _("The header")}.get(key, f"“{key}”")
    if variable.where == "button":
        return _("the button “%(text)s”") % {"text": variable.name}
    if key == "header":
        return _("the link of the header's file")
    if variable.where == "header":
        return _("“%(name)s” of the header") % {"name": variable.name}
    return f"“{variable.name}”"


# --- What is sent ------------------------------------------------------------------------------


def content_for(channel: Channel, name: str, language: str, values: Mapping[str, str]) -> Content:
    """The content that says a template with these values, as the history will show it. One that
    does not exist, or values that do not fit, are refused where it would be sent."""
    template = find(channel, name, language)
    if template is None or bad_values_refusal(template, values) is not None:
        used: dict[str, Any] = {"name": name, "language": language, "values": dict(values)}
        return Content(kind="template", text=name, template=used)
    return filled_content(template, values)


def filled_content(template: MessageTemplate, values: Mapping[str, str]) -> Content:
    parts = template.parts
    return Content(
        kind="template",
        text=filled(parts.body, values),
        header=shown_header(parts, values),
        footer=parts.footer,
        options=options_of(parts, values),
        template={
            "id": template.pk,
            "name": template.name,
            "language": template.language,
            "category": template.category,
            "values": dict(values),
            "components": build(parts, values, is_named=template.is_named),
        },
    )


def shown_header(parts: Parts, values: Mapping[str, str]) -> str:
    """The header's text, or the words for what stands there: a link, a place."""
    if parts.header.kind == "LOCATION":
        told = (values.get(f"header.{name}", "") for name in ("name", "address"))
        return ", ".join(filter(None, told))
    return filled(parts.header.text, values, "header.") or values.get("header", "")


# --- Writing one --------------------------------------------------------------------------------


@transaction.atomic
def save_draft(  # noqa: PLR0913  # keyword-only
    template: MessageTemplate | None,
    *,
    channel: Channel,
    name: str,
    language: str,
    category: str,
    parameter_format: str,
    components: list[dict[str, Any]],
) -> MessageTemplate:
    """Keep a new template, or a correction of one that cannot be sent as it is, as a draft. Raises
    TemplateRefused for a name that is taken, or a template that has moved on meanwhile."""
    written = {
        "category": category,
        "parameter_format": parameter_format,
        "components": components,
    }
    if template is not None:
        mine = MessageTemplate.objects.filter(pk=template.pk, status__in=EDITABLE)
        before = {"category": template.category, "components": template.components}
        if not mine.update(**written, **{"status": TemplateStatus.DRAFT}):
            raise TemplateRefused(
                _("The template cannot be changed now: WhatsApp is looking at it or uses it."),
                code="not_editable",
            )
        audit.changed(template, before, {"category": category, "components": components})
        template.refresh_from_db()
        return template
    if MessageTemplate.objects.usable_on(channel).filter(name=name, language=language).exists():
        raise _taken(name)
    try:
        with transaction.atomic():
            return MessageTemplate.objects.create(
                channel=channel, name=name, language=language, **written, **DRAFT
            )
    except IntegrityError as error:
        raise _taken(name) from error


def _taken(name: str) -> TemplateRefused:
    sentence = _("There is a template “%(name)s” in this language already. Choose another name.")
    return TemplateRefused(sentence % {"name": name}, code="name_taken")


# --- What the provider says --------------------------------------------------------------------


def note_refused(message: MessageLog, code: str, *, now: datetime) -> None:
    """The provider refused a message of ours, in its answer or in a later status: what that says
    about the template, or about the person, counts at once."""
    if code == OPTED_OUT:
        opt_out(message.session.lead, text="", origin=message.channel.slug, at=now)
    elif code in REFUSALS:
        _note_stopped(message, code, now=now)


@transaction.atomic
def _note_stopped(message: MessageLog, code: str, *, now: datetime) -> None:
    status, used = REFUSALS[code], message.payload.get("template")
    if not isinstance(used, Mapping):
        return
    template = find(message.channel, str(used.get("name", "")), language_of(used))
    if template is None:
        return
    rows = MessageTemplate.objects.filter(pk=template.pk, status=TemplateStatus.APPROVED)
    stopped = {"status": status, "reason": code, "paused_until": None, "synced_at": now}
    if rows.update(**stopped):
        logger.error("template %s is stopped: %s", template, code)
        tell_status([template.pk], now=now)
    request_sync(template.channel, now=now)


@transaction.atomic
def apply_news(channel: Channel, item: TemplateNews, *, now: datetime) -> bool:
    """What the webhook says of a template of the account, wherever its row is; False when there is
    nothing of ours that it concerns. An older word never replaces a newer one."""
    item = replace(
        item,
        name=clean_text(item.name),
        language=clean_text(item.language),
        reason=clean_text(item.reason),
        category=clean_text(item.category),
        previous_category=clean_text(item.previous_category),
        quality=clean_text(item.quality),
        template_id=clean_text(item.template_id),
    )
    rows = _rows_of(channel, item)
    pks = list(rows.values_list("pk", flat=True))
    changed = MessageTemplate.objects.filter(pk__in=pks).exclude(status=TemplateStatus.DRAFT)
    said = {"quality": item.quality[:12], "category": item.category[:24]}
    said |= {"previous_category": item.previous_category[:24]}
    said = {name: value for name, value in said.items() if value}
    if said:
        changed.update(**said)
    if item.status:
        _set_status(changed, item, at=item.told_at or now)
        tell_status(pks, now=now)
    owner = _owner(channel, item)
    if owner is not None and (item.must_ask or not pks):
        request_sync(owner, now=now)
    return bool(pks) or owner is not None


def _rows_of(channel: Channel, item: TemplateNews) -> MessageTemplateQuerySet:
    whose = Q(channel__account_id=item.business, channel__kind=channel.kind)
    whose |= Q(channel=channel, channel__account_id="")
    return MessageTemplate.objects.filter(whose, name=item.name, language=item.language)


def _owner(channel: Channel, item: TemplateNews) -> Channel | None:
    """A channel of the account, through which its list can be asked for."""
    if not item.business:
        return None
    same = Channel.objects.active().filter(kind=channel.kind, account_id=item.business)
    return same.order_by("pk").first()


def _set_status(rows: MessageTemplateQuerySet, item: TemplateNews, *, at: datetime) -> None:
    values: dict[str, Any] = {
        "status": item.status,
        "reason": item.reason[:300],
        "paused_until": item.paused_until,
        "synced_at": at,
    }
    if item.template_id:
        values["provider_id"] = item.template_id[:64]
    rows.filter(Q(synced_at=None) | Q(synced_at__lt=at + SAME_MOMENT)).update(**values)


def tell_status(pks: Iterable[int], *, now: datetime) -> None:
    """Open an incident for a template that the provider has stopped; close it when it is over."""
    for template in MessageTemplate.objects.filter(pk__in=list(pks)).select_related("channel"):
        channel, about = template.channel, str(template)
        if template.status in STOPPED:
            facts = {
                "template": template.pk,
                "name": template.name,
                "status": template.status,
                "reason": template.reason,
            }
            open_incident(IncidentKind.TEMPLATE, now=now, channel=channel, about=about, facts=facts)
        else:
            close_incident(IncidentKind.TEMPLATE, now=now, channel=channel, about=about)
