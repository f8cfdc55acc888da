"""A ticket may be put aside until its customer answers, without a date."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("tickets", "0004_report_indexes")]

    operations = [
        migrations.AddField(
            "ticket",
            "snoozed_until_reply",
            models.BooleanField(
                "snoozed until the customer answers", default=False, db_default=False
            ),
        ),
        migrations.AddConstraint(
            "ticket",
            models.CheckConstraint(
                condition=Q(snoozed_until=None) | Q(snoozed_until_reply=False),
                name="tickets_ticket_one_snooze",
            ),
        ),
    ]
