"""Every installation has one department, so that a ticket always has a queue."""

from django.db import migrations


def create_fallback(apps, schema_editor):
    department = apps.get_model("users", "Department")
    if not department.objects.filter(is_fallback=True).exists():
        department.objects.create(
            name="Atendimento", slug="atendimento", is_fallback=True
        )


class Migration(migrations.Migration):
    dependencies = [("users", "0001_initial")]

    operations = [migrations.RunPython(create_fallback, migrations.RunPython.noop)]
