"""Where the conversation stands: the channel it is on and who may speak in it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leads.models import Identity, Lead
from sessions_app.fields import UNREADABLE, EncryptedJSONField
from users.masking import masked
from users.permissions import any_of, ticket_scope

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


CREDENTIALS = ("app_secret", "previous_app_secret", "verify_token", "access_token")
WINDOW_MARGIN = timedelta(minutes=1)
LONG_SECRET = 16  # of a shorter one no part is shown


class ChannelKind(models.TextChoices):
    WHATSAPP_CLOUD = "whatsapp_cloud", "WhatsApp Cloud API"
    SIMULATOR = "simulator", _("simulator")


class ChannelQuerySet(models.QuerySet["Channel"]):
    def active(self) -> ChannelQuerySet:
        return self.filter(is_active=True)

    def visible_to(self, user: User | AnonymousUser) -> ChannelQuerySet:
        """Channels are configuration: staff may see that they exist (never their credentials)."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.all()


class Channel(models.Model):
    """A configured number or bot. The row wins over the environment once it exists."""

    slug = models.SlugField(
        _("slug"),
        max_length=50,
        db_index=False,
        help_text=_("The end of the webhook's address."),
    )
    kind = models.CharField(_("kind"), max_length=24, choices=ChannelKind.choices)
    name = models.CharField(_("name"), max_length=80)
    external_id = models.CharField(
        _("external id"),
        max_length=64,
        blank=True,
        help_text=_("For WhatsApp: the phone number id."),
    )
    account_id = models.CharField(
        _("account id"),
        max_length=64,
        blank=True,
        help_text=_(
            "For WhatsApp: the business account (WABA), which owns message templates and limits. "
            "Learned from the webhook when empty."
        ),
    )
    display_number = models.CharField(_("number shown"), max_length=32, blank=True)
    identity_scope = models.CharField(
        _("identity scope"),
        max_length=64,
        blank=True,
        help_text=_("The business portfolio of user ids. Empty: the only one here."),
    )
    credentials = EncryptedJSONField(_("credentials"), blank=True, default=dict)
    settings = models.JSONField(_("settings"), default=dict, blank=True)
    rate_per_second = models.PositiveSmallIntegerField(_("messages per second"), default=80)
    idle_minutes = models.PositiveIntegerField(
        _("idle minutes"),
        null=True,
        blank=True,
        help_text=_("Empty: SESSION_IDLE_MINUTES, or what the flow says."),
    )
    is_default = models.BooleanField(
        _("default"), default=False, help_text=_("Answers at /webhook.")
    )
    is_active = models.BooleanField(_("active"), default=True)
    paused_until = models.DateTimeField(_("sending paused until"), null=True, blank=True)
    pause_reason = models.CharField(_("pause reason"), max_length=300, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = ChannelQuerySet.as_manager()

    class Meta:
        verbose_name = _("channel")
        verbose_name_plural = _("channels")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["slug"], name="sessions_channel_slug"),
            models.UniqueConstraint(
                fields=["kind", "external_id"],
                condition=~Q(external_id=""),
                name="sessions_channel_external_id",
            ),
            models.UniqueConstraint(
                fields=["is_default"],
                condition=Q(is_default=True),
                name="sessions_channel_one_default",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_simulator(self) -> bool:
        return self.kind == ChannelKind.SIMULATOR

    @property
    def is_unreadable(self) -> bool:
        """Stored under a key that FIELD_ENCRYPTION_KEY does not hold any more."""
        return UNREADABLE in self.credentials

    def take_credentials(self, given: Mapping[str, str]) -> bool:
        """Set what is given and keep the rest, in memory; False when there is nothing to save."""
        new = {name: text.strip() for name, text in given.items() if text.strip()}
        if new:
            kept = {name: text for name, text in self.credentials.items() if name != UNREADABLE}
            self.credentials = {**kept, **new}
        return bool(new)

    def masked_credential(self, name: str) -> str:
        """Enough to tell one secret from another; "" when there is none."""
        secret = str(self.credentials.get(name, ""))
        return f"••••{secret[-4:] if len(secret) >= LONG_SECRET else ''}" if secret else ""


class Owner(models.TextChoices):
    BOT = "bot", _("bot")
    QUEUE = "queue", _("queue")
    ATTENDANT = "attendant", _("attendant")


class EndReason(models.TextChoices):
    COMPLETED = "completed", _("flow completed")
    IDLE = "idle", _("no answer from the customer")
    RESOLVED = "resolved", _("ticket resolved")
    MERGED = "merged", _("leads merged")
    CLOSED = "closed", _("closed by staff")
    RESTARTED = "restarted", _("started again")


CLOSING_HOURS = 4  # a window that closes within them wants an answer
LONGEST_WINDOW = 24
WINDOW_STATES = ("closing", "closed", "open")


def window_condition(
    state: str, *, at: datetime, hours: int = CLOSING_HOURS, prefix: str = ""
) -> Q:
    """Where the window stands; `prefix` is the way to Session ("session__")."""
    until = f"{prefix}window_expires_at"
    match state:
        case "closing":
            return Q(**{f"{until}__gt": at, f"{until}__lte": at + timedelta(hours=hours)})
        case "closed":
            return Q(**{f"{until}__lte": at})
    return Q(**{f"{until}__isnull": True}) | Q(**{f"{until}__gt": at})


class SessionQuerySet(models.QuerySet["Session"]):
    def live(self) -> SessionQuerySet:
        return self.filter(ended_at=None)

    def with_bot(self) -> SessionQuerySet:
        return self.live().filter(owner=Owner.BOT)

    def real(self) -> SessionQuerySet:
        return self.filter(is_simulated=False)

    def in_window(self, state: str, *, at: datetime, hours: int = CLOSING_HOURS) -> SessionQuerySet:
        """Live ones whose service window is `open`, `closing` (within so many hours) or
        `closed`; a channel without a window is always open."""
        return self.live().filter(window_condition(state, at=at, hours=hours))

    def visible_to(self, user: User | AnonymousUser) -> SessionQuerySet:
        """Admins see all; attendants the sessions of tickets they see and of leads they keep."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_admin:
            return self.all()
        return self.filter(any_of(session_rules(user)))


def session_rules(user: User) -> dict[str, Q]:
    """Why an attendant sees a conversation, each reason by its name."""
    by_ticket = Session.objects.filter(ticket_scope(user, "tickets__"), pk=OuterRef("pk"))
    return {"keeps": Q(lead__attendant=user), "ticket": Q(Exists(by_ticket))}


class Session(models.Model):
    """One stretch of conversation of one lead on one channel, with bot and people.

    `owner` and `epoch` say who may speak; both change only in `services.hand_over`. `epoch` rises
    only when the speaker changes between bot and people. `seq` is the last FlowLog row's number.
    `flow_state` holds the run, its version and the engine's state, and for the apps below the one
    that runs flows the `title` of the current node and the names of `sensitive` variables. All of
    it is written under the row lock (`services.lock_session`).
    """

    lead = models.ForeignKey(
        Lead,
        models.PROTECT,
        related_name="sessions",
        db_index=False,
        verbose_name=_("lead"),
    )
    channel = models.ForeignKey(
        Channel,
        models.PROTECT,
        related_name="sessions",
        db_index=False,
        verbose_name=_("channel"),
    )
    identity = models.ForeignKey(
        Identity,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("identity"),
        help_text=_("The address last written from; answers go there."),
    )
    owner = models.CharField(_("with"), max_length=12, choices=Owner.choices, default=Owner.BOT)
    owner_since = models.DateTimeField(_("with them since"), default=timezone.now)
    epoch = models.PositiveIntegerField(_("epoch"), default=0)
    seq = models.PositiveIntegerField(_("last log number"), default=0)
    current_state = models.CharField(_("current node"), max_length=80, blank=True)
    context = models.JSONField(_("context"), default=dict, blank=True)
    flow_state = models.JSONField(_("flow state"), default=dict, blank=True)
    started_at = models.DateTimeField(_("started at"), default=timezone.now)
    last_interaction_at = models.DateTimeField(
        _("last message of the customer"), null=True, blank=True
    )
    window_expires_at = models.DateTimeField(_("service window until"), null=True, blank=True)
    pair_free_at = models.DateTimeField(
        _("pair limit used up to"),
        null=True,
        blank=True,
        help_text=_("How far ahead of its pace the provider lets us be with this customer."),
    )
    idle_due_at = models.DateTimeField(
        _("idle action due at"),
        null=True,
        blank=True,
        help_text=_(
            "When the bot warns of idleness or ends the session. "
            "Empty: not waiting for the customer."
        ),
    )
    idle_warned_at = models.DateTimeField(_("warned of idleness at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    end_reason = models.CharField(
        _("end reason"), max_length=16, choices=EndReason.choices, blank=True
    )
    last_message_at = models.DateTimeField(_("last message at"), null=True, blank=True)
    last_message_preview = models.CharField(_("last message"), max_length=160, blank=True)
    unread = models.PositiveIntegerField(_("unread"), default=0)
    is_simulated = models.BooleanField(_("simulated"), default=False, editable=False)

    objects = SessionQuerySet.as_manager()

    class Meta:
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["lead", "channel"],
                condition=Q(ended_at=None),
                name="sessions_session_one_live",
            ),
            models.CheckConstraint(
                condition=Q(owner__in=Owner.values), name="sessions_session_owner"
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, end_reason="")
                | Q(ended_at__isnull=False) & ~Q(end_reason=""),
                name="sessions_session_end_has_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["lead", "channel", "-id"], name="sessions_session_lead"),
            models.Index(fields=["started_at"], name="sessions_session_started"),
            models.Index(
                fields=["idle_due_at"],
                condition=Q(ended_at=None, owner="bot", idle_due_at__isnull=False),
                name="sessions_session_idle",
            ),
            models.Index(
                fields=["-last_message_at"],
                condition=Q(ended_at=None),
                name="sessions_session_recent",
            ),
            models.Index(
                fields=["window_expires_at"],
                condition=Q(ended_at=None, window_expires_at__isnull=False),
                name="sessions_session_window",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.lead} · {self.channel}"

    @property
    def is_live(self) -> bool:
        return self.ended_at is None

    def context_for(self, user: User) -> dict[str, Any]:
        """The variables as `user` gets them where showing one is not logged: an attendant without
        the sensitive ones, and without any of a run that does not say which ones are."""
        if user.is_admin:
            return dict(self.context)
        shown = masked(self.context, self.flow_state.get("sensitive", self.context.keys()))
        return dict(shown)

    def window_is_open(self, at: datetime) -> bool:
        """May free text be sent at `at`? True on channels that have no service window.

        It closes a minute early: the clock is the provider's, and a message takes its time.
        """
        return self.window_expires_at is None or at < self.window_expires_at - WINDOW_MARGIN
