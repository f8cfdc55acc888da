"""The function that finds words (users/text_search.py): PostgreSQL only."""

from django.db import migrations

from users.text_search import function_sql


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(function_sql())


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP FUNCTION IF EXISTS atende_words(text)")


class Migration(migrations.Migration):
    dependencies = [("users", "0003_console")]

    operations = [migrations.RunPython(create, drop)]
