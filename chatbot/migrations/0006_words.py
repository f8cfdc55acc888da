"""An index for finding what was said by words: PostgreSQL only, made without holding back writers.

SQLite looks at the texts themselves (users/text_search.py).
"""

from django.db import migrations

from users.text_search import Document, index_sql

WORDS = Document(("text",))


def create(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(index_sql("chatbot_message_words", "chatbot_messagelog", WORDS))


def drop(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX CONCURRENTLY IF EXISTS chatbot_message_words")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("chatbot", "0005_first_prices"), ("users", "0004_words")]

    operations = [migrations.RunPython(create, drop)]
