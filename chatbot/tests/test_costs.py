"""From the price in a status to the cost of a month: each message once, each free one for free."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext

from chatbot import costs, pricing
from chatbot.models import MessageCount, MessageLog, MessageStatus, Price
from chatbot.tests import stage
from chatbot.tests.recipes import ana, bia, channel
from chatbot.tests.webhook import say, status
from sessions_app.models import ChannelKind
from users.tests.racing import at_once

pytestmark = pytest.mark.django_db

NOVEMBER = date(2026, 11, 1)
REGULAR = {"pricing_model": "PMP", "type": "regular", "category": "service"}


@pytest.fixture(autouse=True)
def _in_portuguese():
    """Whatever language the test before spoke."""
    with translation.override("pt-br"):
        yield


@pytest.fixture
def shop(db):
    return stage.open_shop()


def sent(channel_, number=1, at=None):
    row, *_rest = stage.queued(
        stage.talk(channel_),
        "Oi",
        status=MessageStatus.SENT,
        provider_id=f"wamid.preco.{number}",
        sent_at=at or datetime(2026, 11, 20, 15, tzinfo=UTC),
    )
    return row


def told(client, row, value="delivered", **more):
    entry = status(row.provider_id, value, pricing={**REGULAR, **more})
    assert say(client, entry).status_code == 200


def counted():
    rows = MessageCount.objects.order_by("channel", "day", "category", "kind")
    return list(rows.values_list("day", "category", "kind", "count"))


def count(channel_, day, number, *, category="service", kind="regular"):
    return MessageCount.objects.create(
        channel=channel_, day=day, category=category, kind=kind, count=number
    )


def in_november():
    return time_machine.travel(datetime(2026, 11, 26, 15, tzinfo=UTC), tick=True)


# --- Counted once ------------------------------------------------------------------------------


def test_a_price_in_a_status_is_counted_once_however_often_it_comes(client, shop):
    row = sent(shop)
    for value in ("sent", "delivered", "delivered", "read"):
        told(client, row, value)
        pricing.count_priced()
    assert counted() == [(date(2026, 11, 20), "service", "regular", 1)]
    assert stage.fresh(row).is_priced is True
    assert pricing.count_priced() == 0


def test_a_status_without_a_price_counts_nothing(client, shop):
    row = sent(shop)
    say(client, status(row.provider_id, "delivered"))
    assert pricing.count_priced() == 0
    assert stage.fresh(row).is_priced is None


def test_the_day_is_that_of_the_company_and_not_of_greenwich(client, shop):
    row = sent(shop, at=datetime(2026, 11, 21, 2, tzinfo=UTC))  # still the 20th in São Paulo
    told(client, row)
    pricing.count_priced()
    assert counted()[0][0] == date(2026, 11, 20)


def test_a_message_that_failed_in_the_end_costs_nothing_until_it_arrives_after_all(client, shop):
    row = sent(shop)
    told(client, row, "sent")
    MessageLog.objects.filter(pk=row.pk).update(status=MessageStatus.FAILED)
    pricing.count_priced()
    assert counted() == []
    told(client, row, "delivered")
    pricing.count_priced()
    assert counted() == [(date(2026, 11, 20), "service", "regular", 1)]


@pytest.mark.parametrize(
    "odd", [{"category": 7}, {"type": None}, {"category": "x" * 90}, {"type": "\x00"}]
)
def test_a_price_of_any_form_breaks_nothing(client, shop, odd):
    told(client, sent(shop), **odd)
    assert pricing.count_priced() == 1
    assert len(counted()) == 1


def test_a_batch_costs_the_same_for_many_rows(client, shop):
    def cost():
        with CaptureQueriesContext(connection) as captured:
            pricing.count_priced()
        return len(captured)

    told(client, sent(shop, 1))
    few = cost()
    for number in range(2, 9):
        told(client, sent(shop, number))
    assert cost() == few


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_ten_workers_at_once_count_each_message_once(client, shop, monkeypatch):
    monkeypatch.setattr(pricing, "BATCH", 7)
    rows = [
        sent(shop, number, at=datetime(2026, 11, 1 + number % 5, 15, tzinfo=UTC))
        for number in range(60)
    ]
    for number, row in enumerate(rows):
        told(client, row, category=("service", "marketing")[number % 2])
    outcomes = at_once(*[pricing.count_priced] * 10)
    assert not [one for one in outcomes if isinstance(one, Exception)]
    pricing.count_priced()  # what a worker left because another had it
    assert sum(row[3] for row in counted()) == 60
    assert not MessageLog.objects.filter(is_priced=False).exists()


# --- What it costs -----------------------------------------------------------------------------


def total(month=NOVEMBER):
    return costs.report_of(month).total.sum


def test_the_known_prices_are_there_from_the_beginning_and_no_other():
    known = Price.objects.order_by("category").values_list("category", "amount", "free_per_month")
    assert list(known) == [
        ("marketing", Decimal("0.025"), 0),
        ("service", Decimal("0.0034"), 1000),
        ("utility", Decimal("0.0034"), 0),
    ]


def test_the_allowance_of_a_number_is_used_up_in_the_order_of_days():
    one = channel()
    count(one, date(2026, 11, 3), 300)
    count(one, date(2026, 11, 1), 900)
    found = total()
    assert (found.total, found.allowed, found.charged) == (1200, 1000, 200)
    assert found.costs == {"USD": Decimal("0.0034") * 200}


def test_each_number_has_an_allowance_of_its_own():
    for _ in range(2):
        count(channel(), NOVEMBER, 900)
    assert total().charged == 0


def test_the_allowance_begins_anew_each_month():
    one = channel()
    count(one, date(2026, 10, 31), 1000)
    count(one, NOVEMBER, 1000)
    report = costs.report_of(NOVEMBER)
    assert report.total.sum.charged == report.before.sum.charged == 0


def test_what_the_provider_gives_for_free_uses_no_allowance():
    one = channel()
    count(one, NOVEMBER, 500, kind="free_entry_point")
    count(one, NOVEMBER, 500, kind="free_customer_service")
    count(one, NOVEMBER, 1000)
    found = total()
    assert (found.free, found.allowed, found.charged) == (1000, 1000, 0)


def test_a_new_price_holds_from_its_day_on():
    one = channel()
    Price.objects.create(category="marketing", valid_from=date(2026, 11, 15), amount="0.05")
    count(one, date(2026, 11, 14), 10, category="marketing")
    count(one, date(2026, 11, 15), 10, category="marketing")
    assert total().costs == {"USD": Decimal("0.75")}


def test_before_any_price_holds_and_for_unknown_categories_there_is_none():
    one = channel()
    count(one, date(2026, 9, 30), 10)
    assert total(date(2026, 9, 1)).unpriced == 10
    count(one, NOVEMBER, 5, category="marketing_lite")
    assert costs.report_of(NOVEMBER).total.lines[0].cost == gettext("no price")


def test_channels_of_the_simulator_cost_nothing():
    count(channel(kind=ChannelKind.SIMULATOR), NOVEMBER, 10)
    assert total().total == 0


def test_currencies_are_not_mixed():
    one = channel()
    Price.objects.create(
        category="authentication", valid_from=NOVEMBER, amount="0.20", currency="BRL"
    )
    count(one, NOVEMBER, 10, category="authentication")
    count(one, NOVEMBER, 100_000, category="marketing")
    assert total().money == "R$ 2,00 + US$ 2.500,00"


# --- The page ----------------------------------------------------------------------------------


def test_the_page_shows_the_month_in_words_and_numbers(client):
    one = channel(name="Vendas")
    count(one, NOVEMBER, 12_000, category="marketing")
    count(one, date(2026, 10, 5), 6_000, category="marketing")
    client.force_login(ana())
    with in_november():
        page = client.get(reverse("costs")).content.decode()
    assert re.search(r'value="2026-11"\s+selected', page)
    assert "US$ 300,00" in page
    assert "12.000" in page
    assert "+100%" in page


def test_another_month_can_be_chosen_and_nonsense_is_the_present_one(client):
    count(channel(), date(2026, 9, 5), 7)
    client.force_login(ana())
    with in_november():
        assert client.get(reverse("costs"), {"month": "2026-09"}).context["month"].month == 9
        for odd in ("2026-13", "1", "'; --", "2031-01"):
            assert client.get(reverse("costs"), {"month": odd}).context["month"] == NOVEMBER


def test_an_empty_month_says_why(client):
    client.force_login(ana())
    page = client.get(reverse("costs")).content.decode()
    assert gettext("No message with a price in this month") in page


def test_an_export_can_be_read_by_a_spreadsheet_and_holds_no_formula(client):
    count(channel(name="=HYPERLINK(1)"), NOVEMBER, 1001)
    client.force_login(ana())
    with in_november():
        answer = client.get(reverse("costs_export"), {"month": "2026-11"})
    text = answer.content.decode("utf-8-sig")
    assert answer.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.reader(io.StringIO(text), delimiter=";"))
    assert rows[1][1] == "'=HYPERLINK(1)"
    assert rows[1][3:] == ["1001", "0", "1000", "1", "0", "USD", "0,0034"]
    assert "custos-2026-11.csv" in answer["Content-Disposition"]


@pytest.mark.parametrize("name", ["costs", "costs_export"])
def test_an_attendant_sees_no_costs(client, name):
    client.force_login(bia())
    assert client.get(reverse(name)).status_code == 403


def test_the_page_costs_the_same_however_much_there_is(client):
    client.force_login(ana())

    def cost():
        with CaptureQueriesContext(connection) as captured:
            assert client.get(reverse("costs")).status_code == 200
        return len(captured)

    count(channel(), NOVEMBER, 1)
    cost()
    few = cost()
    for number in range(6):
        count(channel(), date(2026, 11, 1 + number), 10, category=f"c{number}")
    assert cost() == few <= 6


def test_prices_are_the_admins_matter(client):
    price = Price.objects.get(category="marketing")
    url = reverse("admin:chatbot_price_change", args=[price.pk])
    form = {
        "category": "marketing",
        "valid_from": "01/10/2026",
        "amount": "0.0625",
        "currency": "USD",
        "free_per_month": 0,
    }
    client.force_login(bia())
    assert client.post(url, form).status_code == 403
    client.force_login(ana())
    assert client.post(url, form).status_code == 302
    price.refresh_from_db()
    assert price.amount == Decimal("0.0625")
