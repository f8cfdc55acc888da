"""The log of what was said, which is the outbox too."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chatbot.models.logs import FlowLog, LogQuerySet
from leads.models import Identity
from sessions_app.models import Channel, Session
from users.text_search import Document, in_any, with_words


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


MESSAGE_WORDS = Document(("text",))  # as in the index chatbot_message_words
NEWEST = 2_000  # messages looked at one by one


class MessageLogQuerySet(LogQuerySet):
    def matching(self, text: str) -> MessageLogQuerySet:
        """What was said with these words in it."""
        return in_any(self, with_words(MessageLog.objects.all(), MESSAGE_WORDS, text))

    def matching_newest(self, text: str) -> MessageLogQuerySet:
        """The same among the newest of these rows alone: there a common word is found at once."""
        newest = self.order_by("-id").values("pk")[:NEWEST]
        return with_words(MessageLog.objects.filter(pk__in=newest), MESSAGE_WORDS, text)

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
        """Our id and the number of the try, as they travel with the message and come back in its
        statuses: what is said of a try that failed must not be taken for news of the next."""
        return f"m{self.pk}.{self.attempts}"
