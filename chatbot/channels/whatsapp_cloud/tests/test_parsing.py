"""Every payload file leads to what expectations.json says."""

import json
from datetime import UTC, datetime

import pytest

from chatbot.channels.base import Malformed
from chatbot.channels.inbound import (
    AccountNotice,
    Address,
    EchoMessage,
    IdentityChange,
    InboundMessage,
    Kind,
    MarketingPreference,
    StatusUpdate,
    Unusable,
)
from chatbot.channels.tests.helpers import PAYLOADS, payload
from chatbot.channels.whatsapp_cloud import identity
from chatbot.channels.whatsapp_cloud.parsing import parse_body

EXPECTATIONS = json.loads((PAYLOADS / "expectations.json").read_bytes())
WEBHOOKS = {
    one["file"].removeprefix("whatsapp_cloud/"): one
    for one in EXPECTATIONS
    if one["file"].startswith("whatsapp_cloud/")
}
SINGLE = sorted(
    name
    for name in WEBHOOKS
    if not name.startswith("batch_") and name not in {"malformed_timestamp.json"}
)
JULIA = (
    Address("bsuid", "BR.10000000000000000001", "BR.10000000000000000001"),
    Address("phone", "5511990000001", "5511990000001"),
)


def parse(name):
    return parse_body(payload(name))


def one(name):
    [item] = parse(name)
    return item


def body_of(value, field="messages"):
    changes = [{"field": field, "value": value}]
    entry = [{"id": "200000000000001", "changes": changes}]
    return json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()


def message_body(**message):
    base = {"from": "5511990000001", "id": "wamid.Um", "timestamp": "1795186800", "type": "text"}
    metadata = {"phone_number_id": "100000000000001"}
    return body_of({"metadata": metadata, "messages": [{**base, **message}]})


def parse_message(**message):
    [item] = parse_body(message_body(**message))
    return item


def kind_of(item):  # noqa: PLR0911  # one word for each class
    """The word of expectations.json for an item."""
    match item:
        case StatusUpdate():
            return "status"
        case IdentityChange():
            return "system"
        case EchoMessage():
            return "echo"
        case MarketingPreference(opted_out=True):
            return "opt_out"
        case AccountNotice(is_error=True):
            return "account_error"
        case AccountNotice() | Unusable():
            return "ignored"
        case InboundMessage(kind=kind):
            return kind.value
    raise AssertionError(item)


def person_of(item):
    match item:
        case StatusUpdate(recipient=person) | IdentityChange(old=person):
            return person
        case InboundMessage(sender=person) | MarketingPreference(sender=person):
            return person
    raise AssertionError(item)


def seen(person):
    forms = {address.scheme: address.send_to for address in person.addresses}
    return {
        "wa_id": forms.get("phone"),
        "bsuid": forms.get("bsuid"),
        "name": person.name or None,
    }


def text_of(item):
    return item.status if isinstance(item, StatusUpdate) else getattr(item, "text", None)


def when(text):
    return datetime.fromisoformat(text) if text else None


def test_every_file_has_an_expectation_and_every_expectation_a_file():
    files = {path.name for path in (PAYLOADS / "whatsapp_cloud").iterdir()}
    assert files == set(WEBHOOKS)
    assert len(files) == 69


@pytest.mark.parametrize("name", SINGLE)
def test_a_file_gives_one_item_of_the_expected_kind_and_time(name):
    expected = WEBHOOKS[name]
    item = one(name)
    assert kind_of(item) == expected["kind"]
    assert item.at == when(expected["timestamp"])


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in SINGLE
        if WEBHOOKS[name]["sender"] and WEBHOOKS[name]["kind"] not in {"echo", "ignored"}
    ],
)
def test_a_file_names_the_expected_person(name):
    assert seen(person_of(one(name))) == WEBHOOKS[name]["sender"]


@pytest.mark.parametrize(
    "name", [name for name in SINGLE if WEBHOOKS[name]["kind"] not in {"ignored", "account_error"}]
)
def test_a_file_gives_the_expected_text_and_provider_id(name):
    expected = WEBHOOKS[name]
    item = one(name)
    assert (getattr(item, "provider_id", "") or None) == expected["provider_id"]
    if name == "message_text_4096_chars.json":
        raw = json.loads(payload(name))["entry"][0]["changes"][0]["value"]["messages"][0]
        assert item.text == raw["text"]["body"]
        assert len(item.text) == 4096
    else:
        assert text_of(item) == expected["text"]


