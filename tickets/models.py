"""What a human must do: the case, its history, and how it was given to someone."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from leads.models import Lead, Tag
from sessions_app.models import CLOSING_HOURS, Session, window_condition
from users.models import Department
from users.permissions import ticket_scope

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class Priority(models.TextChoices):
    LOW = "low", _("low")
    MEDIUM = "medium", _("medium")
    HIGH = "high", _("high")


class TicketStatus(models.TextChoices):
    OPEN = "open", _("open")
    IN_PROGRESS = "in_progress", _("in progress")
    WAITING_CUSTOMER = "waiting_customer", _("waiting for the customer")
    RESOLVED = "resolved", _("resolved")
    CLOSED = "closed", _("closed")


OPEN_STATUSES = (
    TicketStatus.OPEN,
    TicketStatus.IN_PROGRESS,
    TicketStatus.WAITING_CUSTOMER,
)


class TicketQuerySet(models.QuerySet["Ticket"]):
    def open(self) -> TicketQuerySet:
        """Somebody still has to do something: open, in progress or waiting for the customer."""
        return self.filter(status__in=OPEN_STATUSES)

    def unassigned(self) -> TicketQuerySet:
        return self.filter(assignee=None)

    def awake(self, at: datetime) -> TicketQuerySet:
        """Not put aside until later."""
        return self.exclude(snoozed_until__gt=at)

    def late(self, at: datetime) -> TicketQuerySet:
        """Past the time to answer, or to be resolved."""
        unanswered = Q(first_response_at=None, first_response_due_at__lt=at)
        return self.filter(unanswered | Q(resolution_due_at__lt=at))

    def in_window(self, state: str, *, at: datetime, hours: int = CLOSING_HOURS) -> TicketQuerySet:
        """Of live conversations whose service window is open, closing within so many hours, or
        closed."""
        condition = window_condition(state, at=at, hours=hours, prefix="session__")
        return self.filter(condition, session__ended_at=None)

    def unanswered(self) -> TicketQuerySet:
        """The customer has written since anybody's last answer."""
        return self.filter(unread__gt=0)

    def real(self) -> TicketQuerySet:
        return self.filter(is_simulated=False)

    def visible_to(self, user: User | AnonymousUser) -> TicketQuerySet:
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.all() if user.is_admin else self.filter(ticket_scope(user))


class Ticket(models.Model):
    """One case. Open means open, in_progress or waiting_customer.

    A session has one open ticket while people have it, and none while the bot has it.
    """

    protocol = models.CharField(_("protocol"), max_length=20)
    lead = models.ForeignKey(
        Lead,
        models.PROTECT,
        related_name="tickets",
        db_index=False,
        verbose_name=_("lead"),
    )
    session = models.ForeignKey(
        Session,
        models.PROTECT,
        related_name="tickets",
        db_index=False,
        verbose_name=_("session"),
    )
    department = models.ForeignKey(
        Department,
        models.PROTECT,
        related_name="tickets",
        db_index=False,
        verbose_name=_("department"),
    )
    assignee = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="assigned_tickets",
        db_index=False,
        verbose_name=_("assignee"),
    )
    status = models.CharField(
        _("status"),
        max_length=20,
        choices=TicketStatus.choices,
        default=TicketStatus.OPEN,
    )
    priority = models.CharField(
        _("priority"), max_length=8, choices=Priority.choices, default=Priority.MEDIUM
    )
    subject = models.CharField(_("subject"), max_length=200, blank=True)
    variables = models.JSONField(
        _("collected variables"),
        default=dict,
        blank=True,
        help_text=_("Copied when the bot handed over."),
    )
    handoff = models.JSONField(
        _("handoff"),
        default=dict,
        blank=True,
        help_text=_("Why and along which path the bot handed over."),
    )
    tags = models.ManyToManyField(Tag, blank=True, related_name="tickets", verbose_name=_("tags"))
    queued_at = models.DateTimeField(_("in the queue since"))
    assigned_at = models.DateTimeField(_("assigned at"), null=True, blank=True)
    first_response_at = models.DateTimeField(_("first response at"), null=True, blank=True)
    first_response_due_at = models.DateTimeField(_("first response due at"), null=True, blank=True)
    resolution_due_at = models.DateTimeField(_("resolution due at"), null=True, blank=True)
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True)
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=40, blank=True)
    last_message_at = models.DateTimeField(_("last message at"), null=True, blank=True)
    last_message_preview = models.CharField(_("last message"), max_length=160, blank=True)
    unread = models.PositiveIntegerField(_("unread"), default=0)
    is_simulated = models.BooleanField(_("simulated"), default=False, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = TicketQuerySet.as_manager()

    class Meta:
        verbose_name = _("ticket")
        verbose_name_plural = _("tickets")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["protocol"], name="tickets_ticket_protocol"),
            models.UniqueConstraint(
                fields=["session"],
                condition=Q(status__in=["open", "in_progress", "waiting_customer"]),
                name="tickets_ticket_one_open",
            ),
            models.CheckConstraint(
                condition=Q(status__in=TicketStatus.values),
                name="tickets_ticket_status",
            ),
            models.CheckConstraint(
                condition=Q(priority__in=Priority.values),
                name="tickets_ticket_priority",
            ),
        ]
        indexes = [
            models.Index(fields=["session", "-id"], name="tickets_ticket_session"),
            models.Index(fields=["lead", "-id"], name="tickets_ticket_lead"),
            models.Index(fields=["assignee", "status", "-id"], name="tickets_ticket_assignee"),
            models.Index(fields=["department", "status", "-id"], name="tickets_ticket_department"),
        ]

    def __str__(self) -> str:
        return self.protocol

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES


