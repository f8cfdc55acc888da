"""A number that people also use on a phone: what they do there, and what customers do to messages,
from the webhook to the page."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.test import Client
from django.utils import timezone

from chatbot import transcript
from chatbot.delivery import deliver_pending
from chatbot.models import FailedEvent, FlowRun, Media, MessageLog
from chatbot.tests import stage
from chatbot.tests.webhook import (
    NUMBER,
    SECOND_NUMBER,
    message,
    post,
    say,
    status,
    text,
    whatsapp_channel,
)
from leads.models import Identity, Lead, Note
from sessions_app.models import Owner, Session
from tickets import services as tickets
from tickets.models import Ticket
from users.tests.racing import at_once
from users.tests.recipes import bia

pytestmark = pytest.mark.django_db

DAVI, OTHER = "5511990000001", "5521990000002"
USER_ID = "BR.10000000000000000001"


@pytest.fixture
def shop(db):
    channel = stage.open_shop()
    stage.put_on_air(stage.ask_name())
    return channel


def changes(field, **lists):
    """A value of another field than `messages`."""
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "551130000000", "phone_number_id": NUMBER},
        **lists,
    }
    return {"field": field, "value": value}


def entry(*found):
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": list(found)}]}


def told(client, *found):
    answer = post(client, json.dumps(entry(*found)).encode())
    assert answer.status_code == 200
    return answer


def echo_item(content, *, message_id="wamid.eco", to=DAVI, at=None):
    return {
        "from": "551130000000",
        "to": to,
        "id": message_id,
        "timestamp": str(int((at or datetime.now(UTC)).timestamp())),
        **content,
    }


def echo(client, content=None, **more):
    content = content or {"type": "text", "text": {"body": "Aqui é a Ana"}}
    return told(client, changes("smb_message_echoes", message_echoes=[echo_item(content, **more)]))


def edit(target, body, **more):
    inner = {"type": "text", "text": {"body": body}}
    return {"type": "edit", "edit": {"original_message_id": target, "message": inner}, **more}


def revoke(target):
    return {"type": "revoke", "revoke": {"original_message_id": target}}


def reaction(target, emoji):
    return {"type": "reaction", "reaction": {"message_id": target, "emoji": emoji}}


def bubbles():
    return transcript.latest(list(Session.objects.all())).bubbles


def outbound(**fields):
    return MessageLog.objects.outbound().get(**fields)


# --- Echoes ------------------------------------------------------------------------------------

CONTENTS = {
    "text": {"text": {"body": "Olá"}},
    "image": {"image": {"id": "11", "caption": "Olá", "mime_type": "image/jpeg"}},
    "audio": {"audio": {"id": "12", "voice": True}},
    "video": {"video": {"id": "13"}},
    "document": {"document": {"id": "14", "filename": "a.pdf"}},
    "sticker": {"sticker": {"id": "15"}},
    "location": {"location": {"latitude": -23.5, "longitude": -46.6}},
    "contacts": {"contacts": [{"name": {"formatted_name": "Rita"}}]},
    "novidade": {"novidade": {}},
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_whatever_is_sent_on_the_phone_is_shown_and_stops_the_bot(client, shop, graph_api, kind):
    say(client, text("Oi"))
    deliver_pending()
    echo(client, {"type": kind, **CONTENTS[kind]})
    last = bubbles()[-1]
    row = outbound(provider_id="wamid.eco")
    assert (last.pk, last.author, last.is_inbound) == (row.pk, "attendant", False)
    assert last.text or last.attachments or last.place or last.contacts
    assert Media.objects.filter(message=row).count() == (1 if last.attachments else 0)
    assert Session.objects.get().owner == Owner.ATTENDANT
    say(client, text("Obrigado"))
    assert deliver_pending() == {}
    assert Session.objects.get().last_message_preview == "Obrigado"


def test_an_echo_answers_the_message_it_quotes(client, shop):
    say(client, text("Tem pão?", message_id="wamid.pergunta"))
    content = {"type": "text", "text": {"body": "Tem"}, "context": {"id": "wamid.pergunta"}}
    echo(client, content)
    assert bubbles()[-1].quote.text == "Tem pão?"


def test_an_echo_of_what_was_sent_from_here_changes_nothing(client, shop, graph_api):
    say(client, text("Oi"))
    deliver_pending()
    ours = outbound()
    echo(client, {"type": "text", "text": {"body": ours.text}}, message_id=ours.provider_id)
    assert outbound() == ours
    assert Session.objects.get().owner == Owner.BOT


def test_an_echo_that_is_faster_than_the_answer_of_our_call_is_ours(client, shop):
    say(client, text("Oi"))
    ours = outbound()
    MessageLog.objects.filter(pk=ours.pk).update(status="sending")
    echo(client, {"type": "text", "text": {"body": ours.text}}, message_id="wamid.nossa")
    assert outbound().provider_id == "wamid.nossa"
    assert Session.objects.get().owner == Owner.BOT


def test_an_echo_to_somebody_unknown_makes_a_lead_and_greets_nobody(client, shop, graph_api):
    echo(client, to=OTHER)
    lead = Lead.objects.get()
    assert (lead.phone, lead.identities.get().address) == (f"+{OTHER}", OTHER)
    assert deliver_pending() == {}
    assert not FlowRun.objects.exists()
    say(client, text("Oi", phone=OTHER))
    assert deliver_pending() == {}
    assert Ticket.objects.get().session == Session.objects.get()


@pytest.mark.parametrize("owner", [Owner.QUEUE, Owner.ATTENDANT])
def test_an_echo_while_people_have_the_conversation_opens_nothing_new(client, shop, owner):
    say(client, text("Oi"))
    say(client, text("Davi"))
    ticket = Ticket.objects.get()
    if owner == Owner.ATTENDANT:
        tickets.claim(ticket, user=bia())
    echo(client)
    after = Ticket.objects.get()
    assert (after.pk, after.assignee) == (ticket.pk, bia() if owner == Owner.ATTENDANT else None)
    assert after.first_response_at is not None
    assert Session.objects.get().owner == Owner.ATTENDANT


def test_an_echo_that_comes_late_does_not_take_back_what_was_given_to_the_bot(client, shop):
    say(client, text("Oi"))
    say(client, text("Davi"))
    tickets.close_ticket(Ticket.objects.get(), actor=bia(), then=tickets.Next.BOT)
    echo(client, at=timezone.now() - timedelta(hours=2))
    assert Session.objects.get().owner == Owner.BOT
    echo(client, message_id="wamid.agora", at=timezone.now() + timedelta(seconds=5))
    assert Session.objects.get().owner == Owner.ATTENDANT


def test_an_edit_on_the_phone_changes_its_message_and_adds_none(client, shop):
    echo(client)
    echo(client, edit("wamid.eco", "Aqui é a Bia"), message_id="wamid.edicao")
    echo(client, edit("wamid.eco", "Aqui é a Bia"), message_id="wamid.edicao")
    (bubble,) = bubbles()
    assert (bubble.text, bubble.is_edited) == ("Aqui é a Bia", True)
    assert outbound().payload["original_text"] == "Aqui é a Ana"


def test_of_two_edits_the_later_one_stays_whichever_comes_first(client, shop):
    now = timezone.now()
    echo(client, at=now - timedelta(minutes=3))
    second = edit("wamid.eco", "segunda")
    echo(client, second, message_id="wamid.e2", at=now - timedelta(minutes=1))
    first = edit("wamid.eco", "primeira")
    echo(client, first, message_id="wamid.e1", at=now - timedelta(minutes=2))
    assert bubbles()[0].text == "segunda"


def test_an_edit_that_overtakes_its_message_stands_for_it(client, shop):
    echo(client, edit("wamid.eco", "Corrigida"), message_id="wamid.edicao")
    echo(client)
    (bubble,) = bubbles()
    assert (bubble.text, bubble.is_edited) == ("Corrigida", True)
    assert Session.objects.get().owner == Owner.ATTENDANT


def test_a_message_deleted_on_the_phone_says_so_on_the_page(client, shop, admin_client):
    echo(client)
    echo(client, revoke("wamid.eco"), message_id="wamid.apagou")
    (bubble,) = bubbles()
    assert bubble.is_revoked
    url = f"/admin/chatbot/conversation/{Session.objects.get().pk}/"
    assert 'class="gone"' in admin_client.get(url).content.decode()


@pytest.mark.parametrize("content", [revoke("wamid.x"), reaction("wamid.x", "👍")])
def test_what_is_done_on_the_phone_to_a_message_that_we_do_not_have_is_kept(client, shop, content):
    echo(client, content)
    assert FailedEvent.objects.get().state == "ignored"
    assert not Session.objects.exists()


def test_a_reaction_on_the_phone_is_shown_and_is_no_answer(client, shop):
    say(client, text("Oi", message_id="wamid.oi"))
    echo(client, reaction("wamid.oi", "👍"))
    assert MessageLog.objects.inbound().get().reaction == "👍"
    assert Session.objects.get().owner == Owner.BOT


def test_nobody_edits_or_deletes_what_the_other_side_wrote(client, shop):
    say(client, text("Oi", message_id="wamid.oi"))
    echo(client)
    echo(client, edit("wamid.oi", "x"), message_id="wamid.1")
    echo(client, revoke("wamid.oi"), message_id="wamid.2")
    say(client, message(edit("wamid.eco", "x")))
    say(client, message(revoke("wamid.eco")))
    assert MessageLog.objects.inbound().get(provider_id="wamid.oi").text == "Oi"
    assert outbound(provider_id="wamid.eco").text == "Aqui é a Ana"
    assert not MessageLog.objects.exclude(revoked_at=None).exists()


@pytest.mark.parametrize("field", ["history", "standby"])
def test_old_messages_and_those_of_another_program_are_never_answered(
    client, shop, graph_api, field
):
    value = text("Oi")
    told(client, {"field": field, "value": value})
    old = {"history": [{"threads": [{"id": DAVI, "messages": value["messages"]}]}]}
    told(client, changes(field, **old))
    assert deliver_pending() == {}
    assert not MessageLog.objects.exists()
    assert not Lead.objects.exists()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_after_an_echo_that_races_with_the_customer_the_bot_is_silent(graph_api):
    stage.open_shop()
    stage.put_on_air(
        {
            "inicio": {"kind": "start", "next": "a"},
            "a": {"kind": "ask", "text": "E?", "save_as": "a", "next": "b"},
            "b": {"kind": "ask", "text": "E então?", "save_as": "b", "next": "a"},
        }
    )
    for number in range(8):
        phone = f"55119811111{number:02d}"
        say(Client(), text("Oi", phone=phone))
        deliver_pending()
        values = [text(f"Mensagem {one}", phone=phone) for one in range(3)]
        racing = [partial(say, Client(), value) for value in values]
        racing.append(partial(echo, Client(), to=phone, message_id=f"wamid.eco.{number}"))
        assert [answer.status_code for answer in at_once(*racing)] == [200] * 4
        say(Client(), text("E agora?", phone=phone))
        session = Session.objects.get(lead__phone=f"+{phone}")
        assert (session.owner, Ticket.objects.filter(session=session).count()) == ("attendant", 1)
        deliver_pending()
        said = [one.text for one in graph_api.messages if one.to == f"+{phone}"]
        assert said == ["E?"]
    assert not FailedEvent.objects.exists()


# --- What customers do to messages -------------------------------------------------------------


def test_a_reaction_that_overtakes_its_message_is_shown_on_it(client, shop):
    say(client, text("Oi"))
    say(client, message(reaction("wamid.depois", "👍")))
    say(client, text("Davi", message_id="wamid.depois"))
    assert MessageLog.objects.inbound().get(provider_id="wamid.depois").reaction == "👍"
    assert "early" not in Session.objects.get().flow_state


def test_an_edit_and_a_revoke_that_overtake_their_messages_are_applied(client, shop):
    say(client, text("Oi"))
    say(client, message(edit("wamid.um", "certo")), message(revoke("wamid.dois")))
    say(client, text("errado", message_id="wamid.um"), text("não", message_id="wamid.dois"))
    rows = {row.provider_id: row for row in MessageLog.objects.inbound()}
    assert (rows["wamid.um"].text, rows["wamid.dois"].revoked_at is None) == ("certo", False)


def test_what_waits_for_its_message_is_not_forgotten_when_a_flow_begins(client, shop):
    say(client, message(reaction("wamid.depois", "👍")))
    say(client, text("Oi"))
    say(client, text("Davi", message_id="wamid.depois"))
    assert MessageLog.objects.inbound().get(provider_id="wamid.depois").reaction == "👍"


def test_a_reaction_to_a_message_of_ours_whose_id_a_status_tells_later(client, shop):
    say(client, text("Oi"))
    row = outbound()
    MessageLog.objects.filter(pk=row.pk).update(status="sending")
    say(client, message(reaction("wamid.nossa", "👍")))
    say(client, status("wamid.nossa", "delivered", biz_opaque_callback_data=row.callback_data))
    assert outbound().reaction == "👍"


def test_a_reaction_that_was_taken_back_does_not_return(client, shop, graph_api):
    say(client, text("Oi"))
    deliver_pending()
    target, now = outbound().provider_id, timezone.now()
    say(client, message(reaction(target, ""), at=now))
    say(client, message(reaction(target, "👍"), at=now - timedelta(seconds=30)))
    assert outbound().reaction == ""
    say(client, message(reaction(target, "❤️"), at=now + timedelta(seconds=1)))
    assert outbound().reaction == "❤️"


# --- Changed numbers and ids -------------------------------------------------------------------


def system(kind, **more):
    found = {"type": "system", "system": {"type": kind, "body": "changed", **more}}
    value = message(found)
    del value["contacts"]
    return value


@pytest.mark.parametrize(
    "value",
    [
        system("user_changed_number", wa_id=OTHER, user_id=USER_ID),
        system("customer_changed_number", new_wa_id=OTHER),
        system("user_changed_number", wa_id=OTHER, customer=DAVI),
    ],
    ids=["2026", "old form", "with customer"],
)
def test_a_changed_number_is_shown_and_answered_at(client, shop, graph_api, value):
    say(client, text("Oi"))
    deliver_pending()
    say(client, value)
    say(client, value)
    assert Lead.objects.get().phone == f"+{OTHER}"
    assert {DAVI, OTHER} <= set(Identity.objects.values_list("address", flat=True))
    remark = bubbles()[-1]
    assert remark.is_remark
    assert f"+{DAVI}" in remark.text
    assert f"+{OTHER}" in remark.text
    assert len(bubbles()) == 3
    session = Session.objects.get()
    assert (session.identity.address, session.unread) == (OTHER, 0)
    say(client, text("Davi", phone=OTHER))
    assert Session.objects.count() == 1
    assert deliver_pending() == {"sent": 1}
    assert graph_api.messages[-1].to == f"+{OTHER}"


def test_a_changed_user_id_is_shown_and_the_phone_is_still_answered_at(client, shop):
    say(client, text("Oi"))
    new = "BR.10000000000000000099"
    told(
        client,
        changes(
            "user_id_update",
            user_id_update=[
                {"wa_id": DAVI, "user_id": {"previous": USER_ID, "current": new}, "timestamp": 1}
            ],
        ),
    )
    assert {DAVI, USER_ID, new} == set(Identity.objects.values_list("address", flat=True))
    assert bubbles()[-1].is_remark
    say(client, text("Davi"))
    assert Session.objects.get().identity.address == DAVI


def test_a_changed_number_of_somebody_unknown_makes_no_lead(client, shop):
    say(client, system("user_changed_number", wa_id=OTHER))
    assert not Lead.objects.exists()
    assert FailedEvent.objects.get().state == "ignored"


def test_a_new_number_that_another_lead_has_is_told_and_not_merged(client, shop):
    say(client, text("Oi"))
    say(client, text("Oi", phone=OTHER, name="Rita"))
    changed = system("user_changed_number", wa_id=OTHER)
    say(client, changed)
    say(client, changed)
    assert Lead.objects.count() == 2
    assert "Rita" in Note.objects.get().text


def test_a_status_teaches_the_user_id_of_a_known_phone(client, shop, graph_api):
    say(client, text("Oi"))
    deliver_pending()
    say(client, status(outbound().provider_id, "delivered", recipient_user_id=USER_ID))
    assert set(Identity.objects.values_list("address", flat=True)) == {DAVI, USER_ID}
    assert Lead.objects.count() == 1


# --- Several numbers in one body ---------------------------------------------------------------


def test_one_body_with_two_numbers_is_split_by_number(client, shop, graph_api):
    second = whatsapp_channel(slug="segunda", external_id=SECOND_NUMBER, is_default=False)
    ours = stage.queued(stage.talk(second), "Oi", status="sent", provider_id="wamid.nossa")[0]
    theirs = stage.queued(stage.talk(shop), "Oi", status="sent", provider_id="wamid.nossa")[0]
    items = [
        {"field": "messages", "value": text("Aqui", phone=DAVI)},
        {"field": "messages", "value": text("Lá", phone=OTHER)},
        {"field": "messages", "value": status("wamid.nossa", "read")},
        changes(
            "smb_message_echoes", message_echoes=[echo_item(dict(CONTENTS["text"], type="text"))]
        ),
        changes(
            "user_preferences",
            user_preferences=[
                {"wa_id": DAVI, "value": "stop", "category": "marketing_messages", "timestamp": 1}
            ],
        ),
    ]
    for one in items[1:]:
        one["value"]["metadata"]["phone_number_id"] = SECOND_NUMBER
    told(client, *items)
    by_channel = MessageLog.objects.inbound().values_list("text", "channel__slug")
    assert dict(by_channel) == {"Aqui": "whatsapp", "Lá": "segunda"}
    assert stage.statuses([ours, theirs]) == ["read", "sent"]
    assert outbound(provider_id="wamid.eco").channel == second
    owners = Session.objects.filter(lead__identities__address=DAVI).values_list(
        "channel__slug", "owner"
    )
    assert dict(owners) == {"whatsapp": Owner.BOT, "segunda": Owner.ATTENDANT}
    lead = Lead.objects.get(identities__address=DAVI)
    assert lead.opted_out_at is not None
    assert lead.consents.get().origin == "segunda"
