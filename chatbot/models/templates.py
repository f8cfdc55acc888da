"""Message templates that the provider approved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from chatbot.template_parts import Parts, parts_of
from sessions_app.models import Channel

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class TemplateStatus(models.TextChoices):
    DRAFT = "draft", _("not submitted")
    PENDING = "pending", _("pending")
    APPROVED = "approved", _("approved")
    REJECTED = "rejected", _("rejected")
    PAUSED = "paused", _("paused")
    DISABLED = "disabled", _("disabled")
    APPEAL = "appeal", _("in appeal")
    DELETED = "deleted", _("deleted")


class MessageTemplateQuerySet(models.QuerySet["MessageTemplate"]):
    def visible_to(self, user: User | AnonymousUser) -> MessageTemplateQuerySet:
        """Attendants see what may be sent; drafts and refusals are the admins' work."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.all() if user.is_admin else self.approved()

    def approved(self) -> MessageTemplateQuerySet:
        return self.filter(status=TemplateStatus.APPROVED)

    def usable_on(self, channel: Channel) -> MessageTemplateQuerySet:
        """Those of the channel's account, whichever of its numbers they were first seen on. A
        simulator shows everybody's."""
        if channel.is_simulator:
            return self.all()
        mine = Q(channel=channel)
        if channel.account_id:
            mine |= Q(channel__kind=channel.kind, channel__account_id=channel.account_id)
        return self.filter(mine)


class MessageTemplate(models.Model):
    """A text that the provider approved, for use outside the service window. Only an approved one
    is sent; `components` are in the provider's form, with examples of the variables.

    It belongs to the provider's account: one row, on the number where it was first seen, serves
    every channel of that account. `synced_at` is the provider's time of what `status` says.
    """

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

    objects = MessageTemplateQuerySet.as_manager()

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

    @property
    def is_named(self) -> bool:
        """Do its variables have names, not numbers?"""
        return self.parameter_format == "NAMED"

    @property
    def parts(self) -> Parts:
        return parts_of(self.components, is_named=self.is_named)