@pytest.mark.parametrize("name", sorted(WEBHOOKS))
def test_the_raw_part_of_an_item_parses_into_that_item_again(name):
    for item in parse(name):
        assert parse_body(json.dumps(item.raw).encode()) == [item]


def test_messages_of_one_sender_keep_the_order_of_the_body():
    items = parse("batch_out_of_order.json")
    assert [item.kind for item in items] == [Kind.TEXT] * 3
    expected = WEBHOOKS["batch_out_of_order.json"]
    assert sorted(items, key=lambda item: item.at) != items
    by_time = sorted(items, key=lambda item: item.at)
    assert [item.text.split()[0].rstrip(":") for item in by_time] == [
        word.strip("… ") for word in expected["text"].split("/")
    ]
    assert {item.provider_id for item in items} == set(expected["provider_id"].split(", "))
    assert [item.at for item in (by_time[0], by_time[-1])] == [
        when(text) for text in expected["timestamp"].split(" … ")
    ]
    assert all(seen(item.sender) == expected["sender"] for item in items)


def test_a_message_twice_in_one_body_is_one_message():
    item = one("batch_duplicate_inside.json")
    expected = WEBHOOKS["batch_duplicate_inside.json"]
    assert (item.kind, item.text) == (Kind.TEXT, expected["text"])
    assert item.provider_id == expected["provider_id"]
    assert seen(item.sender) == expected["sender"]


def test_every_part_of_a_mixed_batch_comes_out_with_its_own_number_and_name():
    items = parse("batch_mixed.json")
    messages = [item for item in items if isinstance(item, InboundMessage)]
    assert [kind_of(item) for item in items] == [
        "text",
        "image",
        "status",
        "status",
        "ignored",
        "text",
    ]
    assert [(item.account, item.sender.name, item.text) for item in messages] == [
        ("100000000000001", "Júlia Fictícia", "Lote: oi da Júlia"),
        ("100000000000001", "Antônio Exemplo", "Lote: foto do Antônio"),
        ("100000000000002", "Conceição Teste 🌻", "Lote: oi para o segundo número"),
    ]
    assert [item.provider_id for item in messages] == WEBHOOKS["batch_mixed.json"][
        "provider_id"
    ].split("; ")
    assert items[4].account is None


def test_a_status_may_come_twice_and_out_of_order():
    items = parse("batch_statuses_out_of_order.json")
    assert [item.status for item in items] == ["read", "sent", "delivered", "delivered"]
    expected = WEBHOOKS["batch_statuses_out_of_order.json"]
    assert {item.provider_id for item in items} == {expected["provider_id"]}
    assert all(seen(item.recipient) == expected["sender"] for item in items)


def test_milliseconds_are_understood_and_words_are_no_time():
    first, second = parse("malformed_timestamp.json")
    assert (first.text, first.at) == (
        "Carimbo em milissegundos",
        datetime(2026, 11, 20, 15, 23, 30, tzinfo=UTC),
    )
    assert (second.text, second.at) == ("Carimbo inválido", None)


@pytest.mark.parametrize(
    "timestamp",
    [
        "", None, True, [], {}, "-1795186800", "1e9", "0", "1230768000000000000", "4102444800",
        "1199145600", "99999999999999999999999", 10**25, "\uff11795186800", 1795186800.5,
    ],
    ids=repr,
)  # fmt: skip
def test_an_absurd_time_is_no_time(timestamp):
    assert parse_message(text={"body": "Oi"}, timestamp=timestamp).at is None


@pytest.mark.parametrize("timestamp", ["1795186800", 1795186800, 1795186800.0, "1795186800999"])
def test_a_time_may_be_text_or_number(timestamp):
    item = parse_message(text={"body": "Oi"}, timestamp=timestamp)
    assert item.at == datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def test_old_and_new_ninth_digit_are_one_address_and_each_is_answered_as_it_wrote():
    old = one("message_text_no_ninth_digit.json").sender.addresses
    new = one("message_text_with_ninth_digit.json").sender.addresses
    assert old == (Address("phone", "5585990000002", "558590000002"),)
    assert new == (Address("phone", "5585990000002", "5585990000002"),)


