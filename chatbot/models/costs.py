"""What messages cost."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.formats import number_format
from django.utils.translation import gettext_lazy as _

from sessions_app.models import Channel


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
        return f"{self.category}: {self.currency} {number_format(self.amount)}"
