"""Secrets that http passos may send, encrypted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from sessions_app.fields import EncryptedJSONField

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class SecretQuerySet(models.QuerySet["Secret"]):
    def visible_to(self, user: User | AnonymousUser) -> SecretQuerySet:
        if not user.is_authenticated or not user.is_active or not user.is_admin:
            return self.none()
        return self.all()


class Secret(models.Model):
    """A value that flows name (`{{ secret.name }}` in a header) and nobody sees again: it is put in
    when the request is made, and stands in no document, log or page."""

    name = models.CharField(_("name"), max_length=40)
    value = EncryptedJSONField(_("value"), blank=True, default=dict)
    note = models.CharField(_("what it is for"), max_length=200, blank=True)
    updated_at = models.DateTimeField(_("changed at"), auto_now=True)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("changed by"),
    )
    used_at = models.DateTimeField(_("last used at"), null=True, blank=True)

    objects = SecretQuerySet.as_manager()

    class Meta:
        verbose_name = _("secret")
        verbose_name_plural = _("secrets")
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["name"], name="chatbot_secret_name")]

    def __str__(self) -> str:
        return self.name
