from datetime import timedelta

import pytest
from django.db import transaction

from leads.tests.recipes import davi, phone
from sessions_app.models import ChannelKind, EndReason, Owner, Session
from sessions_app.services import (
    PREVIEW_LENGTH,
    SessionConflict,
    end_session,
    hand_over,
    lock_live_session,
    lock_session,
    note_inbound,
    note_outbound,
    open_session,
    take_times_of,
    touch_window,
)
from sessions_app.tests import recipes
from sessions_app.tests.recipes import MONDAY
from users.tests.racing import at_once

HOUR = timedelta(hours=1)

BOT, QUEUE, ATTENDANT = Owner.BOT, Owner.QUEUE, Owner.ATTENDANT


def stored(session):
    return Session.objects.get(pk=session.pk)


# --- Opening and locking -----------------------------------------------------------------------


@pytest.mark.django_db
def test_a_first_message_opens_a_session_with_the_bot():
    session = recipes.session()
    assert session.is_live
    assert (session.owner, session.epoch, session.started_at) == (BOT, 0, MONDAY)


@pytest.mark.django_db
def test_the_live_session_is_used_again():
    first = recipes.session()
    assert recipes.session(first.lead) == first


@pytest.mark.django_db
def test_a_new_session_goes_on_with_the_window_of_the_newest_earlier_one():
    lead = davi()
    for hours in (5, 20):
        old = recipes.session(lead, window_expires_at=MONDAY + hours * HOUR)
        end_session(old, reason=EndReason.IDLE, at=MONDAY)
    assert recipes.session(lead).window_expires_at == MONDAY + 20 * HOUR


@pytest.mark.django_db
def test_the_window_of_another_channel_is_not_taken():
    lead = davi()
    recipes.session(lead, window_expires_at=MONDAY + HOUR)
    assert recipes.session(lead, channel=recipes.channel("outro")).window_expires_at is None


@pytest.mark.django_db
def test_a_session_of_the_simulator_is_marked():
    simulator = recipes.channel("simulador", kind=ChannelKind.SIMULATOR)
    assert recipes.session(channel=simulator).is_simulated


@pytest.mark.django_db
def test_the_live_session_is_locked_by_one_statement_and_its_lead_read_after_it(
    django_assert_num_queries,
):
    session = recipes.session(davi(phone()))
    ids = {"lead_id": session.lead_id, "channel_id": session.channel_id}
    with transaction.atomic():
        with django_assert_num_queries(1):
            found = lock_live_session(**ids)
        with django_assert_num_queries(2):
            assert (found, found.lead.name, found.channel.slug) == (session, "Davi", "loja")


@pytest.mark.django_db
def test_an_ended_session_is_not_live():
    session = end_session(recipes.session(), reason=EndReason.IDLE, at=MONDAY)
    ids = {"lead_id": session.lead_id, "channel_id": session.channel_id}
    with transaction.atomic():
        assert lock_live_session(**ids) is None


# --- Owner -------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("before", "to", "rise"),
    [
        (BOT, QUEUE, 1),
        (BOT, ATTENDANT, 1),
        (QUEUE, BOT, 1),
        (ATTENDANT, BOT, 1),
        (QUEUE, ATTENDANT, 0),
        (ATTENDANT, QUEUE, 0),
        (BOT, BOT, 0),
        (QUEUE, QUEUE, 0),
    ],
)
def test_the_epoch_rises_only_between_bot_and_people(before, to, rise):
    session = recipes.session(owner=before, epoch=7)
    hand_over(session, to=to, at=MONDAY + HOUR)
    assert (session.owner, session.epoch) == (to, 7 + rise)
    assert (stored(session).owner, stored(session).epoch) == (to, 7 + rise)


@pytest.mark.django_db
def test_handing_over_says_since_when_and_stops_the_idle_clock():
    session = recipes.session(idle_due_at=MONDAY, idle_warned_at=MONDAY)
    hand_over(session, to=QUEUE, at=MONDAY + HOUR)
    session = stored(session)
    assert session.owner_since == MONDAY + HOUR
    assert (session.idle_due_at, session.idle_warned_at) == (None, None)


@pytest.mark.django_db
def test_handing_over_leaves_the_place_in_the_flow():
    session = recipes.session(current_state="nome", flow_state={"stack": ["a"]})
    hand_over(session, to=QUEUE, at=MONDAY)
    assert (stored(session).current_state, stored(session).flow_state) == ("nome", {"stack": ["a"]})


@pytest.mark.django_db
def test_giving_back_to_the_bot_leaves_nothing_unread():
    session = recipes.session(owner=ATTENDANT, unread=3)
    hand_over(session, to=BOT, at=MONDAY)
    assert stored(session).unread == 0


@pytest.mark.django_db
def test_a_stale_instance_cannot_hand_over():
    session = recipes.session()
    stale = stored(session)
    hand_over(session, to=QUEUE, at=MONDAY)
    with pytest.raises(SessionConflict):
        hand_over(stale, to=ATTENDANT, at=MONDAY)
    assert (stale.owner, stored(session).owner) == (BOT, QUEUE)


@pytest.mark.django_db
@pytest.mark.parametrize("to", [BOT, QUEUE])
def test_an_ended_session_is_not_handed_over(to):
    session = end_session(recipes.session(), reason=EndReason.IDLE, at=MONDAY)
    with pytest.raises(SessionConflict):
        hand_over(session, to=to, at=MONDAY)


