"""Who is told of an incident by e-mail, when, and how often."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.utils import timezone

from chatbot import incident_mail
from chatbot.incidents import close_incident, open_incident
from chatbot.incidents_watch import look
from chatbot.models import Incident, IncidentKind
from chatbot.tests import recipes
from chatbot.tests.webhook import whatsapp_channel
from users.models import Language, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana():
    return recipes.ana(email="ana@example.com")


@pytest.fixture
def channel():
    return whatsapp_channel(name="Vendas")


def begin(channel=None, kind=IncidentKind.TOKEN, *, at=None, about="", **facts):
    open_incident(kind, channel=channel, about=about, facts=facts, now=at or timezone.now())


def send(after=timedelta()):
    return incident_mail.send_due(now=timezone.now() + after)


def test_an_incident_is_told_once_when_it_opens_and_once_when_it_is_over(ana, channel):
    begin(channel, code="190", detail="Error validating access token")
    assert (send(), send(), len(mail.outbox)) == (1, 0, 1)
    opening = mail.outbox[0]
    assert opening.to == ["ana@example.com"]
    assert "Vendas" in opening.subject
    assert "190" in opening.body
    assert f"http://testserver/admin/chatbot/channel/{channel.pk}/test/" in opening.body
    close_incident(IncidentKind.TOKEN, channel=channel, now=timezone.now())
    assert (send(), send(), len(mail.outbox)) == (1, 0, 2)
    assert "Vendas" in mail.outbox[1].subject


def test_the_worker_sends_it(ana, channel):
    begin(channel)
    look(now=timezone.now())
    assert len(mail.outbox) == 1


def test_only_active_admins_with_an_address_are_told(ana, channel):
    User.objects.create_superuser("eva", "eva@example.com", is_active=False)
    User.objects.create_superuser("ivo", "")
    recipes.bia(email="bia@example.com")
    begin(channel)
    send()
    assert [one.to for one in mail.outbox] == [["ana@example.com"]]


def test_each_is_told_in_their_language(ana, channel):
    User.objects.create_superuser("eva", "eva@example.com", language=Language.EN)
    begin(channel)
    send()
    english = next(one for one in mail.outbox if one.to == ["eva@example.com"])
    assert "The provider refuses the access token" in english.body
    assert "All incidents: http://testserver/admin/chatbot/incident/" in english.body


def test_several_at_once_are_one_mail(ana, channel):
    begin(channel)
    begin(kind=IncidentKind.WORKER)
    begin(kind=IncidentKind.UNKNOWN_NUMBER, about="9", number="9")
    assert (send(), len(mail.outbox)) == (3, 1)


def test_a_mail_that_cannot_be_sent_is_tried_again(ana, channel, monkeypatch, caplog):
    def refuse(self, messages):
        raise ConnectionRefusedError("no mail server")

    begin(channel)
    with monkeypatch.context() as broken:
        broken.setattr(EmailBackend, "send_messages", refuse)
        assert send() == 0
    assert "could not be told" in caplog.text
    assert Incident.objects.get().notified_at is None
    assert send() == 0, "the server is left alone for a while"
    incident_mail.pause.until = 0.0
    assert (send(), len(mail.outbox)) == (1, 1)


def test_one_address_that_is_refused_does_not_keep_it_from_the_others(ana, channel, monkeypatch):
    User.objects.create_superuser("eva", "eva@example.com")
    sending = EmailBackend.send_messages

    def picky(self, messages):
        if messages[0].to == ["ana@example.com"]:
            raise ValueError("refused")
        return sending(self, messages)

    monkeypatch.setattr(EmailBackend, "send_messages", picky)
    begin(channel)
    assert send() == 1
    assert [one.to for one in mail.outbox] == [["eva@example.com"]]


def test_a_slow_mail_server_is_not_asked_for_everybody(ana, channel, monkeypatch, caplog):
    """The worker must give its sign of life: with a dead server each try costs its time limit."""
    asked = []
    monkeypatch.setattr(EmailBackend, "send_messages", lambda self, messages: asked.append(1) or 0)
    monkeypatch.setattr(incident_mail, "SEND_SECONDS", -1.0)
    begin(channel)
    assert send() == 0
    assert asked == []
    assert "too slow" in caplog.text
    assert Incident.objects.get().notified_at is None


def test_a_failed_mail_about_the_end_is_tried_again_too(ana, channel, monkeypatch):
    begin(channel)
    send()
    close_incident(IncidentKind.TOKEN, channel=channel, now=timezone.now())
    with monkeypatch.context() as broken:
        broken.setattr(EmailBackend, "send_messages", lambda self, messages: 0)
        assert send() == 0
    incident_mail.pause.until = 0.0
    assert (send(), len(mail.outbox)) == (1, 2)


def test_what_ended_before_it_was_told_is_not_told(ana, channel):
    begin(channel)
    close_incident(IncidentKind.TOKEN, channel=channel, now=timezone.now())
    assert (send(), mail.outbox) == (0, [])


def test_what_opens_again_within_the_hour_is_told_after_it(ana, channel):
    begin(channel)
    send()
    close_incident(IncidentKind.TOKEN, channel=channel, now=timezone.now())
    send()
    begin(channel)
    assert (send(timedelta(minutes=5)), len(mail.outbox)) == (0, 2)
    assert (send(timedelta(minutes=61)), len(mail.outbox)) == (1, 3)


def test_there_are_never_more_than_ten_mails_an_hour(ana):
    now = timezone.now()
    for number in range(15):
        begin(kind=IncidentKind.UNKNOWN_NUMBER, about=str(number), number=str(number), at=now)
        send(timedelta(minutes=number))
    assert len(mail.outbox) == 10
    assert send(timedelta(minutes=61)) == 5, "what waited goes together"
    assert len(mail.outbox) == 11


def test_without_anybody_to_tell_it_waits(channel):
    begin(channel)
    assert send() == 0
    recipes.ana(email="ana@example.com")
    assert send() == 1


def test_a_name_with_a_line_break_stays_on_the_subject_line(ana):
    begin(whatsapp_channel(name="Vendas\nBcc: x@example.com"))
    send()
    assert "\n" not in mail.outbox[0].subject
    assert mail.outbox[0].message()["Bcc"] is None


def test_a_look_with_nothing_new_asks_once_or_twice(ana, channel, django_assert_max_num_queries):
    with django_assert_max_num_queries(2):
        send()
