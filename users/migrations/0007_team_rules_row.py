from django.db import migrations


def make_the_row(apps, schema_editor):
    apps.get_model("users", "TeamRules").objects.get_or_create(pk=1)


class Migration(migrations.Migration):
    dependencies = [("users", "0006_invitations")]

    operations = [migrations.RunPython(make_the_row, migrations.RunPython.noop)]
