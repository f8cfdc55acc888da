"""What was said and why: flows and their versions, the two append-only logs, and what is due
later."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from leads.models import Identity
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
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = FlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("flow")
        verbose_name_plural = _("flows")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["slug"], name="chatbot_flow_slug")]

    def __str__(self) -> str:
        return self.name


class FlowVersion(models.Model):
    """A published document with its sub-flows embedded. Never changes; a conversation ends on the
    one it began with."""

    flow = models.ForeignKey(
        Flow,
        models.PROTECT,
        related_name="versions",
        db_index=False,
        verbose_name=_("flow"),
    )
    number = models.PositiveIntegerField(_("number"))
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

    class Meta:
        verbose_name = _("flow version")
        verbose_name_plural = _("flow versions")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["flow", "number"], name="chatbot_flowversion_number")
        ]

    def __str__(self) -> str:
        return f"{self.flow} v{self.number}"


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
        indexes = [models.Index(fields=["session", "-id"], name="chatbot_flowrun_session")]

    def __str__(self) -> str:
        return f"{self.version} #{self.pk}"


class FlowLogKind(models.TextChoices):
    START = "start", _("start")
    STEP = "step", _("step")
    JUMP = "jump", _("jump")
    EDIT = "edit", _("edit")
    END = "end", _("end")
    REDACT = "redact", _("redact")


class LogQuerySet(models.QuerySet[Any]):
    """Rows that hang on a session are seen by whoever sees the session."""

    def visible_to(self, user: User | AnonymousUser) -> LogQuerySet:
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if user.is_admin:
            return self.all()
        return self.filter(session__in=Session.objects.visible_to(user).values("pk"))

    def real(self) -> LogQuerySet:
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


class Direction(models.TextChoices):
    INBOUND = "in", _("received")
    OUTBOUND = "out", _("sent by us")


class Author(models.TextChoices):
    CUSTOMER = "customer", _("customer")
    BOT = "bot", _("bot")
    ATTENDANT = "attendant", _("attendant")
    SYSTEM = "system", _("system")


class MessageStatus(models.TextChoices):
    RECEIVED = "received", _("received")
    QUEUED = "queued", _("in the outbox")
    SENDING = "sending", _("sending")
    SENT = "sent", _("sent")
    DELIVERED = "delivered", _("delivered")
    READ = "read", _("read")
    PLAYED = "played", _("played")
    FAILED = "failed", _("not delivered")
    SUPERSEDED = "superseded", _("discarded")


# How far a message has come. A provider's status moves a row only to a higher rank; a delivery
# proves a
# `failed` wrong, so `failed` ranks just above `sent`.
STATUS_RANK = {
    MessageStatus.QUEUED: 0,
    MessageStatus.SENDING: 1,
    MessageStatus.SENT: 2,
    MessageStatus.FAILED: 3,
    MessageStatus.DELIVERED: 4,
    MessageStatus.READ: 5,
    MessageStatus.PLAYED: 6,
}


class MessageLogQuerySet(LogQuerySet):
    def inbound(self) -> MessageLogQuerySet:
        return self.filter(direction=Direction.INBOUND)

    def outbound(self) -> MessageLogQuerySet:
        return self.filter(direction=Direction.OUTBOUND)

    def pending(self) -> MessageLogQuerySet:
        """The outbox: what still has to be sent or settled."""
        return self.filter(status__in=(MessageStatus.QUEUED, MessageStatus.SENDING))


class MessageLog(models.Model):
    """One thing said, by anybody. Append-only in its content; outbound rows are also the outbox.

    Inserted only under the session lock, so ids are in commit order within a session. `epoch` is
    the session's when the text was decided: a bot row of an older epoch is never sent.
    """

    channel = models.ForeignKey(
        Channel,
        models.PROTECT,
        related_name="messages",
        db_index=False,
        verbose_name=_("channel"),
    )
    session = models.ForeignKey(
        Session,
        models.CASCADE,
        related_name="messages",
        db_index=False,
        verbose_name=_("session"),
    )
    direction = models.CharField(_("direction"), max_length=3, choices=Direction.choices)
    author = models.CharField(_("author"), max_length=10, choices=Author.choices)
    author_user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("written by"),
    )
    identity = models.ForeignKey(
        Identity,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("from or to"),
    )
    kind = models.CharField(_("kind"), max_length=20)
    text = models.TextField(_("text"), blank=True)
    payload = models.JSONField(
        _("payload"),
        default=dict,
        blank=True,
        help_text=_("Options, media, location, contacts … in neutral form."),
    )
    status = models.CharField(_("status"), max_length=12, choices=MessageStatus.choices)
    provider_id = models.CharField(_("provider id"), max_length=255, blank=True)
    provider_at = models.DateTimeField(_("time of the provider"), null=True, blank=True)
    reply_to = models.CharField(_("answers"), max_length=255, blank=True)
    client_id = models.UUIDField(_("client id"), null=True, blank=True)
    flow_log = models.ForeignKey(
        FlowLog,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="messages",
        db_index=False,
        verbose_name=_("decided by"),
    )
    epoch = models.PositiveIntegerField(_("epoch"), default=0)
    run_at = models.DateTimeField(_("due at"), null=True, blank=True)
    locked_until = models.DateTimeField(_("leased until"), null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    error_code = models.CharField(_("error code"), max_length=40, blank=True)
    error_detail = models.CharField(_("error detail"), max_length=500, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True, blank=True)
    read_at = models.DateTimeField(_("read at"), null=True, blank=True)
    played_at = models.DateTimeField(_("played at"), null=True, blank=True)
    failed_at = models.DateTimeField(_("failed at"), null=True, blank=True)
    edited_at = models.DateTimeField(_("edited at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    reaction = models.CharField(_("reaction"), max_length=40, blank=True)
    pricing = models.JSONField(_("pricing"), default=dict, blank=True)
    # None: no price is known; False: not yet in MessageCount; True: counted there, once.
    is_priced = models.BooleanField(null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = MessageLogQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "provider_id"],
                condition=Q(direction="in"),
                name="chatbot_message_inbound_once",
            ),
            models.UniqueConstraint(
                fields=["session", "client_id"],
                condition=Q(client_id__isnull=False),
                name="chatbot_message_client_once",
            ),
            models.CheckConstraint(
                condition=Q(status__in=MessageStatus.values),
                name="chatbot_message_status",
            ),
            models.CheckConstraint(
                condition=Q(direction="in", status="received")
                | Q(direction="out") & ~Q(status="received"),
                name="chatbot_message_status_fits_direction",
            ),
        ]
        indexes = [
            models.Index(fields=["session", "id"], name="chatbot_message_session"),
            models.Index(
                fields=["channel", "provider_id"],
                condition=Q(direction="out") & ~Q(provider_id=""),
                name="chatbot_message_outbound_id",
            ),
            models.Index(
                fields=["session", "id"],
                condition=Q(status__in=["queued", "sending"]),
                name="chatbot_message_outbox",
            ),
            models.Index(
                fields=["run_at"],
                condition=Q(status="queued"),
                name="chatbot_message_due",
            ),
            models.Index(
                fields=["id"], condition=Q(is_priced=False), name="chatbot_message_unpriced"
            ),
        ]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def callback_data(self) -> str:
        """Our id, as it travels with the message and comes back in its statuses."""
        return f"m{self.pk}"


class TaskKind(models.TextChoices):
    HANDLER = "handler", _("handler")
    HTTP = "http", _("HTTP request")
    WAIT = "wait", _("wait")
    MARK_READ = "mark_read", _("mark as read")
    MEDIA = "media", _("media download")
    REPROCESS = "reprocess", _("processing again")
    TEMPLATES = "templates", _("synchronising message templates")


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


class MediaStatus(models.TextChoices):
    PENDING = "pending", _("to be fetched")
    STORED = "stored", _("stored")
    FAILED = "failed", _("failed")
    BLOCKED = "blocked", _("blocked")


class Media(models.Model):
    """A file of a message, received or to be sent.

    The file name and, until it is stored, the type are the sender's claims: shown, never used as a
    path. Once stored, `mime_type` is what the content says and `sha256` what it hashes to (hex).
    For a file of ours `provider_id` is the id of its upload, good until 30 days after
    `uploaded_at`.
    """

    message = models.ForeignKey(
        MessageLog, models.CASCADE, related_name="media", verbose_name=_("message")
    )
    provider_id = models.CharField(_("provider id"), max_length=255, blank=True)
    url = models.URLField(_("address"), max_length=2000, blank=True)
    mime_type = models.CharField(_("type"), max_length=120, blank=True)
    filename = models.CharField(_("file name"), max_length=300, blank=True)
    sha256 = models.CharField(_("SHA-256"), max_length=64, blank=True)
    size = models.BigIntegerField(_("size"), null=True, blank=True)
    file = models.FileField(_("file"), upload_to="media/%Y/%m/", blank=True)
    thumbnail = models.FileField(_("thumbnail"), upload_to="media/%Y/%m/", blank=True)
    status = models.CharField(
        _("status"),
        max_length=8,
        choices=MediaStatus.choices,
        default=MediaStatus.PENDING,
    )
    error = models.CharField(_("error"), max_length=500, blank=True)
    fetched_at = models.DateTimeField(_("fetched at"), null=True, blank=True)
    uploaded_at = models.DateTimeField(_("uploaded at"), null=True, blank=True)

    class Meta:
        verbose_name = _("media")
        verbose_name_plural = _("media")
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.filename or f"{self.mime_type} #{self.pk}"


class TemplateStatus(models.TextChoices):
    DRAFT = "draft", _("not submitted")
    PENDING = "pending", _("pending")
    APPROVED = "approved", _("approved")
    REJECTED = "rejected", _("rejected")
    PAUSED = "paused", _("paused")
    DISABLED = "disabled", _("disabled")
    APPEAL = "appeal", _("in appeal")
    DELETED = "deleted", _("deleted")


class MessageTemplate(models.Model):
    """A text that the provider approved, for use outside the service window. Only an approved one
    is sent; `components` are in the provider's form, with examples of the variables."""

    channel = models.ForeignKey(
        Channel,
        models.CASCADE,
        related_name="message_templates",
        db_index=False,
        verbose_name=_("channel"),
    )
    name = models.CharField(_("name"), max_length=512)
    language = models.CharField(_("language"), max_length=16, default="pt_BR")
    category = models.CharField(_("category"), max_length=24, blank=True)
    status = models.CharField(
        _("status"),
        max_length=12,
        choices=TemplateStatus.choices,
        default=TemplateStatus.PENDING,
    )
    components = models.JSONField(_("components"), default=list, blank=True)
    parameter_format = models.CharField(
        _("names of variables"),
        max_length=12,
        choices=[("POSITIONAL", _("numbers")), ("NAMED", _("names"))],
        default="POSITIONAL",
    )
    quality = models.CharField(_("quality"), max_length=12, blank=True)
    paused_until = models.DateTimeField(_("paused until"), null=True, blank=True)
    previous_category = models.CharField(_("category before"), max_length=24, blank=True)
    submitted_at = models.DateTimeField(_("submitted at"), null=True, blank=True)
    provider_id = models.CharField(_("provider id"), max_length=64, blank=True)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    synced_at = models.DateTimeField(_("synchronised at"), null=True, blank=True)

    class Meta:
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "name", "language"], name="chatbot_template_name"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.language})"


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


