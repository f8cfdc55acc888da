"""BRIN indexes on the time of the two logs: nearly free to keep, and enough for reports and retention.

PostgreSQL only; SQLite has no such index and no such size.
"""

from django.db import migrations

INDEXES = {
    "chatbot_message_created_brin": "chatbot_messagelog",
    "chatbot_flowlog_created_brin": "chatbot_flowlog",
}


def create(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for name, table in INDEXES.items():
        schema_editor.execute(f"CREATE INDEX {name} ON {table} USING brin (created_at)")


def drop(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    for name in INDEXES:
        schema_editor.execute(f"DROP INDEX IF EXISTS {name}")


class Migration(migrations.Migration):
    dependencies = [("chatbot", "0001_initial")]

    operations = [migrations.RunPython(create, drop)]
