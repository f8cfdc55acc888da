"""What came in and could not be handled yet."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chatbot.models.messages import MessageLog
from sessions_app.models import Channel


class FailedEventState(models.TextChoices):
    NEW = "new", _("to be looked at")
    DONE = "done", _("reprocessed")
    SUPERSEDED = "superseded", _("superseded")
    IGNORED = "ignored", _("ignored")


class FailedEvent(models.Model):
    """What came in and could not be handled. Nothing a provider said is lost.

    With `message` the inbound row exists and only the step is missing; without it, `item` (one
    parsed part) or `body` (raw bytes that could not be parsed) goes through `receive` again.
    """

    channel = models.ForeignKey(
        Channel,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="failed_events",
        verbose_name=_("channel"),
    )
    message = models.ForeignKey(
        MessageLog,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="failed_events",
        verbose_name=_("message"),
    )
    body = models.BinaryField(_("body"), null=True, blank=True)
    item = models.JSONField(_("item"), default=dict, blank=True)
    # SHA-256 of what was kept: a repeated delivery of the same thing is no news.
    digest = models.CharField(max_length=64, blank=True, editable=False)
    error = models.CharField(_("error"), max_length=500)
    details = models.TextField(_("details"), blank=True)
    state = models.CharField(
        _("state"),
        max_length=12,
        choices=FailedEventState.choices,
        default=FailedEventState.NEW,
    )
    outcome = models.CharField(_("outcome"), max_length=300, blank=True)
    # What was done with it, oldest first: [{"at", "did", "outcome", "by"}, …]
    history = models.JSONField(_("history"), default=list, blank=True, editable=False)
    tries = models.PositiveSmallIntegerField(_("tries"), default=0)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("failed event")
        verbose_name_plural = _("failed events")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["digest"], condition=~Q(digest=""), name="chatbot_failedevent_once"
            )
        ]
        indexes = [
            models.Index(fields=["-id"], condition=Q(state="new"), name="chatbot_failedevent_new")
        ]

    def __str__(self) -> str:
        return self.error


class EarlyStatus(models.Model):
    """A status of a message that is not known yet: it came before the answer of its send was
    stored. Applied when the provider's id becomes known; dropped after some days."""

    channel = models.ForeignKey(
        Channel,
        models.CASCADE,
        related_name="early_statuses",
        db_index=False,
        verbose_name=_("channel"),
    )
    provider_id = models.CharField(_("provider id"), max_length=255)
    status = models.CharField(_("status"), max_length=12)
    item = models.JSONField(_("item"), default=dict)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("early status")
        verbose_name_plural = _("early statuses")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "provider_id", "status"], name="chatbot_earlystatus_once"
            )
        ]
        indexes = [models.Index(fields=["created_at"], name="chatbot_earlystatus_age")]

    def __str__(self) -> str:
        return f"{self.status} {self.provider_id}"
