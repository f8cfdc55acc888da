"""What a human must do: the case, its history, and how it was given to someone."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, When
from django.db.models.functions import Coalesce, Least
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leads.models import Lead, Tag
from sessions_app.models import CLOSING_HOURS, Session, window_condition
from users.models import Department, Skill
from users.permissions import ticket_scope
from users.text_search import Document, in_any, with_words

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


# How near a due time is a warning, in minutes of the clock on the wall: enough to read a
# conversation and answer it. A due time is a moment within business hours, so a department that
# opens in the morning is warned in the morning.
AT_RISK = timedelta(minutes=15)


def _nearest_due() -> Case:
    """Of the two due times the one that comes first and somebody still has to keep."""
    is_answered = Q(first_response_at__isnull=False) | Q(first_response_due_at=None)
    return Case(
        When(is_answered, then=F("resolution_due_at")),
        When(resolution_due_at=None, then=F("first_response_due_at")),
        default=Least("first_response_due_at", "resolution_due_at"),
    )


def late_condition(at: datetime) -> Q:
    """Past the time to answer or to be resolved, of an open ticket; clocks that stand still show
    when they were stopped."""
    shown = Coalesce(F("sla_paused_at"), at)
    is_unanswered = Q(first_response_at=None, first_response_due_at__lt=shown)
    return is_unanswered | Q(resolution_due_at__lt=shown)


def snoozed_condition(at: datetime) -> Q:
    """Put aside: until a moment that has not come, or until the customer writes."""
    return Q(snoozed_until__gt=at) | Q(snoozed_until_reply=True)


TICKET_WORDS = Document(("protocol", "subject"))  # as in the index tickets_ticket_words
_SHORT_PROTOCOL = re.compile(r"\s*#\s*(\d{1,6})\s*")


class TicketQuerySet(models.QuerySet["Ticket"]):
    def open(self) -> TicketQuerySet:
        """Somebody still has to do something: open, in progress or waiting for the customer."""
        return self.filter(status__in=OPEN_STATUSES)

    def unassigned(self) -> TicketQuerySet:
        return self.filter(assignee=None)

    def awake(self, at: datetime) -> TicketQuerySet:
        """Not put aside until later."""
        return self.exclude(snoozed_condition(at))

    def with_due(self) -> TicketQuerySet:
        """`due_at`: the nearest running due time, of the first response as long as there is none,
        or of the resolution. NULL while the clocks stand still, and when there is nothing to keep:
        order by it with nulls last."""
        is_running = Q(status__in=OPEN_STATUSES, sla_paused_at=None)
        return self.annotate(due_at=Case(When(is_running, then=_nearest_due())))

    def late(self, at: datetime) -> TicketQuerySet:
        """Open, and past the time to answer or to be resolved; what was late when its clocks were
        stopped stays late."""
        return self.open().filter(late_condition(at))

    def at_risk(self, at: datetime) -> TicketQuerySet:
        """Not late yet, and the nearest running due time is no more than AT_RISK away."""
        is_near = Q(due_at__gte=at, due_at__lte=at + AT_RISK)
        return self.with_due().filter(is_near)

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

    def matching(self, text: str) -> TicketQuerySet:
        """By protocol ("20261126-0003", "0003", "#3"), words of the subject, or whatever finds the
        lead."""
        short = _SHORT_PROTOCOL.fullmatch(text)
        if short:
            return in_any(self, with_words(Ticket.objects.all(), TICKET_WORDS, short[1].zfill(4)))
        by_lead = Ticket.objects.filter(lead__in=Lead.objects.matching(text).values("pk"))
        return in_any(self, with_words(Ticket.objects.all(), TICKET_WORDS, text), by_lead)

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
    skills = models.ManyToManyField(
        Skill,
        blank=True,
        related_name="tickets",
        verbose_name=_("skills"),
        help_text=_("Who gets it by distribution has all of them."),
    )
    queued_at = models.DateTimeField(_("in the queue since"))
    accept_by = models.DateTimeField(
        _("to be accepted by"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Given by distribution; then it goes to the next person."),
    )
    told_position = models.PositiveIntegerField(
        _("told place in the queue"), null=True, blank=True, editable=False
    )
    told_at = models.DateTimeField(_("told at"), null=True, blank=True, editable=False)
    assigned_at = models.DateTimeField(_("assigned at"), null=True, blank=True)
    first_response_at = models.DateTimeField(_("first response at"), null=True, blank=True)
    first_response_due_at = models.DateTimeField(_("first response due at"), null=True, blank=True)
    resolution_due_at = models.DateTimeField(_("resolution due at"), null=True, blank=True)
    snoozed_until = models.DateTimeField(_("snoozed until"), null=True, blank=True)
    snoozed_until_reply = models.BooleanField(
        _("snoozed until the customer answers"), default=False, db_default=False
    )
    resolved_at = models.DateTimeField(_("resolved at"), null=True, blank=True)
    closed_at = models.DateTimeField(_("closed at"), null=True, blank=True)
    outcome = models.CharField(_("outcome"), max_length=40, blank=True)
    resolution_note = models.TextField(_("how it was resolved"), blank=True)
    sla_paused_at = models.DateTimeField(
        _("SLA paused since"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("While it waits for the customer or is snoozed. The due times move after it."),
    )
    silence_warned_at = models.DateTimeField(
        _("warned of silence at"), null=True, blank=True, editable=False
    )
    rating = models.PositiveSmallIntegerField(_("rating"), null=True, blank=True, editable=False)
    rating_comment = models.TextField(_("comment of the customer"), blank=True, editable=False)
    rated_at = models.DateTimeField(_("rated at"), null=True, blank=True, editable=False)
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
            models.CheckConstraint(
                condition=Q(rating=None) | Q(rating__range=(1, 5)), name="tickets_ticket_rating"
            ),
            models.CheckConstraint(
                condition=Q(snoozed_until=None) | Q(snoozed_until_reply=False),
                name="tickets_ticket_one_snooze",
            ),
        ]
        indexes = [
            models.Index(
                fields=["assignee", "department"],
                condition=Q(status__in=["open", "in_progress", "waiting_customer"]),
                name="tickets_ticket_open",
            ),
            models.Index(
                fields=["snoozed_until"],
                condition=Q(snoozed_until__isnull=False),
                name="tickets_ticket_snoozed",
            ),
            *(
                models.Index(
                    fields=[moment],
                    condition=Q(**{f"{moment}__isnull": False}),
                    name=f"tickets_ticket_{moment.removesuffix('_at')}",
                )
                for moment in ("resolved_at", "closed_at", "rated_at", "accept_by")
            ),
            models.Index(fields=["created_at"], name="tickets_ticket_created"),
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

    def is_snoozed(self, at: datetime) -> bool:
        """Put aside, as `snoozed_condition` says in SQL."""
        return self.snoozed_until_reply or (
            self.snoozed_until is not None and self.snoozed_until > at
        )


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
    WOKEN = "woken", _("woken")
    TAGGED = "tagged", _("tags changed")
    WARNED = "warned", _("customer warned of silence")
    RATED = "rated", _("rated by the customer")


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
    mentions = models.ManyToManyField(
        settings.AUTH_USER_MODEL,
        blank=True,
        related_name="mentioned_in",
        editable=False,
        verbose_name=_("mentions"),
    )
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
        """Everybody's, and those of the departments where one works or supervises."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_admin:
            return self.all()
        mine = Q(department__in=user.departments.values("pk"))
        supervised = Q(department__in=user.supervised_departments.values("pk"))
        return self.filter(Q(department=None) | mine | supervised)


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


