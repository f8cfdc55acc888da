"""The prices that are known for Brazil, as a beginning: people edit them in the console."""

from datetime import date
from decimal import Decimal

from django.db import migrations

SINCE = date(2026, 10, 1)
PRICES = [
    # category, US$ of one delivered message, free of each number and month
    ("service", Decimal("0.0034"), 1000),
    ("utility", Decimal("0.0034"), 0),
    ("marketing", Decimal("0.025"), 0),
]


def add(apps, schema_editor):
    price = apps.get_model("chatbot", "Price")
    for category, amount, free in PRICES:
        price.objects.get_or_create(
            category=category,
            valid_from=SINCE,
            defaults={"amount": amount, "currency": "USD", "free_per_month": free},
        )


class Migration(migrations.Migration):

    dependencies = [("chatbot", "0004_ledger")]

    # Going back leaves the rows: by then they are what people made of them.
    operations = [migrations.RunPython(add, migrations.RunPython.noop)]