class MessageCount(models.Model):
    """Messages that the provider has put a price on, by day (in TIME_ZONE): each counted once, when
    its status said so. `category` and `kind` are the provider's words (`pricing.category`,
    `pricing.type`)."""

    channel = models.ForeignKey(
        Channel,
        models.CASCADE,
        related_name="message_counts",
        db_index=False,
        verbose_name=_("channel"),
    )
    day = models.DateField(_("day"))
    category = models.CharField(_("category"), max_length=40)
    kind = models.CharField(_("kind of price"), max_length=40)
    count = models.PositiveIntegerField(_("messages"), default=0)

    class Meta:
        verbose_name = _("priced messages")
        verbose_name_plural = _("priced messages")
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(
                fields=["channel", "day", "category", "kind"], name="chatbot_messagecount_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.day} {self.category}: {self.count}"


class Price(models.Model):
    """What one delivered message of a category costs from a day on. Editable: the provider's tables
    change, and differ by country and contract."""

    category = models.CharField(_("category"), max_length=40)
    valid_from = models.DateField(_("valid from"))
    amount = models.DecimalField(_("price of a message"), max_digits=10, decimal_places=6)
    currency = models.CharField(_("currency"), max_length=3, default="USD")
    free_per_month = models.PositiveIntegerField(
        _("free a month"),
        default=0,
        help_text=_("Of each number, in the order of days."),
    )

    class Meta:
        verbose_name = _("price")
        verbose_name_plural = _("prices")
        ordering = ["category", "-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["category", "valid_from"], name="chatbot_price_once"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="chatbot_price_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.category}: {self.currency} {self.amount}"


class Worker(models.Model):
    """Heartbeat of a running worker process: what `/readyz` and `doctor` look at."""

    name = models.CharField(_("name"), max_length=120, primary_key=True)
    started_at = models.DateTimeField(_("started at"))
    beat_at = models.DateTimeField(_("last sign of life"))

    class Meta:
        verbose_name = _("worker")
        verbose_name_plural = _("workers")

    def __str__(self) -> str:
        return self.name
