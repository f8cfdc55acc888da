"""Every transport through the same cases."""

import pytest

from chatbot.channels import TRANSPORTS, UnknownKind, transport_class, transport_for
from chatbot.channels.base import (
    BadSignature,
    Content,
    Malformed,
    Option,
    Recipient,
    SendError,
    Sent,
    Transport,
    degrade,
)
from chatbot.channels.inbound import Inbound
from chatbot.channels.tests.helpers import channel, post

RECIPIENTS = {
    "whatsapp_cloud": Recipient("phone", "5511990000001"),
    "simulator": Recipient("simulator", "ana"),
}
MENU = tuple(Option(f"op:{n}", f"Opção {n}") for n in range(1, 13))
CONTENTS = {
    "text": Content("text", "Olá!"),
    "long text": Content("text", "palavra " * 2000),
    "buttons": Content("buttons", "Escolha", options=MENU[:2]),
    "many buttons": Content("buttons", "Escolha", options=MENU[:9]),
    "too many options": Content("list", "Escolha", options=MENU),
    "long menu": Content("list", "frase. " * 500, options=MENU[:4], list_button="Ver"),
    "image": Content("image", "Legenda", media_link="https://example.com/a.jpg"),
    "image by id": Content("image", media_id="400000000000001"),
    "voice": Content("voice", media_id="400000000000002"),
    "document": Content("document", "x" * 3000, media_id="400000000000003", filename="ação.pdf"),
    "location": Content("location", "Loja", latitude=-23.5, longitude=-46.6),
    "quote": Content("text", "Sim", reply_to="wamid.Um"),
}

every_kind = pytest.mark.parametrize("kind", sorted(TRANSPORTS))


@pytest.fixture
def transport(kind, graph_api) -> Transport:
    return transport_for(channel(kind))


@every_kind
def test_the_class_says_the_kind_it_is_listed_under(kind):
    assert transport_class(kind).kind == kind


@every_kind
def test_every_listed_kind_can_be_chosen_for_a_channel(kind):
    assert kind in dict(channel(kind)._meta.get_field("kind").choices)


def test_an_unlisted_kind_is_refused_by_name():
    with pytest.raises(UnknownKind, match="telepathy"):
        transport_class("telepathy")


@every_kind
def test_an_unproven_request_is_refused(transport):
    with pytest.raises(BadSignature):
        transport.verify(post(b"{}"), b"{}")


@every_kind
@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 10_000, b'{"entry": [[]]}', b"1", b'"x"'],
    ids=repr,
)
def test_a_strange_body_gives_items_or_malformed(transport, body):
    try:
        found = transport.parse(post(body), body)
    except Malformed:
        return
    assert all(isinstance(item, Inbound) for item in found)


@every_kind
@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_whatever_is_degraded_can_be_sent(transport, kind, content):
    parts = degrade(content, transport.capabilities)

    sent = [transport.send(RECIPIENTS[kind], part, callback_data="out:1") for part in parts]

    assert all(isinstance(one, Sent) and one.provider_id for one in sent)
    assert len({one.provider_id for one in sent}) == len(sent)
    assert sent


@every_kind
def test_marking_as_read_is_quiet(transport):
    transport.mark_read("wamid.Um")


@every_kind
def test_a_late_failure_always_has_a_meaning(transport):
    failure = transport.failure("123456789", "?")
    assert (failure.retryable, failure.is_stop, failure.uncertain) == (False, False, False)


@every_kind
def test_capabilities_belong_together(kind):
    can = transport_class(kind).capabilities
    assert not can.buttons or can.button_title
    assert not can.list_rows or (can.list_row_title and can.list_button)
    assert can.body_length <= can.text_length


def test_waits_grow_by_the_factor_and_stay_bounded():
    error = SendError("131056", retryable=True, retry_after=1, growth=4)
    assert [error.delay(tries) for tries in (1, 2, 3, 4)] == [1, 4, 16, 64]
    assert error.delay(50) == 300
    assert SendError("x", retryable=True, retry_after=3600).delay(9) == 3600


def test_a_stop_is_always_told_to_a_person():
    assert SendError("190", retryable=False, is_stop=True).needs_operator
