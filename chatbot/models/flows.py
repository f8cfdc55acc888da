"""Flows and their versions, what starts them, and the runs of sessions inside them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from sessions_app.models import Channel, Session

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class FlowQuerySet(models.QuerySet["Flow"]):
    def published(self) -> FlowQuerySet:
        return self.filter(is_active=True, published__isnull=False)

    def visible_to(self, user: User | AnonymousUser) -> FlowQuerySet:
        """Flows are the admins' work; attendants see what was said, not how it is drawn."""
        if not user.is_authenticated or not user.is_active or not user.is_admin:
            return self.none()
        return self.all()


class Flow(models.Model):
    """A conversation as data. `draft` is edited; `published` is what customers get."""

    slug = models.SlugField(_("slug"), max_length=50, db_index=False)
    name = models.CharField(_("name"), max_length=80)
    description = models.CharField(_("description"), max_length=300, blank=True)
    draft = models.JSONField(_("draft"), default=dict, blank=True)
    draft_revision = models.PositiveIntegerField(_("draft revision"), default=0)
    draft_saved_at = models.DateTimeField(_("draft saved at"), null=True, blank=True)
    draft_saved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("draft saved by"),
    )
    published = models.ForeignKey(
        "FlowVersion",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("published version"),
    )
    is_active = models.BooleanField(_("active"), default=True)
    needs_approval = models.BooleanField(
        _("needs a second person to publish"),
        default=False,
        help_text=_("Whoever asks for a draft to be published cannot be the one who approves it."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = FlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["slug"], name="chatbot_flow_slug")]

    def __str__(self) -> str:
        return self.name


class FlowVersionQuerySet(models.QuerySet["FlowVersion"]):
    def published(self) -> FlowVersionQuerySet:
        """Without drafts that are only being tried."""
        return self.filter(number__isnull=False)

    def visible_to(self, user: User | AnonymousUser) -> FlowVersionQuerySet:
        return self.filter(flow__in=Flow.objects.visible_to(user).values("pk"))


class FlowVersion(models.Model):
    """A published document with its sub-flows embedded. Never changes; a conversation ends on the
    one it began with.

    Without a number it was never on air: a draft, as it was at `revision`, that somebody tries in
    the simulator.
    """

    flow = models.ForeignKey(
        Flow,
        models.PROTECT,
        related_name="versions",
        db_index=False,
        verbose_name=_("flow"),
    )
    number = models.PositiveIntegerField(_("number"), null=True, blank=True)
    revision = models.PositiveIntegerField(_("draft revision"), null=True, blank=True)
    document = models.JSONField(_("document"))
    note = models.CharField(_("note"), max_length=300, blank=True)
    published_at = models.DateTimeField(_("published at"), default=timezone.now)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("published by"),
    )

    objects = FlowVersionQuerySet.as_manager()

    class Meta:
        verbose_name = _("flow version")
        verbose_name_plural = _("flow versions")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["flow", "number"], name="chatbot_flowversion_number"),
            models.UniqueConstraint(
                fields=["flow", "revision"],
                condition=Q(number=None),
                name="chatbot_flowversion_tried_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.flow} {self.label}"

    @property
    def label(self) -> str:
        """`v12`, or that it is a draft."""
        return gettext("draft") if self.number is None else f"v{self.number}"


class TriggerKind(models.TextChoices):
    CATCH_ALL = "catch_all", _("any message")
    FIRST_CONTACT = "first_contact", _("first contact")
    KEYWORD = "keyword", _("keyword")
    REFERRAL = "referral", _("ad referral")
    TEMPLATE_BUTTON = "template_button", _("message template button")
    TICKET_CLOSED = "ticket_closed", _("ticket closed")


class Trigger(models.Model):
    """What starts a flow. The matching active trigger with the highest priority wins; ties: the
    older one."""

    flow = models.ForeignKey(Flow, models.CASCADE, related_name="triggers", verbose_name=_("flow"))
    kind = models.CharField(_("kind"), max_length=20, choices=TriggerKind.choices)
    keywords = models.JSONField(
        _("keywords"),
        default=list,
        blank=True,
        help_text=_("Words, button payloads or ad ids, depending on the kind."),
    )
    channel = models.ForeignKey(
        Channel,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="triggers",
        verbose_name=_("channel"),
        help_text=_("Empty: every channel."),
    )
    calendar = models.ForeignKey(
        "users.Calendar",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("schedule"),
        help_text=_("Empty: at any time."),
    )
    when_open = models.BooleanField(
        _("when open"),
        default=True,
        help_text=_("Off: fires outside the hours of the schedule."),
    )
    priority = models.SmallIntegerField(_("priority"), default=0)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("trigger")
        verbose_name_plural = _("triggers")
        ordering = ["-priority", "id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=TriggerKind.values), name="chatbot_trigger_kind"
            )
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} → {self.flow}"


class FlowRun(models.Model):
    """A session inside a flow version. Live only while the session is with the bot and has this
    epoch."""

    session = models.ForeignKey(
        Session,
        models.CASCADE,
        related_name="runs",
        db_index=False,
        verbose_name=_("session"),
    )
    version = models.ForeignKey(
        FlowVersion, models.PROTECT, related_name="runs", verbose_name=_("version")
    )
    trigger = models.ForeignKey(
        Trigger,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("trigger"),
    )
    split = models.ForeignKey(
        "Split",
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("split"),
    )
    # How far the rows of this run are in FlowCount: up to this number of its session.
    counted_seq = models.PositiveIntegerField(default=0, editable=False)
    # For good: the session has ended, or is not to be counted.
    is_counted = models.BooleanField(default=False, db_default=False, editable=False)
    epoch = models.PositiveIntegerField(_("epoch"))
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    finished_at = models.DateTimeField(
        _("finished at"),
        null=True,
        blank=True,
        help_text=_("When the flow reached its own end."),
    )

    class Meta:
        verbose_name = _("flow run")
        verbose_name_plural = _("flow runs")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["session", "-id"], name="chatbot_flowrun_session"),
            models.Index(
                fields=["id"], condition=Q(is_counted=False), name="chatbot_flowrun_uncounted"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version} #{self.pk}"
