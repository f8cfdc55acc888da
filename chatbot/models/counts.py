"""What people really do in a flow, counted once from the log of each run."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from chatbot.models.drafts import OfFlowQuerySet
from chatbot.models.flows import Flow, FlowVersion


class FlowCount(models.Model):
    """How often an exit of a passo was taken on a day (in TIME_ZONE), by version.

    `node` is the place (`sub/node` inside a sub-flow), `exit` as in the trace, or `(start)`,
    `(idle)` and the like for what is no exit; `target` the place where it led. `seconds` counts
    how long the passo had waited, by the buckets of `chatbot.usage.tally`.
    """

    version = models.ForeignKey(
        FlowVersion,
        models.CASCADE,
        related_name="counts",
        db_index=False,
        verbose_name=_("version"),
    )
    day = models.DateField(_("day"))
    node = models.CharField(_("step"), max_length=130)
    exit = models.CharField(_("exit"), max_length=120)
    target = models.CharField(_("leads to"), max_length=130, blank=True)
    count = models.PositiveIntegerField(_("times"), default=0)
    seconds = models.JSONField(_("waiting times"), default=dict, blank=True)

    class Meta:
        verbose_name = _("count of an exit")
        verbose_name_plural = _("counts of exits")
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(
                fields=["version", "day", "node", "exit", "target"], name="chatbot_flowcount_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.day} {self.node}/{self.exit}: {self.count}"


class NotUnderstood(models.Model):
    """A text that a passo did not understand, and how often. `text` is normalised, `sample` as
    somebody wrote it."""

    flow = models.ForeignKey(
        Flow,
        models.CASCADE,
        related_name="not_understood",
        db_index=False,
        verbose_name=_("flow"),
    )
    node = models.CharField(_("step"), max_length=130)
    text = models.CharField(_("text"), max_length=200)
    sample = models.CharField(_("as it was written"), max_length=200)
    count = models.PositiveIntegerField(_("times"), default=0)
    last_at = models.DateTimeField(_("last time"))
    is_settled = models.BooleanField(_("settled"), default=False)

    objects = OfFlowQuerySet.as_manager()

    class Meta:
        verbose_name = _("text not understood")
        verbose_name_plural = _("texts not understood")
        ordering = ["-count"]
        constraints = [
            models.UniqueConstraint(
                fields=["flow", "node", "text"], name="chatbot_notunderstood_once"
            )
        ]

    def __str__(self) -> str:
        return self.text