def test_a_landline_stays_a_landline():
    phone = one("message_text_landline_sender.json").sender.addresses[1]
    assert phone == Address("phone", "551130000009", "551130000009")


@pytest.mark.parametrize("suffix", ["only_username", "in_from", "empty_wa_id"])
def test_a_user_id_is_never_a_phone(suffix):
    sender = one(f"message_text_bsuid_{suffix}.json").sender
    assert [address.scheme for address in sender.addresses] == ["bsuid"]


def test_a_username_is_shown_without_its_at_sign():
    assert one("message_text_bsuid_in_from.json").sender.username == "conceicao.teste"


def test_user_id_comes_before_phone():
    assert one("message_text.json").sender.addresses == JULIA


def test_a_parent_user_id_is_an_address_of_the_same_person():
    item = parse_message(text={"body": "Oi"}, from_parent_user_id="BR.ENT.11")
    assert [address.scheme for address in item.sender.addresses] == ["phone", "parent_bsuid"]


@pytest.mark.parametrize(
    ("name", "reply_to"),
    [
        ("message_text_forwarded.json", False),
        ("message_text_frequently_forwarded.json", False),
        ("message_text_reply_context.json", True),
        ("message_text_referred_product.json", True),
        ("message_button_without_context.json", False),
    ],
)
def test_only_a_context_with_an_id_is_an_answer(name, reply_to):
    assert bool(one(name).reply_to) == reply_to


def test_forwarding_referral_and_product_are_kept():
    assert one("message_text_forwarded.json").payload == {"forwarded": True}
    assert one("message_text_frequently_forwarded.json").payload == {"frequently_forwarded": True}
    referral = one("message_text_referral_ctwa.json").payload["referral"]
    assert referral["ctwa_clid"] == "CLIQUE_FICTICIO_0001"
    assert referral["welcome_message"] == {"text": "Oi! Como podemos ajudar?"}
    product = one("message_text_referred_product.json").payload["referred_product"]
    assert product["product_retailer_id"] == "camiseta-açaí-01"


def test_media_keeps_id_type_hash_and_file_name():
    document = one("message_document_accented_filename.json").media
    assert document.provider_id == "400000000000007"
    assert document.mime_type == "application/pdf"
    assert document.filename == "Currículo – João da Conceição (versão 2).pdf"
    assert document.sha256 == "zQqphWFHtsW0/yt9/uXaIKo4JTCZ7xtKZKztIzya/ik="
    voice = one("message_audio_voice.json").media
    assert voice.url.startswith("https://lookaside.fbsbx.com/")
    assert one("message_sticker_animated.json").payload == {"animated": True}


def test_media_without_an_object_is_unsupported_with_its_errors():
    item = parse_message(type="image", errors=[{"code": 131052, "title": "Too big"}])
    assert item.kind == Kind.UNSUPPORTED
    assert item.payload == {
        "type": "image",
        "errors": [{"code": "131052", "title": "Too big", "detail": ""}],
    }


def test_an_unsupported_message_says_what_it_was():
    assert one("message_unsupported.json").payload["subtype"] == "poll"
    assert one("message_media_error_131052.json").payload["errors"][0]["code"] == "131052"
    assert one("message_interactive_unknown_subtype.json").payload["subtype"] == "payment_method"


def test_errors_beside_a_message_without_content_belong_to_it():
    item = one("message_interactive_without_body.json")
    assert item.payload["errors"][0]["code"] == "131000"


def test_errors_beside_a_readable_message_are_trouble_of_the_account():
    value = {
        "messages": [{"from": "5511990000001", "id": "wamid.Um", "type": "text",
                      "text": {"body": "Oi"}}],
        "errors": [{"code": 130429, "title": "Rate limit hit"}],
    }  # fmt: skip
    message, notice = parse_body(body_of(value))
    assert (message.text, notice.code, notice.is_error) == ("Oi", "130429", True)


def test_an_account_error_says_code_and_detail():
    notice = one("value_errors_account_level.json")
    assert (notice.account, notice.field_name, notice.code) == (
        "100000000000001",
        "errors",
        "130429",
    )
    assert notice.detail.startswith("Message failed to send because")


