"""What was put aside for 365 days waits for its customer's answer."""

from datetime import timedelta

from django.db import migrations
from django.db.models import OuterRef, Subquery
from django.utils import timezone

A_YEAR = timedelta(days=365)
A_MOMENT = timedelta(minutes=1)  # between the choice and its event


def name_it(apps, schema_editor):
    tickets = apps.get_model("tickets", "Ticket").objects.filter(snoozed_until__isnull=False)
    events = apps.get_model("tickets", "TicketEvent").objects
    mine = events.filter(ticket=OuterRef("pk"), kind="snoozed").order_by("-pk")
    told = tickets.annotate(snoozed_at=Subquery(mine.values("created_at")[:1]))
    for ticket in told.filter(snoozed_at__isnull=False):
        if abs(ticket.snoozed_until - ticket.snoozed_at - A_YEAR) < A_MOMENT:
            tickets.filter(pk=ticket.pk).update(snoozed_until=None, snoozed_until_reply=True)


def date_it(apps, schema_editor):
    tickets = apps.get_model("tickets", "Ticket").objects.filter(snoozed_until_reply=True)
    tickets.update(snoozed_until=timezone.now() + A_YEAR, snoozed_until_reply=False)


class Migration(migrations.Migration):
    dependencies = [("tickets", "0005_snooze_until_reply")]

    operations = [migrations.RunPython(name_it, date_it)]
