from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from zeal import zeal_ignore

from chatbot import demo, simulator, verification
from chatbot.models import MessageLog, MessageStatus
from chatbot.tests import recipes
from leads.models import Lead
from sessions_app.models import Owner, Session
from tickets.models import Ticket, TicketStatus

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    recipes.ana()
    call_command("load_flows", stdout=StringIO())


def seed_demo(*arguments):
    out = StringIO()
    with zeal_ignore():
        call_command("seed_demo", *arguments, stdout=out)
    return out.getvalue()


def test_every_story_becomes_a_lead_with_a_conversation(shop):
    seed_demo("--yes")
    names = {story.name for story in demo.STORIES}
    assert set(Lead.objects.values_list("name", flat=True)) == names
    assert Session.objects.values("lead").distinct().count() == len(names)
    assert all(lead.is_simulated for lead in Lead.objects.all())


def test_the_stories_show_every_kind_of_owner_and_ticket(shop):
    seed_demo("--yes")
    assert set(Session.objects.live().values_list("owner", flat=True)) == {
        Owner.BOT,
        Owner.QUEUE,
        Owner.ATTENDANT,
    }
    statuses = set(Ticket.objects.values_list("status", flat=True))
    assert {TicketStatus.OPEN, TicketStatus.IN_PROGRESS, TicketStatus.RESOLVED} <= statuses


def test_nothing_is_left_to_send_and_every_session_agrees_with_its_log(shop):
    seed_demo("--yes")
    outbound = MessageLog.objects.outbound().values_list("status", flat=True)
    assert set(outbound) == {MessageStatus.SENT}
    ids = Session.objects.values_list("pk", flat=True)
    assert [one for _, one in verification.verify(ids) if one] == []


def test_seeding_again_makes_nothing(shop):
    seed_demo("--yes")
    before = MessageLog.objects.count()
    assert seed_demo("--yes").count("is there already") == len(demo.STORIES)
    assert MessageLog.objects.count() == before


def test_a_story_that_was_cleared_is_told_again(shop):
    seed_demo("--yes")
    simulator.clear()
    assert "is there already" not in seed_demo("--yes")


def test_a_dry_run_says_what_it_would_do_and_does_nothing(shop):
    output = seed_demo("--dry-run")
    assert output.count("would be made") == len(demo.STORIES)
    assert not Lead.objects.exists()


def test_a_site_that_may_be_real_is_left_alone(shop):
    with pytest.raises(CommandError, match="--yes"):
        seed_demo()
    assert not Lead.objects.exists()


def test_debug_is_reason_enough(shop, settings):
    settings.DEBUG = True
    seed_demo()
    assert Lead.objects.exists()


def test_without_people_or_flows_it_says_what_is_missing():
    with pytest.raises(CommandError, match="createsuperuser"):
        seed_demo("--yes")
    recipes.ana()
    with pytest.raises(CommandError, match="load_flows"):
        seed_demo("--yes")


def test_the_team_can_be_named(shop):
    recipes.bia()
    seed_demo("--yes", "--user", "bia")
    assert set(Ticket.objects.exclude(assignee=None).values_list("assignee", flat=True)) == {
        recipes.bia().pk
    }
    with pytest.raises(CommandError):
        seed_demo("--yes", "--user", "ninguém")