class DecisionOutcome(models.TextChoices):
    ASSIGNED = "assigned", _("given to a person")
    NOBODY = "nobody", _("nobody could take it")
    RETURNED = "returned", _("not accepted in time")
    OVERFLOW = "overflow", _("given to another department")


class AssignmentDecision(models.Model):
    """Why a ticket went to whom: policy, candidates with loads and reasons, tie-break. The row says
    enough to decide again (`tickets.distribution`)."""

    department = models.ForeignKey(
        Department,
        models.SET_NULL,
        null=True,
        related_name="+",
        db_index=False,
        verbose_name=_("department"),
    )
    outcome = models.CharField(
        _("outcome"),
        max_length=12,
        choices=DecisionOutcome.choices,
        default=DecisionOutcome.ASSIGNED,
    )
    tie_break = models.CharField(_("tie-break"), max_length=40, blank=True)
    rules = models.JSONField(_("rules"), default=dict, blank=True)
    at = models.DateTimeField(_("decided at"), default=timezone.now)
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


class Presence(models.Model):
    """Somebody has the ticket's page open. Rows are refreshed by the page and age by themselves."""

    ticket = models.ForeignKey(
        Ticket, models.CASCADE, related_name="presences", verbose_name=_("ticket")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user")
    )
    seen_at = models.DateTimeField(_("seen at"))
    writing_at = models.DateTimeField(_("writing at"), null=True, blank=True)

    class Meta:
        verbose_name = _("presence")
        verbose_name_plural = _("presences")
        constraints = [
            models.UniqueConstraint(fields=["ticket", "user"], name="tickets_presence_once")
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.ticket}"


