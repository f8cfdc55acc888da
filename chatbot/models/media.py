"""Files of messages."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from chatbot.models.messages import MessageLog


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