def test_choices_are_known_by_id_and_shown_by_title():
    assert one("message_interactive_button_reply.json").choice_id == "menu:segunda-via"
    row = one("message_interactive_list_reply.json")
    assert (row.choice_id, row.payload) == ("turno/manhã", {"description": "Unidade Fortaleza"})
    assert one("message_button_template_quick_reply.json").choice_id == "CONFIRMA_0001"


def test_a_form_is_read_and_a_broken_one_kept_as_it_came():
    form = one("message_interactive_nfm_reply.json").payload
    assert (form["form_name"], form["form"]["nome"]) == ("flow", "Lúcia")
    broken = one("message_interactive_nfm_reply_invalid_json.json").payload
    assert (broken["form"], broken["form_raw"]) == (None, "{isto não é json}"[:-1])


def test_the_own_phone_is_taken_only_from_an_answer_to_our_request():
    assert one("message_contacts_request_contact_info.json").payload["own_phone"] == "5511990000003"
    assert "own_phone" not in one("message_contacts.json").payload
    assert len(one("message_contacts.json").payload["contacts"]) == 2


@pytest.mark.parametrize("origin", ["other", None, 1])
def test_a_card_of_another_origin_says_nothing_about_its_sender(origin):
    card = {"origin": origin, "phones": [{"phone": "+5511990000009"}]}
    assert "own_phone" not in parse_message(type="contacts", contacts=[card]).payload


def test_reactions_edits_and_revokes_point_at_their_message():
    reaction = one("message_reaction.json")
    removed = one("message_reaction_removed.json")
    edit = one("message_edit.json")
    assert reaction.target_id == removed.target_id
    assert edit.target_id == one("message_revoke.json").target_id
    assert edit.payload == {"kind": "text"}


def test_an_empty_emoji_takes_a_reaction_back():
    item = parse_message(type="reaction", reaction={"message_id": "wamid.Dois", "emoji": ""})
    assert (item.kind, item.target_id) == (Kind.REACTION_REMOVED, "wamid.Dois")


@pytest.mark.parametrize("inner", ["edit", "revoke", "reaction"])
def test_an_edit_of_an_edit_is_not_followed(inner):
    edit = {"original_message_id": "wamid.Dois", "message": {"type": inner}}
    item = parse_message(type="edit", edit=edit)
    assert (item.kind, item.text, item.payload["kind"]) == (Kind.EDIT, None, "unsupported")


def test_an_order_keeps_prices_as_they_came():
    products = one("message_order.json").payload["order"]["product_items"]
    assert [str(product["item_price"]) for product in products] == ["59.9", "35"]


def test_a_place_has_coordinates_name_and_address():
    pin = one("message_location_pin.json").payload["location"]
    assert pin == {"latitude": -23.5505, "longitude": -46.6333}
    place = one("message_location_place.json").payload["location"]
    assert place["address"] == "Rua do Exemplo, 100 - Fortaleza, CE"


def test_a_place_off_the_globe_is_unsupported():
    item = parse_message(type="location", location={"latitude": 91, "longitude": 0})
    assert item.kind == Kind.UNSUPPORTED


def test_anything_in_a_group_is_a_group_message():
    assert one("message_group_text.json").group_id == "Y2FwaV9ncm91cDpGSUNUSUNJTw"
    item = parse_message(type="image", image={"id": "1"}, group_id={"odd": True})
    assert (item.kind, item.group_id, item.payload["kind"]) == ("group_text", "unreadable", "image")


def test_a_changed_number_gives_old_and_new_addresses():
    change = one("system_user_changed_number.json")
    assert change.old.addresses == JULIA
    assert [address.address for address in change.new] == [
        "BR.10000000000000000011",
        "5511990000011",
    ]


def test_a_changed_user_id_gives_old_and_new():
    change = one("system_user_changed_user_id.json")
    assert [address.address for address in change.old.addresses] == ["BR.10000000000000000003"]
    assert [address.address for address in change.new] == ["BR.10000000000000000033"]


def test_the_old_form_of_a_changed_number_is_understood():
    system = {
        "type": "customer_changed_number",
        "new_wa_id": "5511990000011",
        "customer": "5511990000001",
    }
    change = parse_message(type="system", system=system)
    assert isinstance(change, IdentityChange)
    assert [address.address for address in change.new] == ["5511990000011"]


