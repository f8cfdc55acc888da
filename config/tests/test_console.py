"""The console's frame: who finds what, what the start page counts, how errors look."""

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from chatbot.models import FailedEvent, MessageStatus
from chatbot.tests import recipes
from config.site import SECTIONS

pytestmark = pytest.mark.django_db

INLINE = re.compile(r"""<style|<script(?![^>]*\ssrc=)|\s(style|on[a-z]+)=["']""", re.IGNORECASE)


def start_page(client, person):
    client.force_login(person)
    return client.get(reverse("admin:index"))


def names(answer):
    return {
        model["object_name"]
        for section in answer.context["available_apps"]
        for model in section["models"]
    }


def cards(answer):
    """What needs somebody, by address."""
    return {card.url.split("?")[0]: card.count for card in answer.context["cards"]}


def open_tickets(answer):
    return sum(row.count for row in answer.context["statuses"].rows)


def test_every_place_of_the_sidebar_names_a_registered_model():
    registered = {model._meta.label_lower for model in admin.site._registry}
    named = {key for section in SECTIONS for key in section.models}
    pages_of_no_model = {
        *("chatbot.simulator", "chatbot.costs"),
        *("users.audit", "users.roles", "users.whosees"),
    }
    named -= pages_of_no_model
    assert named <= registered


def test_an_admin_finds_every_registered_model(client):
    registered = {model._meta.object_name for model in admin.site._registry}
    assert registered <= names(start_page(client, recipes.ana()))


def test_an_attendant_finds_the_work_and_not_the_settings(client):
    found = names(start_page(client, recipes.bia()))
    assert {"Ticket", "Session", "Lead", "Simulator"} <= found
    assert not found & {"Channel", "Flow", "FailedEvent", "ApiToken", "Costs"}


def test_the_page_one_is_on_is_marked(client):
    client.force_login(recipes.ana())
    page = client.get(reverse("admin:leads_lead_changelist")).content.decode()
    (current,) = re.findall(r'<a class="nav-a"\s+href="([^"]+)"[^>]*aria-current="page"', page)
    assert current == reverse("admin:leads_lead_changelist")


def test_the_start_page_counts_what_the_person_may_see(client):
    recipes.ticket(department=recipes.department("vendas"))
    recipes.ticket(department=recipes.department("suporte"))
    assert open_tickets(start_page(client, recipes.ana())) == 2
    assert open_tickets(start_page(client, recipes.bia())) == 1


def test_the_start_page_leaves_the_simulator_out(client):
    session = recipes.session(is_simulated=True, lead=recipes.lead(is_simulated=True))
    past = timezone.now() - timedelta(hours=1)
    recipes.ticket(session=session, is_simulated=True, resolution_due_at=past)
    recipes.outbound(session, status=MessageStatus.FAILED)
    answer = start_page(client, recipes.ana())
    assert not cards(answer)
    assert not open_tickets(answer)
    assert {kpi.value for kpi in answer.context["kpis"]} <= {"0", "–"}


def test_nothing_that_needs_somebody_is_no_card(client):
    assert "Precisa de atenção" not in start_page(client, recipes.ana()).content.decode()


def test_failed_events_are_shown_to_admins_alone(client):
    FailedEvent.objects.create(error="bad JSON", created_at=timezone.now())
    events = reverse("admin:chatbot_failedevent_changelist")
    assert cards(start_page(client, recipes.ana()))[events] == 1
    assert events not in cards(start_page(client, recipes.bia()))


def test_the_start_page_costs_the_same_however_much_there_is(client):
    ana = recipes.ana()
    start_page(client, ana)
    with CaptureQueriesContext(
        connection,
    ) as few:
        start_page(client, ana)
    for _number in range(20):
        recipes.outbound(recipes.ticket().session, status=MessageStatus.FAILED)
    with CaptureQueriesContext(connection) as many:
        start_page(client, ana)
    assert len(many) == len(few)


def test_without_whatsapp_the_start_page_leads_to_the_simulator(client):
    assert f'href="{reverse("simulator")}"' in start_page(client, recipes.ana()).content.decode()
    recipes.channel()
    assert not start_page(client, recipes.ana()).context["is_only_simulated"]


PAGES = [
    "admin:index",
    "search",
    "notices",
    "profile",
    "admin:password_change",
    "admin:users_user_changelist",
    "admin:users_user_add",
    "admin:leads_lead_changelist",
    "admin:chatbot_messagelog_changelist",
    "admin:chatbot_failedevent_changelist",
    "costs",
    "simulator",
]


@pytest.mark.parametrize("name", PAGES)
def test_no_page_needs_an_exception_from_the_content_security_policy(client, name):
    client.force_login(recipes.ana())
    answer = client.get(reverse(name))
    assert answer.status_code == 200
    assert "unsafe-inline" not in answer["Content-Security-Policy"]
    assert not INLINE.search(answer.content.decode())


def test_one_logs_out_by_a_form(client):
    page = start_page(client, recipes.bia()).content.decode()
    assert f'method="post" action="{reverse("admin:logout")}"' in page
    assert client.get(reverse("admin:logout")).status_code == 405
    assert client.post(reverse("admin:logout")).status_code == 200


def test_a_missing_page_looks_like_ours(client):
    client.force_login(recipes.ana())
    answer = client.get("/admin/nowhere/")
    assert answer.status_code == 404
    assert reverse("admin:index") in answer.content.decode()


@pytest.mark.parametrize("status", ["400", "403", "403_csrf", "404", "500", "lockout"])
def test_error_pages_need_neither_request_nor_database(django_assert_num_queries, status):
    with django_assert_num_queries(0):
        page = render_to_string(f"{status}.html")
    assert "<h1>" in page
    assert not INLINE.search(page)


def test_the_sidebar_has_no_pages_of_packages_that_speak_english(client):
    found = names(start_page(client, recipes.ana()))
    assert found.isdisjoint({"AccessAttempt", "AccessLog", "AccessFailureLog", "LogEntry"})


def test_dates_are_short_and_month_names_are_no_proper_names():
    moment = timezone.datetime(2026, 11, 23, 8, 20)
    assert date_format(moment, "DATETIME_FORMAT") == "23/11/2026 08:20"


def test_a_page_that_is_refused_leaves_no_traceback(client, caplog):
    client.force_login(recipes.bia())
    assert client.get(reverse("admin:users_apitoken_changelist")).status_code == 403
    assert "Traceback" not in caplog.text


@pytest.mark.django_db
def test_who_guesses_passwords_is_told_when_to_try_again(client):
    guess = {"username": "ana", "password": "errada"}
    answers = [client.post(reverse("admin:login"), guess) for _ in range(6)]
    assert [one.status_code for one in answers[:4]] == [200] * 4
    assert answers[-1].status_code == 429
    assert "Tentativas demais" in answers[-1].content.decode()
