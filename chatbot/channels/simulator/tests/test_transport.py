from datetime import UTC, datetime

import pytest

from chatbot.channels import transport_for
from chatbot.channels.base import Content, Recipient
from chatbot.channels.inbound import Address, Kind
from chatbot.channels.simulator.transport import inbound_from_form
from chatbot.channels.tests.helpers import channel

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def inbound(**form):
    return inbound_from_form(form, account="sim", customer="ana", name="Davi", at=NOW)


def test_a_message_is_sent_at_once_with_a_new_id():
    transport = transport_for(channel("simulator"))
    to = Recipient("simulator", "ana")
    sent = [transport.send(to, Content("text", "Oi"), callback_data="") for _ in range(2)]
    assert all(one.provider_id.startswith("sim.") for one in sent)
    assert sent[0].provider_id != sent[1].provider_id


def test_a_written_text_is_a_message_of_the_fictitious_customer():
    message = inbound(text="Oi")
    assert (message.kind, message.text, message.at, message.account) == ("text", "Oi", NOW, "sim")
    assert message.sender.addresses == (Address("simulator", "ana", "ana"),)
    assert message.sender.name == "Davi"


@pytest.mark.parametrize(
    ("kind", "expected"), [("buttons", Kind.BUTTON_REPLY), ("list", Kind.LIST_REPLY)]
)
def test_a_tap_has_the_id_and_shows_the_title(kind, expected):
    message = inbound(choice_id="menu:1", choice_title="Vendas", choice_kind=kind)
    assert (message.kind, message.choice_id, message.text) == (expected, "menu:1", "Vendas")


def test_media_and_places_can_be_played():
    image = inbound(kind="image", text="Foto")
    assert (image.kind, image.text, image.media.mime_type) == ("image", "Foto", "image/jpeg")
    place = inbound(latitude="-23.5", longitude="-46.6")
    assert place.payload == {"location": {"latitude": -23.5, "longitude": -46.6}}
    assert inbound(latitude="x", longitude="1", text="Oi").kind == "text"


def test_a_form_sent_twice_is_one_message():
    page = "7f3b1c9e-0000-4000-8000-000000000001"
    assert inbound(text="Oi", message_id=page).provider_id == f"sim.{page}"
    assert inbound(text="Oi").provider_id != inbound(text="Oi").provider_id
    assert inbound(text="Oi", message_id="../x").provider_id.startswith("sim.")
