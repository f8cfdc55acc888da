from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from zeal import zeal_ignore

from chatbot import demo, verification
from chatbot.demo.play import Play
from chatbot.models import Flow, Media, MediaStatus, MessageLog, MessageStatus, Task, TaskStatus
from chatbot.tests import recipes
from leads.models import Lead
from sessions_app.models import Owner, Session
from tickets.models import Notification, Ticket, TicketEvent, TicketStatus
from users.models import User

pytestmark = pytest.mark.django_db


def seed_demo(*arguments):
    out = StringIO()
    with zeal_ignore():
        call_command("seed_demo", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_company_is_there_with_work_in_every_state():
    said = seed_demo("--days", "1", "--password", "um-segredo")
    assert {one.username for one in demo.PEOPLE} <= set(
        User.objects.values_list("username", flat=True)
    )
    assert "um-segredo" in said
    assert User.objects.get(username="rafael.nogueira").check_password("um-segredo")
    assert set(Ticket.objects.values_list("status", flat=True)) >= {
        TicketStatus.OPEN,
        TicketStatus.IN_PROGRESS,
        TicketStatus.WAITING_CUSTOMER,
        TicketStatus.RESOLVED,
    }
    assert set(Session.objects.live().values_list("owner", flat=True)) == set(Owner.values)
    now = timezone.now()
    assert Ticket.objects.filter(snoozed_until__gt=now).exists()
    assert Ticket.objects.open().late(now).exists()
    assert Ticket.objects.filter(rating=5).exists()
    assert Notification.objects.filter(user__first_name="Camila").exists()
    assert set(MessageLog.objects.values_list("kind", flat=True)) >= {
        *("text", "image", "voice", "document", "location", "contacts", "reaction"),
        *("buttons", "list", "button_reply", "list_reply"),
    }
    assert not Media.objects.exclude(status=MediaStatus.STORED).exists()
    assert Flow.objects.get(slug="atendimento-geral").versions.count() == 12
    assert verification_of_all() == []
    assert nothing_can_leave()
    assert not Lead.objects.filter(is_simulated=True).exists()
    assert "is there already" in seed_demo()


def verification_of_all():
    ids = Session.objects.values_list("pk", flat=True)
    return [found for _session, found in verification.verify(ids) if found]


def nothing_can_leave():
    """What is still to be sent is on a channel that is paused and has no token."""
    waiting = MessageLog.objects.filter(status=MessageStatus.QUEUED).select_related("channel")
    later = timezone.now() + timedelta(days=365)
    channels = {one.channel for one in waiting}
    return (
        all(one.paused_until > later and not one.credentials for one in channels)
        and not MessageLog.objects.filter(status=MessageStatus.SENDING).exists()
        and not Task.objects.filter(status=TaskStatus.PENDING).exists()
    )


def test_events_have_the_time_at_which_they_would_have_happened():
    seed_demo("--days", "1")
    oldest = TicketEvent.objects.earliest("created_at").created_at
    assert timezone.now() - oldest > timedelta(days=200)
    assert TicketEvent.objects.latest("created_at").created_at <= timezone.now()


def test_where_real_people_have_written_nothing_is_made_unless_it_is_forced():
    recipes.lead()
    with pytest.raises(CommandError, match="--force"):
        seed_demo("--days", "1")
    assert not Session.objects.exists()


def test_a_dry_run_says_what_it_would_do_and_does_nothing():
    assert "Would make" in seed_demo("--dry-run")
    assert not Lead.objects.exists()


def test_stories_go_on_in_the_order_of_time_and_stop_at_the_present():
    play = Play(now=timezone.now(), seed=1)
    told = []

    def story(name, wait):
        while True:
            told.append((name, timezone.now()))
            yield wait

    play.begin(story("slow", timedelta(hours=2)), play.ago(hours=5))
    play.begin(story("quick", timedelta(hours=1)), play.ago(hours=2))
    list(play.run())
    assert [name for name, _at in told] == ["slow", "slow", "quick", "slow", "quick", "quick"]
    assert [at for _name, at in told] == sorted(at for _name, at in told)
    assert told[-1][1] == play.now
    assert abs(timezone.now() - play.now) < timedelta(minutes=1)
