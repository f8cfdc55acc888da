"""Work on a draft: its history, what was asked for, and the conversations that prove it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chatbot.models.flows import Flow, FlowVersion

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class OfFlowQuerySet(models.QuerySet[Any]):
    """Rows that belong to a flow are seen by whoever sees the flow."""

    def visible_to(self, user: User | AnonymousUser) -> Self:
        return self.filter(flow__in=Flow.objects.visible_to(user).values("pk"))


class DraftStep(models.Model):
    """One change of a draft, so that it can be undone and done again. Steps that are undone are
    forgotten when somebody goes on from there."""

    flow = models.ForeignKey(
        Flow,
        models.CASCADE,
        related_name="draft_steps",
        db_index=False,
        verbose_name=_("flow"),
    )
    number = models.PositiveIntegerField(_("number"))
    before = models.JSONField(_("before"), default=dict)
    after = models.JSONField(_("after"), default=dict)
    said = models.JSONField(
        _("what was done"), default=dict, help_text=_("A code and its parameters.")
    )
    is_undone = models.BooleanField(_("undone"), default=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("by"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = OfFlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("change of a draft")
        verbose_name_plural = _("changes of drafts")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["flow", "number"], name="chatbot_draftstep_number")
        ]

    def __str__(self) -> str:
        return f"{self.flow_id} #{self.number}"


class IgnoredFinding(models.Model):
    """A warning or hint that somebody has decided to live with. `key` says which: code, passo and
    parameters, so that the finding comes back as soon as it is about something else."""

    flow = models.ForeignKey(
        Flow,
        models.CASCADE,
        related_name="ignored_findings",
        db_index=False,
        verbose_name=_("flow"),
    )
    key = models.CharField(max_length=64, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("by"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = OfFlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("ignored finding")
        verbose_name_plural = _("ignored findings")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["flow", "key"], name="chatbot_ignoredfinding_once")
        ]

    def __str__(self) -> str:
        return self.key


class GoldenConversation(models.Model):
    """A conversation that the flow must hold like this: played before publishing. `conversation`
    is what `chatbot.engine.golden` reads, the same as in a flow file."""

    flow = models.ForeignKey(
        Flow,
        models.CASCADE,
        related_name="golden_conversations",
        db_index=False,
        verbose_name=_("flow"),
    )
    name = models.CharField(_("name"), max_length=120)
    conversation = models.JSONField(_("conversation"), default=dict)
    is_active = models.BooleanField(_("active"), default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("kept by"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = OfFlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("golden conversation")
        verbose_name_plural = _("golden conversations")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["flow", "name"], name="chatbot_golden_name")]

    def __str__(self) -> str:
        return self.name


class RequestState(models.TextChoices):
    PENDING = "pending", _("waiting for a second person")
    APPROVED = "approved", _("approved")
    REFUSED = "refused", _("refused")
    WITHDRAWN = "withdrawn", _("withdrawn")
    OUTDATED = "outdated", _("the draft has changed")


class PublishRequest(models.Model):
    """Somebody asks that the draft of `revision` be published, with `moves` for the live sessions;
    somebody else decides. At most one waits for each flow."""

    flow = models.ForeignKey(
        Flow, models.CASCADE, related_name="publish_requests", verbose_name=_("flow")
    )
    revision = models.PositiveIntegerField(_("draft revision"))
    note = models.CharField(_("note"), max_length=300, blank=True)
    moves = models.JSONField(_("what happens to live sessions"), default=dict, blank=True)
    state = models.CharField(
        _("state"),
        max_length=10,
        choices=RequestState.choices,
        default=RequestState.PENDING,
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("asked by"),
    )
    requested_at = models.DateTimeField(_("asked at"), default=timezone.now)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    answer = models.CharField(_("answer"), max_length=300, blank=True)
    version = models.ForeignKey(
        FlowVersion,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("version"),
    )

    objects = OfFlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("request to publish")
        verbose_name_plural = _("requests to publish")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["flow"], condition=Q(state="pending"), name="chatbot_publishrequest_one"
            )
        ]

    def __str__(self) -> str:
        return f"{self.flow_id} r{self.revision}"


class Split(models.Model):
    """The traffic of a flow divided between what is on air and another version. `share` is the
    percentage of new runs that get `challenger`, by a stable hash of the lead; one at a time."""

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="splits", verbose_name=_("flow"))
    control = models.ForeignKey(
        FlowVersion, models.PROTECT, related_name="+", verbose_name=_("version on air")
    )
    challenger = models.ForeignKey(
        FlowVersion, models.PROTECT, related_name="+", verbose_name=_("other version")
    )
    share = models.PositiveSmallIntegerField(_("share (%)"))
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    started_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("started by"),
    )
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("ended by"),
    )

    objects = OfFlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("split of traffic")
        verbose_name_plural = _("splits of traffic")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["flow"], condition=Q(ended_at=None), name="chatbot_split_one"
            ),
            models.CheckConstraint(
                condition=Q(share__gte=1, share__lte=99), name="chatbot_split_share"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.control} / {self.challenger} ({self.share} %)"
