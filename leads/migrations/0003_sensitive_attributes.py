"""Which attributes a flow filled with a sensitive variable, so that pages mask them."""

from django.db import migrations, models
from django.db.models import Value


class Migration(migrations.Migration):
    dependencies = [("leads", "0002_words")]

    operations = [
        migrations.AddField(
            "lead",
            "sensitive_attributes",
            models.JSONField(
                "sensitive attributes",
                default=list,
                db_default=Value([], models.JSONField()),
                blank=True,
                editable=False,
                help_text="The names of those that a flow filled with a sensitive variable.",
            ),
        ),
    ]
