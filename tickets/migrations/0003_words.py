"""An index for finding tickets by words: PostgreSQL only, made without holding back writers.

SQLite looks at the texts themselves (users/text_search.py).
"""

from django.db import migrations

from users.text_search import Document, index_sql

WORDS = Document(("protocol", "subject"))


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(index_sql("tickets_ticket_words", "tickets_ticket", WORDS))


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS tickets_ticket_words")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("tickets", "0002_console"), ("users", "0004_words")]

    operations = [migrations.RunPython(create, drop)]
