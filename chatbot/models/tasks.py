"""What is due later and is not a message."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chatbot.models.flows import FlowRun
from sessions_app.models import Session


class TaskKind(models.TextChoices):
    HANDLER = "handler", _("handler")
    HTTP = "http", _("HTTP request")
    WAIT = "wait", _("wait")
    MARK_READ = "mark_read", _("mark as read")
    MEDIA = "media", _("media download")
    REPROCESS = "reprocess", _("processing again")
    TEMPLATES = "templates", _("synchronising message templates")
    REPLAY = "replay", _("replaying conversations")
    MOVE = "move", _("moving live sessions to a version")
    VERIFY = "verify", _("verifying sessions")


class TaskStatus(models.TextChoices):
    PENDING = "pending", _("pending")
    DONE = "done", _("done")
    DROPPED = "dropped", _("no longer wanted")
    FAILED = "failed", _("failed")


class Task(models.Model):
    """Anything due later that is not a message. Claimed like the outbox; a result comes back as a
    message and is dropped unless the session still awaits (run, seq)."""

    kind = models.CharField(_("kind"), max_length=12, choices=TaskKind.choices)
    session = models.ForeignKey(
        Session,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="tasks",
        verbose_name=_("session"),
    )
    run = models.ForeignKey(
        FlowRun,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("run"),
    )
    seq = models.PositiveIntegerField(_("log number"), null=True, blank=True)
    # What must not be under way twice; empty: nothing against it.
    key = models.CharField(max_length=64, blank=True, editable=False)
    payload = models.JSONField(_("payload"), default=dict, blank=True)
    status = models.CharField(
        _("status"),
        max_length=8,
        choices=TaskStatus.choices,
        default=TaskStatus.PENDING,
    )
    run_at = models.DateTimeField(_("due at"))
    locked_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error = models.CharField(_("error"), max_length=500, blank=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    done_at = models.DateTimeField(_("done at"), null=True, blank=True)

    class Meta:
        verbose_name = _("task")
        verbose_name_plural = _("tasks")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key"],
                condition=Q(status="pending") & ~Q(key=""),
                name="chatbot_task_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["run_at", "id"],
                condition=Q(status="pending"),
                name="chatbot_task_due",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} #{self.pk}"