@pytest.mark.parametrize(
    "system",
    [
        {"type": "customer_identity_changed", "identity": {"hash": "x"}},
        {"type": "user_changed_number"},
        {"type": "user_changed_number", "wa_id": "5511990000001"},
        {},
        "?",
    ],
    ids=repr,
)
def test_a_system_message_without_a_new_address_is_only_shown(system):
    item = parse_message(type="system", system=system)
    assert (item.kind, item.text) == (Kind.SYSTEM, None)


def test_a_withdrawn_user_id_update_is_still_understood():
    change = one("field_user_id_update.json")
    assert (change.provider_id, change.old.name) == ("", "João Modelo")
    assert [address.address for address in change.new] == ["BR.10000000000000000044"]


def test_an_echo_goes_to_the_customer():
    echo = one("field_smb_message_echoes.json")
    assert (echo.to.addresses, echo.to.name) == (JULIA, "Júlia Fictícia")
    assert (echo.kind, echo.account) == (Kind.TEXT, "100000000000001")
    sent = echo.raw["entry"][0]["changes"][0]["value"]["message_echoes"][0]
    assert sent["from"] == WEBHOOKS["field_smb_message_echoes.json"]["sender"]["wa_id"]


def test_an_echo_without_a_receiver_is_kept_for_a_person():
    value = {"message_echoes": [{"from": "551130000000", "id": "wamid.Um", "type": "text"}]}
    [item] = parse_body(body_of(value, "smb_message_echoes"))
    assert isinstance(item, Unusable)
    assert item.is_quarantined


@pytest.mark.parametrize(("value", "opted_out"), [("stop", True), ("resume", False)])
def test_a_preference_opts_out_or_in(value, opted_out):
    preference = {"wa_id": "5511990000001", "value": value, "timestamp": 1795187710}
    [item] = parse_body(body_of({"user_preferences": [preference]}, "user_preferences"))
    assert isinstance(item, MarketingPreference)
    assert item.opted_out is opted_out


def test_a_preference_we_do_not_know_is_kept_for_a_person():
    preference = {"wa_id": "5511990000001", "value": "perhaps"}
    [item] = parse_body(body_of({"user_preferences": [preference]}, "user_preferences"))
    assert isinstance(item, Unusable)
    assert item.is_quarantined


def test_a_status_brings_back_our_own_id_and_its_price():
    status = one("status_sent.json")
    assert status.callback_data == "out:42"
    assert status.pricing["type"] == "free_customer_service"


def test_a_failed_status_says_why():
    status = one("status_failed_131026.json")
    assert (status.error_code, status.error_detail) == ("131026", "Message Undeliverable.")


def test_a_status_of_a_group_is_about_the_participant():
    value = {
        "statuses": [
            {
                "id": "wamid.Um",
                "status": "read",
                "recipient_type": "group",
                "recipient_id": "120363000000000001",
                "recipient_participant_id": "5511990000001",
            }
        ]
    }
    [status] = parse_body(body_of(value))
    assert [address.address for address in status.recipient.addresses] == ["5511990000001"]


def test_an_unknown_status_is_not_worth_keeping_and_an_unreadable_sender_is():
    unknown = one("status_unknown_value.json")
    assert (unknown.reason, unknown.is_quarantined) == ("status in_orbit", False)
    nobody = one("malformed_no_sender.json")
    assert (nobody.reason, nobody.is_quarantined) == ("message without sender", True)
    assert not one("malformed_empty_entry.json").is_quarantined


@pytest.mark.parametrize(
    "id_", ["", None, 5.5, "a b", "x" * 256, "é", "\x00", ["wamid.Um"]], ids=repr
)
def test_a_message_whose_id_cannot_be_kept_is_not_used(id_):
    item = parse_message(id=id_, text={"body": "Oi"})
    assert isinstance(item, Unusable) == (id_ != 5.5)


@pytest.mark.parametrize("field", ["history", "standby", "smb_app_state_sync"])
def test_copies_of_what_was_said_elsewhere_are_not_messages(field):
    value = {"messages": [{"from": "5511990000001", "id": "wamid.Um", "type": "text"}]}
    [item] = parse_body(body_of(value, field))
    assert isinstance(item, Unusable)
    assert not item.is_quarantined
    assert item.reason.startswith(field)


