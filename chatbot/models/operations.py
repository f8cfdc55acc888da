"""How it runs: pace, incidents, traffic and workers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from sessions_app.models import Channel

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class SendPace(models.Model):
    """How fast a channel sends, shared by all workers: the one row of its token bucket and of its
    circuit breaker. Apart from Channel, since it changes with every message."""

    channel = models.OneToOneField(
        Channel,
        models.CASCADE,
        primary_key=True,
        related_name="pace",
        verbose_name=_("channel"),
    )
    next_at = models.DateTimeField(_("next free slot"))
    slowed_to = models.FloatField(_("slowed to (a second)"), null=True, blank=True)
    slowed_at = models.DateTimeField(_("slowed at"), null=True, blank=True)
    troubles = models.PositiveIntegerField(_("failures in a row"), default=0)

    class Meta:
        verbose_name = _("sending pace")
        verbose_name_plural = _("sending paces")

    def __str__(self) -> str:
        return str(self.channel_id)


class IncidentKind(models.TextChoices):
    TOKEN = "token", _("access token refused")
    ACCOUNT = "account", _("account restricted")
    PAYMENT = "payment", _("payment method missing")
    NUMBER = "number", _("number stopped or flagged")
    SPAM = "spam", _("spam limit reached")
    TEMPLATE = "template", _("message template stopped")
    CIRCUIT = "circuit", _("provider does not answer")
    FAILURES = "failures", _("many messages fail")
    QUEUE = "queue", _("messages wait too long")
    SILENCE = "silence", _("nothing is received")
    SIGNATURE = "signature", _("wrong signatures")
    UNKNOWN_NUMBER = "unknown_number", _("number of no channel")
    WORKER = "worker", _("no worker is running")
    MEDIA = "media", _("files cannot be stored")
    LOG = "log", _("a session is not what its log says")


# Trouble that keeps answers from reaching customers: whoever writes to them should know.
HINDERS_SENDING = (
    IncidentKind.TOKEN,
    IncidentKind.ACCOUNT,
    IncidentKind.PAYMENT,
    IncidentKind.NUMBER,
    IncidentKind.SPAM,
    IncidentKind.CIRCUIT,
    IncidentKind.FAILURES,
    IncidentKind.QUEUE,
    IncidentKind.WORKER,
)


class IncidentQuerySet(models.QuerySet["Incident"]):
    def open(self) -> IncidentQuerySet:
        return self.filter(closed_at=None)

    def visible_to(self, user: User | AnonymousUser) -> IncidentQuerySet:
        """Admins see all; attendants what keeps their answers from arriving, while it lasts."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_admin:
            return self.all()
        return self.open().filter(kind__in=HINDERS_SENDING)


class Incident(models.Model):
    """Trouble that people should know about. Opened and closed by itself; one open row for each
    `key`, whose `count` rises while it lasts."""

    kind = models.CharField(_("kind"), max_length=16, choices=IncidentKind.choices)
    channel = models.ForeignKey(
        Channel,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="incidents",
        verbose_name=_("channel"),
    )
    key = models.CharField(max_length=200, editable=False)
    facts = models.JSONField(_("facts"), default=dict, blank=True)
    count = models.PositiveIntegerField(_("times"), default=1)
    opened_at = models.DateTimeField(_("opened at"))
    last_seen_at = models.DateTimeField(_("last seen at"))
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    notified_at = models.DateTimeField(_("e-mail sent at"), null=True, blank=True)

    objects = IncidentQuerySet.as_manager()

    class Meta:
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["key"], condition=Q(closed_at=None), name="chatbot_incident_one_open"
            )
        ]
        indexes = [
            models.Index(fields=["-id"], condition=Q(closed_at=None), name="chatbot_incident_open")
        ]

    def __str__(self) -> str:
        return str(self.get_kind_display())


class TrafficHour(models.Model):
    """How much a channel received and sent in one hour, counted afterwards: what is usual for an
    hour, and how many messages fail."""

    channel = models.ForeignKey(
        Channel,
        models.CASCADE,
        related_name="traffic",
        db_index=False,
        verbose_name=_("channel"),
    )
    hour = models.DateTimeField(_("hour"))
    received = models.PositiveIntegerField(_("received"), default=0)
    sent = models.PositiveIntegerField(_("sent"), default=0)
    failed = models.PositiveIntegerField(_("not delivered"), default=0)

    class Meta:
        verbose_name = _("traffic of an hour")
        verbose_name_plural = _("traffic by hour")
        ordering = ["-hour"]
        constraints = [
            models.UniqueConstraint(fields=["channel", "hour"], name="chatbot_traffichour_once")
        ]

    def __str__(self) -> str:
        return f"{self.channel_id} {self.hour:%Y-%m-%d %H}h"


WORKER_SILENCE = timedelta(minutes=1)  # six beats


class WorkerQuerySet(models.QuerySet["Worker"]):
    def alive(self, now: datetime | None = None) -> WorkerQuerySet:
        """Those that have said lately that they are there."""
        return self.filter(beat_at__gte=(now or timezone.now()) - WORKER_SILENCE)


class Worker(models.Model):
    """Heartbeat of a running worker process: what `/readyz` and `doctor` look at."""

    name = models.CharField(_("name"), max_length=120, primary_key=True)
    started_at = models.DateTimeField(_("started at"))
    beat_at = models.DateTimeField(_("last sign of life"))

    objects = WorkerQuerySet.as_manager()

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name
