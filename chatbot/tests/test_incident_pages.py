"""Incidents where people see them: start page, list, closing by hand, doctor, metrics."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from chatbot import doctor, incidents
from chatbot.incidents import close_incident, open_incident
from chatbot.models import HINDERS_SENDING, Incident, IncidentKind
from chatbot.tests.recipes import ana, bia
from chatbot.tests.webhook import whatsapp_channel

pytestmark = pytest.mark.django_db

LIST = reverse("admin:chatbot_incident_changelist")
HOME = reverse("admin:index")


@pytest.fixture
def channel():
    return whatsapp_channel(name="Vendas")


def begin(kind=IncidentKind.TOKEN, channel=None, *, about="", **facts):
    open_incident(kind, channel=channel, about=about, facts=facts, now=timezone.now())
    return Incident.objects.get(key=incidents.key_of(kind, channel, about), closed_at=None)


def html(client, path, **query):
    response = client.get(path, query)
    assert response.status_code == 200
    return response.content.decode()


# --- The start page


def test_an_admin_reads_what_happened_since_when_how_often_and_what_to_do(client, channel):
    client.force_login(ana())
    incident = begin(channel=channel, code="190", detail="Session <b>expired</b>")
    begin(channel=channel, code="190", detail="Session <b>expired</b>")
    page = html(client, HOME)
    assert "Vendas" in page
    assert "190: Session &lt;b&gt;expired" in page
    assert reverse("channel_test", args=[channel.pk]) in page
    assert reverse("admin:chatbot_incident_change", args=[incident.pk]) in page
    assert timezone.localtime(incident.opened_at).strftime("%d/%m %H:%M") in page
    assert client.get(HOME).context["troubles"][0].words.times.startswith("2 ")


def test_what_lasts_does_not_count_its_looks(client, channel):
    client.force_login(ana())
    for _look in range(3):
        begin(IncidentKind.QUEUE, channel, waiting=3, since=timezone.now().isoformat())
    (trouble,) = client.get(HOME).context["troubles"]
    assert trouble.words.times == ""


def test_an_attendant_reads_what_it_means_for_their_answers_and_no_more(client, channel):
    client.force_login(bia())
    begin(channel=channel, code="190", detail="segredo do provedor")
    begin(IncidentKind.PAYMENT, channel, code="131042")
    begin(IncidentKind.SIGNATURE, channel)
    page = client.get(HOME)
    assert len(page.context["sentences"]) == 1
    assert "Vendas" in page.context["sentences"][0]
    text = page.content.decode()
    assert "segredo" not in text
    assert LIST not in text
    assert reverse("channel_test", args=[channel.pk]) not in text


def test_without_incidents_nothing_is_said(client, channel):
    client.force_login(ana())
    begin(channel=channel)
    close_incident(IncidentKind.TOKEN, channel=channel, now=timezone.now())
    assert 'class="attn"' not in html(client, HOME)


def test_of_many_the_newest_are_shown_and_the_rest_counted_at_the_same_cost(client, channel):
    client.force_login(ana())
    begin(channel=channel)
    client.get(HOME)
    with CaptureQueriesContext(connection) as few:
        client.get(HOME)
    for number in range(9):
        begin(IncidentKind.UNKNOWN_NUMBER, about=str(number), number=str(number))
    with CaptureQueriesContext(connection) as many:
        page = client.get(HOME)
    assert len(many) == len(few)
    assert len(page.context["troubles"]) == 5
    assert page.context["more_troubles"] == 5


# --- Who sees what


def test_the_one_door(channel):
    for kind in IncidentKind:
        begin(kind, channel)
    closed = begin(IncidentKind.TOKEN, channel, about="x")
    Incident.objects.filter(pk=closed.pk).update(closed_at=timezone.now())
    assert Incident.objects.visible_to(ana()).count() == len(IncidentKind) + 1
    seen = set(Incident.objects.visible_to(bia()).values_list("kind", flat=True))
    assert seen == {str(kind) for kind in HINDERS_SENDING}
    assert not Incident.objects.visible_to(bia()).filter(pk=closed.pk).exists()
    assert not Incident.objects.visible_to(AnonymousUser()).exists()


# --- List and closing


def test_the_list_shows_open_ones_and_others_by_filter(client, channel):
    client.force_login(ana())
    one, other = begin(channel=channel), begin(IncidentKind.WORKER)
    close_incident(IncidentKind.WORKER, now=timezone.now())

    def listed(**query):
        return {row.pk for row in client.get(LIST, query).context["cl"].result_list}

    assert listed() == {one.pk}
    assert listed(state="closed") == {other.pk}
    assert listed(state="all") == {one.pk, other.pk}
    assert listed(state="all", kind__exact="worker") == {other.pk}
    assert listed(state="all", channel__id__exact=channel.pk) == {one.pk}


def test_closing_by_hand_asks_first(client, channel):
    client.force_login(ana())
    incident = begin(channel=channel)
    close = reverse("admin:chatbot_incident_close", args=[incident.pk])
    assert close in html(client, reverse("admin:chatbot_incident_change", args=[incident.pk]))
    html(client, close)
    incident.refresh_from_db()
    assert incident.closed_at is None
    for _time in range(2):
        assert client.post(close).status_code == 302
    incident.refresh_from_db()
    assert incident.closed_at is not None
    page = html(client, reverse("admin:chatbot_incident_change", args=[incident.pk]))
    assert close not in page


def test_what_goes_on_opens_again(client, channel):
    client.force_login(ana())
    incident = begin(channel=channel)
    client.post(reverse("admin:chatbot_incident_close", args=[incident.pk]))
    assert begin(channel=channel).pk != incident.pk


def test_attendants_have_neither_list_nor_button(client, channel):
    incident = begin(channel=channel)
    client.force_login(bia())
    close = reverse("admin:chatbot_incident_close", args=[incident.pk])
    assert client.get(LIST).status_code == 403
    assert client.get(close).status_code == 403
    assert client.post(close).status_code == 403
    incident.refresh_from_db()
    assert incident.closed_at is None


# --- Programs


def test_the_doctor_names_open_incidents(channel):
    begin(channel=channel, code="190")
    (found,) = [one for one in doctor.examine() if one.about.startswith("incident ")]
    assert found.level is doctor.Level.WARNING
    assert "Vendas" in found.state
    assert found.cure


def test_metrics_say_how_many_are_open(client, channel, settings, django_assert_num_queries):
    settings.METRICS_TOKEN = "um-segredo"
    begin(channel=channel)
    headers = {"Authorization": "Bearer um-segredo"}
    with django_assert_num_queries(1):
        shown = client.get("/metrics", headers=headers).content.decode()
    assert 'atende_open_incidents{kind="token"} 1.0' in shown
    assert 'atende_open_incidents{kind="worker"} 0.0' in shown


def test_metrics_answer_without_a_database(client, settings, monkeypatch):
    settings.METRICS_TOKEN = "um-segredo"

    def gone():
        raise OperationalError("gone")

    monkeypatch.setattr("config.health.count_open", gone)
    answer = client.get("/metrics", headers={"Authorization": "Bearer um-segredo"})
    assert answer.status_code == 200
    assert b"python_info" in answer.content
    assert b"atende_open_incidents" not in answer.content
