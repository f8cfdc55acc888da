"""An index for finding leads by words: PostgreSQL only, made without holding back writers.

SQLite looks at the texts themselves (users/text_search.py).
"""

from django.db import migrations

from users.text_search import Document, index_sql

WORDS = Document(("name", "email", "company"), phone="phone")


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(index_sql("leads_lead_words", "leads_lead", WORDS))


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS leads_lead_words")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("leads", "0001_initial"), ("users", "0004_words")]

    operations = [migrations.RunPython(create, drop)]