class ProtocolCounter(models.Model):
    """Last protocol number of a day. One row a day, raised by one statement."""

    day = models.DateField(_("day"), primary_key=True)
    n = models.PositiveIntegerField(_("last number"), default=0)

    class Meta:
        verbose_name = _("protocol counter")
        verbose_name_plural = _("protocol counters")

    def __str__(self) -> str:
        return f"{self.day:%Y%m%d}-{self.n:04d}"


class TicketEventKind(models.TextChoices):
    OPENED = "opened", _("opened")
    CLAIMED = "claimed", _("claimed")
    ASSIGNED = "assigned", _("assigned")
    RELEASED = "released", _("released")
    TRANSFERRED = "transferred", _("transferred")
    PRIORITY = "priority", _("priority changed")
    STATUS = "status", _("status changed")
    SNOOZED = "snoozed", _("snoozed")
    RESOLVED = "resolved", _("resolved")
    CLOSED = "closed", _("closed")
    REOPENED = "reopened", _("reopened")
    MERGED = "merged", _("merged")


class TicketEvent(models.Model):
    """One thing that happened to a ticket; rows are only added. `actor` None: bot or system."""

    ticket = models.ForeignKey(
        Ticket, models.CASCADE, related_name="events", verbose_name=_("ticket")
    )
    kind = models.CharField(_("kind"), max_length=16, choices=TicketEventKind.choices)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("by"),
    )
    details = models.JSONField(_("details"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("ticket event")
        verbose_name_plural = _("ticket events")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.get_kind_display()


class InternalNote(models.Model):
    """What the team says about a ticket. Another table than messages, so it cannot be sent."""

    ticket = models.ForeignKey(
        Ticket, models.CASCADE, related_name="notes", verbose_name=_("ticket")
    )
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("author"),
    )
    text = models.TextField(_("text"))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("internal note")
        verbose_name_plural = _("internal notes")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.text[:60]


class CannedResponseQuerySet(models.QuerySet["CannedResponse"]):
    def active(self) -> CannedResponseQuerySet:
        return self.filter(is_active=True)

    def visible_to(self, user: User | AnonymousUser) -> CannedResponseQuerySet:
        """Everybody's, and those of one's own departments."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_admin:
            return self.all()
        return self.filter(Q(department=None) | Q(department__in=user.departments.values("pk")))


class CannedResponse(models.Model):
    """A text that attendants keep ready. `{{ name }}` is filled in when it is used."""

    shortcut = models.SlugField(_("shortcut"), max_length=40, db_index=False)
    title = models.CharField(_("title"), max_length=80)
    text = models.TextField(_("text"))
    department = models.ForeignKey(
        Department,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="canned_responses",
        verbose_name=_("department"),
        help_text=_("Empty: everybody's."),
    )
    is_active = models.BooleanField(_("active"), default=True)

    objects = CannedResponseQuerySet.as_manager()

    class Meta:
        verbose_name = _("canned response")
        verbose_name_plural = _("canned responses")
        ordering = ["shortcut"]
        constraints = [
            models.UniqueConstraint(
                fields=["shortcut", "department"], name="tickets_canned_shortcut"
            ),
            models.UniqueConstraint(
                fields=["shortcut"],
                condition=Q(department=None),
                name="tickets_canned_shortcut_shared",
            ),
        ]

    def __str__(self) -> str:
        return f"/{self.shortcut}"


class SlaPolicy(models.Model):
    """Minutes until the first response and until the end. The most specific active one applies."""

    name = models.CharField(_("name"), max_length=80)
    department = models.ForeignKey(
        Department,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="sla_policies",
        verbose_name=_("department"),
        help_text=_("Empty: all departments."),
    )
    priority = models.CharField(
        _("priority"),
        max_length=8,
        choices=Priority.choices,
        blank=True,
        help_text=_("Empty: all priorities."),
    )
    first_response_minutes = models.PositiveIntegerField(_("minutes to the first response"))
    resolution_minutes = models.PositiveIntegerField(_("minutes to the end"), null=True, blank=True)
    is_active = models.BooleanField(_("active"), default=True)

    class Meta:
        verbose_name = _("SLA policy")
        verbose_name_plural = _("SLA policies")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["department", "priority"],
                condition=Q(is_active=True),
                name="tickets_sla_one_active",
            ),
            models.UniqueConstraint(
                fields=["priority"],
                condition=Q(is_active=True, department=None),
                name="tickets_sla_one_active_shared",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class AssignmentDecision(models.Model):
    """Why a ticket went to whom: policy, candidates with loads and reasons, tie-break."""

    ticket = models.ForeignKey(
        Ticket, models.CASCADE, related_name="decisions", verbose_name=_("ticket")
    )
    chosen = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("chosen"),
    )
    policy = models.CharField(_("policy"), max_length=40)
    candidates = models.JSONField(_("candidates"), default=list, blank=True)
    reason = models.CharField(_("reason"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("assignment decision")
        verbose_name_plural = _("assignment decisions")
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.ticket} → {self.chosen or '–'}"
