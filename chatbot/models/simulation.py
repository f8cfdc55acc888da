"""People whom staff play in the simulator, each with a clock of their own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from chatbot.models.flows import Flow, FlowVersion

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from users.models import User


class SimulatedPersonQuerySet(models.QuerySet["SimulatedPerson"]):
    def visible_to(self, user: User | AnonymousUser) -> SimulatedPersonQuerySet:
        """Everybody plays their own people."""
        if not user.is_authenticated or not user.is_active:
            return self.none()
        return self.filter(user=user)


class SimulatedPerson(models.Model):
    """Whom one member of staff plays: what answers them, and the world as it is for them alone.

    `ahead`: how far their clock is before everybody's; it never goes back. `results`: what each
    call or http passo gives, by its place: {"do": "ask" | "run" | "recorded" | "give", "route",
    "values"}. `facts` stand over those that are gathered; a run begins with `context`. `notices`:
    lines of the transcript that are no message, each after a message id. `defect`: the finding that
    is being shown.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="+", verbose_name=_("played by")
    )
    address = models.CharField(_("address"), max_length=64)
    flow = models.ForeignKey(
        Flow,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("flow"),
        help_text=_("Where they are played: a flow's page, or the simulator's own."),
    )
    version = models.ForeignKey(
        FlowVersion,
        models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("version"),
        help_text=_("What answers them. Empty: what the triggers start."),
    )
    ahead = models.DurationField(_("clock ahead by"), default=timedelta())
    has_phone = models.BooleanField(_("has a phone number"), default=True)
    is_provider_away = models.BooleanField(_("provider away"), default=False)
    results = models.JSONField(_("results"), default=dict, blank=True)
    facts = models.JSONField(_("facts"), default=dict, blank=True)
    context = models.JSONField(_("variables at the start"), default=dict, blank=True)
    notices = models.JSONField(_("notices"), default=list, blank=True)
    defect = models.JSONField(_("finding shown"), default=dict, blank=True)
    # Whoever lets time pass for them is alone with them until then.
    busy_until = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = SimulatedPersonQuerySet.as_manager()

    class Meta:
        verbose_name = _("simulated person")
        verbose_name_plural = _("simulated people")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["address"], name="chatbot_simulatedperson_address")
        ]
        indexes = [models.Index(fields=["user", "flow", "-id"], name="chatbot_simulatedperson_of")]

    def __str__(self) -> str:
        return self.address
