"""What is done to many conversations: live ones moved, recorded ones replayed, all verified."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chatbot.models.drafts import OfFlowQuerySet
from chatbot.models.flows import Flow, FlowVersion
from sessions_app.models import Session

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class JobState(models.TextChoices):
    WAITING = "waiting", _("waiting for a worker")
    RUNNING = "running", _("under way")
    DONE = "done", _("done")
    CANCELLED = "cancelled", _("cancelled")
    FAILED = "failed", _("failed")


class SessionMove(models.Model):
    """What happens to the live sessions of older versions when `version` is published.

    `choices`: {old version id: {place of the passo: {"do": "stay" | "same" | "map" | "end",
    "node": where to, "text": the last message}}}; a passo that is not named stays. Each session is
    moved under its lock, from the passo where it stands then.
    """

    version = models.OneToOneField(
        FlowVersion, models.CASCADE, related_name="move", verbose_name=_("version")
    )
    choices = models.JSONField(_("choices"), default=dict)
    state = models.CharField(
        _("state"), max_length=10, choices=JobState.choices, default=JobState.WAITING
    )
    last_session = models.BigIntegerField(_("last session looked at"), default=0)
    moved = models.PositiveIntegerField(_("moved"), default=0)
    ended = models.PositiveIntegerField(_("ended"), default=0)
    stayed = models.PositiveIntegerField(_("stayed"), default=0)
    failed = models.PositiveIntegerField(_("failed"), default=0)
    total = models.PositiveIntegerField(_("in all"), default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("by"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("move of live sessions")
        verbose_name_plural = _("moves of live sessions")
        ordering = ["-id"]

    def __str__(self) -> str:
        return str(self.version)


class Replay(models.Model):
    """Recorded conversations held again with another document. `document` is frozen when it is
    asked for, `wanted` says which conversations (period, sample, versions), `counts` how many came
    out how. A worker goes on where another one stopped."""

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="replays", verbose_name=_("flow"))
    document = models.JSONField(_("document"))
    title = models.CharField(_("document"), max_length=120)
    wanted = models.JSONField(_("which conversations"), default=dict)
    state = models.CharField(
        _("state"), max_length=10, choices=JobState.choices, default=JobState.WAITING
    )
    total = models.PositiveIntegerField(_("conversations"), default=0)
    done = models.PositiveIntegerField(_("replayed"), default=0)
    last_run = models.BigIntegerField(_("last run replayed"), default=0)
    counts = models.JSONField(_("outcomes"), default=dict)
    error = models.CharField(_("error"), max_length=500, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("by"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    objects = OfFlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("replay")
        verbose_name_plural = _("replays")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.flow_id} #{self.pk}"


class ReplayOutcome(models.TextChoices):
    SAME = "same", _("the same")
    TEXT = "text", _("another text")
    PATH = "path", _("another way")
    DEAD_END = "dead_end", _("a dead end")
    EARLIER = "earlier", _("to people earlier")
    LATER = "later", _("to people later, or not at all")
    UNPLAYED = "unplayed", _("could not be replayed")


class ReplayDifferenceQuerySet(models.QuerySet[Any]):
    def visible_to(self, user: User | AnonymousUser) -> Self:
        return self.filter(replay__in=Replay.objects.visible_to(user).values("pk"))


class ReplayDifference(models.Model):
    """A conversation that came out otherwise, by its first difference: the row `seq` of its log and
    the passo where the two ways part."""

    replay = models.ForeignKey(
        Replay,
        models.CASCADE,
        related_name="differences",
        db_index=False,
        verbose_name=_("replay"),
    )
    session = models.ForeignKey(
        Session, models.CASCADE, related_name="+", verbose_name=_("session")
    )
    run = models.ForeignKey(
        "FlowRun", models.CASCADE, related_name="+", db_index=False, verbose_name=_("run")
    )
    outcome = models.CharField(_("outcome"), max_length=10, choices=ReplayOutcome.choices)
    seq = models.PositiveIntegerField(_("log number"), null=True, blank=True)
    node = models.CharField(_("step"), max_length=80, blank=True)
    details = models.JSONField(_("details"), default=dict)

    objects = ReplayDifferenceQuerySet.as_manager()

    class Meta:
        verbose_name = _("difference")
        verbose_name_plural = _("differences")
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["replay", "run"], name="chatbot_replaydifference_once")
        ]
        indexes = [
            models.Index(fields=["replay", "outcome", "id"], name="chatbot_replaydifference_of")
        ]

    def __str__(self) -> str:
        return f"{self.replay_id}: {self.session_id}"


class SessionCheck(models.Model):
    """All sessions compared with their logs: `found` names at most a hundred that differ,
    `different` counts them all."""

    state = models.CharField(
        _("state"), max_length=10, choices=JobState.choices, default=JobState.WAITING
    )
    total = models.PositiveIntegerField(_("sessions"), default=0)
    done = models.PositiveIntegerField(_("verified"), default=0)
    last_session = models.BigIntegerField(_("last session verified"), default=0)
    different = models.PositiveIntegerField(_("that differ"), default=0)
    found = models.JSONField(_("what differs"), default=list)
    error = models.CharField(_("error"), max_length=500, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("by"),
        help_text=_("Empty: by itself, every night."),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    started_at = models.DateTimeField(_("started at"), null=True, blank=True)
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    class Meta:
        verbose_name = _("verification of sessions")
        verbose_name_plural = _("verifications of sessions")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                models.Value(1),
                condition=Q(state__in=["waiting", "running"]),
                name="chatbot_sessioncheck_one",
            )
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"