def test_a_field_yet_to_come_is_a_notice():
    [item] = parse_body(body_of({"event": "NEWS"}, "future_field"))
    assert (item.field_name, item.code, item.is_error) == ("future_field", "NEWS", False)


def test_a_template_status_names_the_template():
    notice = one("field_template_status_update.json")
    assert (notice.account, notice.code) == (None, "PAUSED")
    assert notice.detail == "lembrete_consulta pt_BR NONE"


def test_another_object_is_none_of_ours():
    [item] = parse_body(b'{"object": "instagram", "entry": [{"messaging": []}]}')
    assert (item.reason, item.is_quarantined) == ("object instagram", False)


def test_an_entry_without_changes_gives_nothing_to_keep():
    [item] = parse_body(b'{"entry": [{"id": "1"}, {"id": "2", "changes": []}]}')
    assert not item.is_quarantined


def test_one_broken_part_leaves_the_others():
    good = json.loads(payload("message_text.json"))
    good["entry"][0:0] = [
        5,
        {"changes": 7},
        {"changes": [None, {"field": "messages", "value": []}]},
    ]
    good["entry"][3]["changes"][0]["value"]["messages"].insert(0, "?")
    items = parse_body(json.dumps(good).encode())
    assert [type(item) for item in items] == [Unusable] * 5 + [InboundMessage]
    assert all(item.is_quarantined for item in items[:5])


def test_a_batch_of_a_thousand_is_read_in_one_pass(monkeypatch):
    read = []
    original = identity.contact_addresses
    monkeypatch.setattr(
        identity, "contact_addresses", lambda contact: read.append(1) or original(contact)
    )
    people = range(1000)
    value = {
        "contacts": [{"wa_id": f"{5511990000000 + n}", "profile": {"name": n}} for n in people],
        "messages": [
            {"from": f"{5511990000000 + n}", "id": f"wamid.{n}", "type": "request_welcome"}
            for n in people
        ],
    }
    assert len(parse_body(body_of(value))) == len(people)
    assert len(read) <= 4 * len(people)


def test_a_contact_that_contradicts_the_message_is_somebody_else():
    value = {
        "contacts": [
            {"profile": {"name": "Outra"}, "wa_id": "5511990000001", "user_id": "BR.2"},
            {"profile": {"name": "Ana"}, "user_id": "BR.1"},
        ],
        "messages": [
            {"from": "5511990000001", "from_user_id": "BR.1", "id": "wamid.Um", "type": "text",
             "text": {"body": "Oi"}}
        ],
    }  # fmt: skip
    [item] = parse_body(body_of(value))
    assert item.sender.name == "Ana"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe{\x00}\x00", b"\xe9", b"null", b"5", b'"x"', b"[]", b"{}",
        b'{"entry": {}}', b'{"object": "whatsapp_business_account"}',
        b"[" * 10_000, b'{"a":' * 10_000, b"[" * 10_000 + b"]" * 10_000,
        b'{"entry": ' + b"[" * 100 + b"]" * 100 + b"}",
    ],
    ids=lambda body: repr(body[:20]),
)  # fmt: skip
def test_what_cannot_be_read_at_all_is_malformed(body):
    with pytest.raises(Malformed):
        parse_body(body)


def test_numbers_no_database_keeps_are_made_storable():
    body = message_body(text={"body": "Oi"}, referral={"a": "A", "b": "B", "c": "C"})
    for name, number in ((b'"A"', b"NaN"), (b'"B"', b"-1e999"), (b'"C"', b"9" * 5000)):
        body = body.replace(name, number)
    [item] = parse_body(body)
    assert item.payload["referral"] == {"a": None, "b": None, "c": "9" * 5000}


def test_of_a_key_given_twice_the_last_one_counts():
    body = message_body(text={"body": "Oi"}).replace(b'"body": "Oi"', b'"body": 1, "body": "Oi"')
    [item] = parse_body(body)
    assert item.text == "Oi"


def test_a_byte_order_mark_is_forgiven():
    assert parse_body(b"\xef\xbb\xbf" + payload("message_text.json")) == parse("message_text.json")