# --- End ---------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_ending_twice_keeps_the_first_reason():
    session = recipes.session()
    stale = stored(session)
    end_session(session, reason=EndReason.COMPLETED, at=MONDAY)
    end_session(stale, reason=EndReason.IDLE, at=MONDAY + HOUR)
    for instance in (session, stale, stored(session)):
        assert (instance.ended_at, instance.end_reason) == (MONDAY, EndReason.COMPLETED)


@pytest.mark.django_db
@pytest.mark.parametrize("owner", [QUEUE, ATTENDANT])
def test_a_session_with_people_is_ended_by_its_ticket_only(owner):
    session = recipes.session(owner=owner)
    with pytest.raises(SessionConflict) as refusal:
        end_session(session, reason=EndReason.CLOSED, at=MONDAY)
    assert refusal.value.code == "session_with_people"
    assert stored(session).is_live


@pytest.mark.django_db
def test_a_session_that_people_took_meanwhile_is_not_ended():
    session = recipes.session()
    stale = stored(session)
    hand_over(session, to=QUEUE, at=MONDAY)
    with pytest.raises(SessionConflict):
        end_session(stale, reason=EndReason.IDLE, at=MONDAY)
    assert stored(session).is_live


# --- Times -------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_message_moves_the_window_forward_and_never_back():
    session = recipes.session()
    for at in (MONDAY, MONDAY - 3 * HOUR):
        touch_window(session, at_provider=at, now=MONDAY, window_hours=24)
    assert session.last_interaction_at == MONDAY
    assert session.window_expires_at == MONDAY + 24 * HOUR


@pytest.mark.django_db
def test_a_provider_clock_that_is_ahead_does_not_stretch_the_window():
    session = recipes.session()
    touch_window(session, at_provider=MONDAY + 5 * HOUR, now=MONDAY, window_hours=24)
    assert session.window_expires_at == MONDAY + 24 * HOUR


@pytest.mark.django_db
def test_a_channel_without_a_service_window_gets_none():
    session = recipes.session()
    changed = touch_window(session, at_provider=MONDAY, now=MONDAY, window_hours=None)
    assert changed == ["last_interaction_at"]
    assert session.window_expires_at is None
    assert session.window_is_open(MONDAY + 100 * HOUR)


@pytest.mark.django_db
@pytest.mark.parametrize(("owner", "unread"), [(BOT, 0), (QUEUE, 1), (ATTENDANT, 1)])
def test_an_inbound_message_is_saved_by_the_fields_it_returns(owner, unread):
    lead = davi(phone())
    session = recipes.session(lead, owner=owner, idle_warned_at=MONDAY)
    now = MONDAY + HOUR
    changed = note_inbound(
        session,
        at_provider=MONDAY,
        now=now,
        preview="Oi!\n\nTudo bem?",
        identity=lead.identities.get(),
        window_hours=24,
    )
    session.save(update_fields=changed)
    saved = stored(session)
    assert saved.last_message_preview == "Oi! Tudo bem?"
    assert (saved.last_message_at, saved.last_interaction_at) == (now, MONDAY)
    assert saved.window_expires_at == MONDAY + 24 * HOUR
    assert (saved.identity, saved.unread) == (lead.identities.get(), unread)
    assert saved.idle_warned_at is None


@pytest.mark.django_db
@pytest.mark.parametrize(("by_person", "unread"), [(True, 0), (False, 2)])
def test_only_an_answer_of_a_person_means_that_it_was_read(by_person, unread):
    session = recipes.session(owner=ATTENDANT, unread=2, last_interaction_at=MONDAY)
    changed = note_outbound(session, at=MONDAY + HOUR, preview="x" * 500, by_person=by_person)
    session.save(update_fields=changed)
    saved = stored(session)
    assert (saved.unread, saved.last_interaction_at) == (unread, MONDAY)
    assert saved.last_message_at == MONDAY + HOUR
    assert len(saved.last_message_preview) == PREVIEW_LENGTH


@pytest.mark.django_db
def test_a_joined_session_keeps_the_later_times():
    older = recipes.session(last_interaction_at=MONDAY + HOUR, window_expires_at=MONDAY + 25 * HOUR)
    newer = recipes.session(davi(), last_interaction_at=MONDAY + 2 * HOUR)
    take_times_of(newer, older)
    assert newer.last_interaction_at == MONDAY + 2 * HOUR
    assert newer.window_expires_at == MONDAY + 25 * HOUR


# --- Races -------------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_twenty_first_messages_at_once_open_one_session():
    lead, channel = davi(), recipes.channel()

    def open_and_count():
        with transaction.atomic():
            session = open_session(lead=lead, channel=channel, identity=None, at=MONDAY)
            session.seq += 1  # under the lock: none of these is lost
            session.save(update_fields=["seq"])
            return session.pk

    assert len(set(at_once(*[open_and_count] * 20))) == 1
    assert Session.objects.get().seq == 20


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_messages_and_ends_at_once_leave_one_live_session():
    lead, channel = davi(), recipes.channel()

    @transaction.atomic
    def write():
        return open_session(lead=lead, channel=channel, identity=None, at=MONDAY).pk

    @transaction.atomic
    def end():
        session = lock_live_session(lead_id=lead.pk, channel_id=channel.pk)
        return session and end_session(session, reason=EndReason.IDLE, at=MONDAY)

    outcomes = at_once(*[write, end] * 10)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    write()
    assert Session.objects.live().count() == 1


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_two_who_hand_over_at_once_raise_the_epoch_once():
    pk = recipes.session().pk

    @transaction.atomic
    def take():
        return hand_over(lock_session(pk), to=QUEUE, at=MONDAY)

    at_once(*[take] * 10)
    assert Session.objects.get().epoch == 1
