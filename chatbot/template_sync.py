"""Message templates and the provider: its list, submitting ours, deleting. Every call is made with
no transaction open."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from chatbot.channels import transport_for
from chatbot.channels.base import ListedTemplate, SendError, TemplateDraft
from chatbot.cleaning import clean
from chatbot.message_templates import EDITABLE, TemplateRefused, tell_status
from chatbot.models import MessageTemplate, Task, TaskStatus, TemplateStatus
from chatbot.template_parts import NAME_LENGTH
from chatbot.template_tasks import AFTER_TROUBLE, EVERY, plan_next, request_sync
from sessions_app.models import Channel

logger = logging.getLogger(__name__)

SUBMITTING = timedelta(minutes=10)  # longer than any call: who submitted did not come back
LONGEST_LANGUAGE = 16


@dataclass(frozen=True)
class Synced:
    created: int = 0
    changed: int = 0
    gone: int = 0


# --- The provider's list -----------------------------------------------------------------------


def run(task: Task) -> tuple[TaskStatus, str]:
    """One planned run. There is always a next one; trouble is kept on it, for people to see."""
    channel = _asker(task.payload)
    if channel is None:
        return TaskStatus.DROPPED, ""
    try:
        sync(channel)
    except SendError as failure:
        may_pass = failure.retryable or failure.uncertain
        later = timezone.now() + (AFTER_TROUBLE if may_pass else EVERY)
        plan_next(channel, done=task, run_at=later, error=str(failure)[:500])
        return TaskStatus.FAILED, str(failure)
    plan_next(channel, done=task, run_at=timezone.now() + EVERY)
    return TaskStatus.DONE, ""


def sync(channel: Channel) -> Synced:
    """Ask for all templates of the channel's account and take over what has changed. Raises
    SendError. What the webhook has said since the asking began is newer, and stays."""
    asked_at = timezone.now()
    listed = transport_for(channel).list_templates()
    synced = _take_over(channel, listed, asked_at=asked_at)
    logger.info("templates of channel %s: %s", channel.slug, synced)
    return synced


def _asker(payload: dict[str, Any]) -> Channel | None:
    same = Channel.objects.active().filter(kind=payload["kind"], account_id=payload["account"])
    return same.order_by("pk").first()


@transaction.atomic
def _take_over(channel: Channel, listed: Sequence[ListedTemplate], *, asked_at: datetime) -> Synced:
    rows = MessageTemplate.objects.filter(
        channel__kind=channel.kind, channel__account_id=channel.account_id
    )
    known: dict[tuple[str, str], list[MessageTemplate]] = {}
    for row in rows.select_for_update(no_key=True, of=("self",)).order_by("pk"):
        known.setdefault((row.name, row.language), []).append(row)
    created, changed = 0, []
    for one in listed:
        mine = known.pop((one.name, one.language), [])
        if not mine:
            created += _create(channel, one, asked_at=asked_at)
        changed += [row for row in mine if _update(row, one, asked_at=asked_at)]
    gone = [row for mine in known.values() for row in mine if _vanish(row, asked_at=asked_at)]
    rows.filter(synced_at__lt=asked_at).exclude(status=TemplateStatus.DRAFT).update(
        synced_at=asked_at
    )
    tell_status([row.pk for row in (*changed, *gone)], now=asked_at)
    return Synced(created, len(changed), len(gone))


def _create(channel: Channel, one: ListedTemplate, *, asked_at: datetime) -> bool:
    """Who writes a draft of the same name at this moment keeps it."""
    if len(one.name) > NAME_LENGTH or len(one.language) > LONGEST_LANGUAGE:
        return False
    row, is_new = MessageTemplate.objects.get_or_create(
        channel=channel,
        name=clean(one.name),
        language=clean(one.language),
        defaults={**_values(one), "synced_at": asked_at},
    )
    if is_new:
        tell_status([row.pk], now=asked_at)
    return is_new


def _update(row: MessageTemplate, one: ListedTemplate, *, asked_at: datetime) -> bool:
    """Take over what the list says; True when it was news. A draft is somebody's work, which the
    list does not know of."""
    if row.status == TemplateStatus.DRAFT or _is_newer(row, asked_at):
        return False
    values = _values(one)
    if row.status == TemplateStatus.PAUSED and one.status == TemplateStatus.PAUSED:
        values["paused_until"] = row.paused_until  # the list does not say until when
    values["reason"] = values["reason"] or (row.reason if row.status == one.status else "")
    return _save(row, {**values, "synced_at": asked_at})


def _vanish(row: MessageTemplate, *, asked_at: datetime) -> bool:
    """It is not in the list: deleted there. One that was just being submitted is a draft again,
    when whoever submitted it did not come back."""
    if row.status in {TemplateStatus.DRAFT, TemplateStatus.DELETED} or _is_newer(row, asked_at):
        return False
    if row.provider_id or row.submitted_at is None:
        return _save(row, {"status": TemplateStatus.DELETED, "synced_at": asked_at})
    if row.submitted_at < asked_at - SUBMITTING:
        return _save(row, {"status": TemplateStatus.DRAFT, "submitted_at": None})
    return False


def _is_newer(row: MessageTemplate, asked_at: datetime) -> bool:
    return row.synced_at is not None and row.synced_at >= asked_at


def _values(one: ListedTemplate) -> dict[str, Any]:
    return {
        "provider_id": one.provider_id[:64],
        "status": one.status,
        "category": clean(one.category)[:24],
        "components": clean(one.components),
        "parameter_format": "NAMED" if one.parameter_format == "NAMED" else "POSITIONAL",
        "quality": clean(one.quality)[:12],
        "previous_category": clean(one.previous_category)[:24],
        "reason": clean(one.reason)[:300],
        "paused_until": None,
    }


def _save(row: MessageTemplate, values: dict[str, Any]) -> bool:
    """Write what differs; the time of knowing alone is no news."""
    changed = [name for name, value in values.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, values[name])
    if changed:
        row.save(update_fields=changed)
    return changed not in ([], ["synced_at"])


# --- Submitting and deleting -------------------------------------------------------------------


def submit(template: MessageTemplate) -> MessageTemplate:
    """Give it to the provider for approval. What the provider dislikes is said in words
    (TemplateRefused), and the draft is kept. Of two that submit at once one does it.

    Without an answer nobody knows: it counts as submitted, and the list is asked for.
    """
    _require(template, template.status in EDITABLE)
    before = template.status
    now = timezone.now()
    mine = MessageTemplate.objects.filter(pk=template.pk, status=before)
    if not mine.update(**{"status": TemplateStatus.PENDING, "submitted_at": now, "reason": ""}):
        _require(template, False)
    waiting = MessageTemplate.objects.filter(
        pk=template.pk, status=TemplateStatus.PENDING, submitted_at=now
    )
    try:
        answer = transport_for(template.channel).submit_template(_draft(template))
    except SendError as failure:
        if failure.uncertain:
            request_sync(template.channel, now=now)
            raise TemplateRefused(
                _(
                    "WhatsApp did not answer, so nobody knows whether it has the template. "
                    "The list is being synchronised; look again in a minute."
                ),
                code="unknown",
            ) from failure
        draft = {"status": before, "submitted_at": template.submitted_at}
        waiting.update(**draft, reason=failure.detail[:300])
        raise _said(
            failure, _("WhatsApp did not take the template, which is kept here")
        ) from failure
    taken = {"status": answer.status, "category": answer.category[:24]}
    if answer.provider_id:
        taken["provider_id"] = answer.provider_id[:64]
    if not waiting.update(**taken, synced_at=now):  # the webhook was faster
        MessageTemplate.objects.filter(pk=template.pk, provider_id="").update(
            provider_id=answer.provider_id[:64]
        )
    template.refresh_from_db()
    return template


def delete(template: MessageTemplate) -> bool:
    """Delete it at the provider, then here: as a mark, since messages name it. A draft that the
    provider never had goes away; False when its row is gone. Raises TemplateRefused."""
    if template.status == TemplateStatus.DRAFT and not template.provider_id:
        MessageTemplate.objects.filter(pk=template.pk, provider_id="").delete()
        return False
    if template.status != TemplateStatus.DELETED:
        try:
            transport_for(template.channel).delete_template(
                name=template.name, provider_id=template.provider_id
            )
        except SendError as failure:
            raise _said(failure, _("WhatsApp did not delete the template")) from failure
    now = timezone.now()
    deleted = {"status": TemplateStatus.DELETED, "synced_at": now}
    MessageTemplate.objects.filter(pk=template.pk).update(**deleted)
    tell_status([template.pk], now=now)
    template.refresh_from_db()
    return True


def _draft(template: MessageTemplate) -> TemplateDraft:
    return TemplateDraft(
        name=template.name,
        language=template.language,
        category=template.category,
        parameter_format=template.parameter_format,
        components=template.components,
        provider_id=template.provider_id,
    )


def _require(template: MessageTemplate, is_possible: bool) -> None:
    if not is_possible:
        sentence = _("The template “%(name)s” is %(status)s and cannot be submitted now.")
        about = {"name": template.name, "status": template.get_status_display()}
        raise TemplateRefused(sentence % about, code="not_submittable")


def _said(failure: SendError, what: str) -> TemplateRefused:
    """The provider's own words, with its code at the end."""
    sentences = {
        "no_account": _("The channel does not know its business account yet. Fill in its id."),
        "connection": _("WhatsApp cannot be reached now. Try again."),
        "190": _("The access token of the channel is missing or has expired. Renew it."),
    }
    detail = sentences.get(failure.code, failure.detail).rstrip(".")
    code = "" if failure.code in {"no_account", "connection"} else f" ({failure.code})"
    return TemplateRefused(f"{what}. {detail}{code}.", code="provider_refused")