class DraftKind(models.TextChoices):
    REPLY = "reply", _("reply")
    NOTE = "note", _("internal note")


class Draft(models.Model):
    """What a person has begun to write in a ticket and not sent."""

    ticket = models.ForeignKey(
        Ticket, models.CASCADE, related_name="drafts", verbose_name=_("ticket")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("user")
    )
    kind = models.CharField(_("kind"), max_length=8, choices=DraftKind.choices)
    text = models.TextField(_("text"))
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")
        constraints = [
            models.UniqueConstraint(fields=["ticket", "user", "kind"], name="tickets_draft_once")
        ]

    def __str__(self) -> str:
        return self.text[:60]


class SavedViewQuerySet(models.QuerySet["SavedView"]):
    def visible_to(self, user: User | AnonymousUser) -> SavedViewQuerySet:
        """One's own, and those that a colleague shares."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.filter(Q(user=user) | Q(is_shared=True))


class SavedView(models.Model):
    """A choice of filters of the tickets list, under a name. What it shows depends on who looks."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="saved_views",
        verbose_name=_("user"),
    )
    name = models.CharField(_("name"), max_length=60)
    query = models.CharField(_("filters"), max_length=1000)
    is_shared = models.BooleanField(_("shared with the team"), default=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = SavedViewQuerySet.as_manager()

    class Meta:
        verbose_name = _("saved view")
        verbose_name_plural = _("saved views")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="tickets_savedview_name")
        ]

    def __str__(self) -> str:
        return self.name


class NotificationKind(models.TextChoices):
    ASSIGNED = "assigned", _("a ticket was assigned to you")
    TRANSFERRED = "transferred", _("a ticket was transferred to you")
    MENTIONED = "mentioned", _("you were mentioned in a note")
    REOPENED = "reopened", _("a ticket of yours was reopened")
    RATED = "rated", _("a customer rated your work")
    WOKEN = "woken", _("a snoozed ticket is due again")


class NotificationQuerySet(models.QuerySet["Notification"]):
    def unread(self) -> NotificationQuerySet:
        return self.filter(read_at=None)

    def visible_to(self, user: User | AnonymousUser) -> NotificationQuerySet:
        """One's own, as long as one may see the ticket."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.filter(user=user, ticket__in=Ticket.objects.visible_to(user).values("pk"))


class Notification(models.Model):
    """Something about a ticket that one person should know. `actor` None: bot, customer, clock."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="notifications",
        db_index=False,
        verbose_name=_("user"),
    )
    kind = models.CharField(_("kind"), max_length=16, choices=NotificationKind.choices)
    ticket = models.ForeignKey(
        Ticket, models.CASCADE, related_name="notifications", verbose_name=_("ticket")
    )
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
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)

    objects = NotificationQuerySet.as_manager()

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["user", "-id"], name="tickets_notification_user"),
            models.Index(
                fields=["user"], condition=Q(read_at=None), name="tickets_notification_unread"
            ),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
