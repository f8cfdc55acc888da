"""The log of what a flow did: append-only, folding it gives the stored state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chatbot.models.flows import FlowRun
from sessions_app.models import Session

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class FlowLogKind(models.TextChoices):
    START = "start", _("start")
    STEP = "step", _("step")
    JUMP = "jump", _("jump")
    EDIT = "edit", _("edit")
    END = "end", _("end")
    REDACT = "redact", _("redact")


class LogQuerySet(models.QuerySet[Any]):
    """Rows that hang on a session are seen by whoever sees the session."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_admin:
            return self.all()
        return self.filter(session__in=Session.objects.visible_to(user).values("pk"))

    def real(self) -> Self:
        return self.filter(session__is_simulated=False)


class FlowLog(models.Model):
    """One change of a session's flow state. Append-only; folding a session's rows gives its stored
    state.

    `state` is the engine's state after the row, `context_set`/`context_unset` what changed in the
    variables. `message` is what happened, with its facts; together with the version a row can be
    run again.
    """

    session = models.ForeignKey(
        Session,
        models.CASCADE,
        related_name="flow_logs",
        db_index=False,
        verbose_name=_("session"),
    )
    seq = models.PositiveIntegerField(_("number"))
    kind = models.CharField(_("kind"), max_length=8, choices=FlowLogKind.choices)
    run = models.ForeignKey(
        FlowRun,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="logs",
        db_index=False,
        verbose_name=_("run"),
    )
    node = models.CharField(_("node"), max_length=80, blank=True)
    next_node = models.CharField(_("next node"), max_length=80, blank=True)
    message = models.JSONField(_("message"), default=dict, blank=True)
    effects = models.JSONField(_("effects"), default=list, blank=True)
    trace = models.JSONField(_("path"), default=list, blank=True)
    state = models.JSONField(_("state"), default=dict, blank=True)
    context_set = models.JSONField(_("variables set"), default=dict, blank=True)
    context_unset = models.JSONField(_("variables unset"), default=list, blank=True)
    duration_us = models.PositiveIntegerField(_("duration (µs)"), default=0)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = LogQuerySet.as_manager()

    class Meta:
        verbose_name = _("flow log")
        verbose_name_plural = _("flow logs")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["session", "seq"], name="chatbot_flowlog_seq")
        ]

    def __str__(self) -> str:
        return f"{self.session_id} #{self.seq}"
