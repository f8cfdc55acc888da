"""What each payload file must lead to: bytes posted to /webhook, then rows and calls looked at.

`expectations.json` says what; here each of its notes is an assertion. Every file is posted a second
time, which must change nothing. A file without an entry in EFFECTS fails.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.core import serializers
from django.core.management import call_command

from chatbot.delivery import deliver_pending
from chatbot.facts import departments
from chatbot.models import EarlyStatus, FailedEvent, FlowRun, Media, MessageLog
from chatbot.tests import recipes
from chatbot.tests.webhook import PAYLOADS, SECOND_NUMBER, post_file, whatsapp_channel
from leads.models import Identity, Lead
from sessions_app.models import Channel, Owner, Session
from tickets.models import Ticket

pytestmark = pytest.mark.django_db

FOLDER = PAYLOADS / "whatsapp_cloud"
FILES = sorted(path.name for path in FOLDER.glob("*.json"))
EXPECTED = {
    row["file"].removeprefix("whatsapp_cloud/"): row
    for row in json.loads((PAYLOADS / "expectations.json").read_text())
    if row["file"].startswith("whatsapp_cloud/")
}
NOW = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)  # a little after the newest file

JULIA, JULIA_ID = "5511990000001", "BR.10000000000000000001"
ANTONIO, ANTONIO_SHORT = "5585990000002", "558590000002"
CONCEICAO_ID = "BR.10000000000000000003"
JOAO, JOAO_ID = "5521990000004", "BR.10000000000000000004"
LUCIA, LUCIA_ID = "5531990000005", "BR.10000000000000000005"


@dataclass
class World:
    """What is there after the file was posted."""

    name: str
    calls: list[Any]
    before: dict[str, int]
    row: MessageLog | None = None  # the outbound row that a status file is about

    @property
    def inbound(self) -> MessageLog:
        """The one inbound row that the file itself led to."""
        return MessageLog.objects.inbound().get(provider_id=EXPECTED[self.name]["provider_id"])

    @property
    def lead(self) -> Lead:
        return self.inbound.session.lead

    @property
    def new_rows(self) -> int:
        return MessageLog.objects.inbound().count() - self.before["inbound"]


Check = Callable[[World], None]


@dataclass(frozen=True)
class Effect:
    """`first`: files posted before; `sent`: a message of ours that the file's status is about."""

    checks: tuple[Check, ...] = ()
    first: tuple[str, ...] = ()
    sent: dict[str, Any] | None = field(default=None)


# --- What may be true --------------------------------------------------------------------------


def is_stored(kind: str) -> Check:
    """One inbound row with the text, time and sender that the file says."""

    def check(world: World) -> None:
        said = EXPECTED[world.name]
        row = world.inbound
        assert world.new_rows == 1
        assert (row.kind, row.text) == (kind, said["text"] or "")
        assert row.provider_at == datetime.fromisoformat(said["timestamp"])
        assert FailedEvent.objects.count() == 0

    return check


def is_answered(world: World) -> None:
    """The bot took its turn: the first passo of the flow, in one message to one person."""
    assert world.inbound.session.current_state == "menu"
    assert [call.to for call in world.calls] == [_recipient(world.lead)]
    assert [row.status for row in MessageLog.objects.outbound()] == ["sent"]


def is_not_answered(world: World) -> None:
    assert world.calls == []
    assert FlowRun.objects.count() == world.before["runs"]


def gets_a_sentence(words: str) -> Check:
    """A fixed polite sentence, and no turn of the flow."""

    def check(world: World) -> None:
        assert [words in call.text for call in world.calls] == [True]
        assert FlowRun.objects.count() == 0

    return check


def is_a_turn(world: World) -> None:
    """It reached the flow, which was waiting at its menu, and was answered."""
    assert FlowRun.objects.count() == 1
    assert len(world.calls) >= 1


def knows(*addresses: str) -> Check:
    """The sender has exactly these identities, and is one lead."""

    def check(world: World) -> None:
        assert Lead.objects.count() == 1
        assert set(Identity.objects.values_list("address", flat=True)) == set(addresses)

    return check


def has_phone(phone: str) -> Check:
    def check(world: World) -> None:
        assert world.lead.phone == phone

    return check


def has_payload(**parts: Any) -> Check:
    def check(world: World) -> None:
        payload = world.inbound.payload
        for name, expected in parts.items():
            assert payload[name] == expected

    return check


def has_media(**parts: Any) -> Check:
    """The file is noted, to be fetched; its name is kept as it came and is not a path of ours."""

    def check(world: World) -> None:
        media = Media.objects.get(message=world.inbound)
        for name, expected in parts.items():
            assert getattr(media, name) == expected
        assert media.provider_id
        assert not media.file

    return check


def is_same_conversation(world: World) -> None:
    assert Session.objects.count() == 1
    assert Lead.objects.count() == 1


def leaves_nothing(world: World) -> None:
    """No row of any kind that was not there."""
    assert _counts() == world.before
    assert world.calls == []


def is_kept_for_the_admin(error: str) -> Check:
    """A FailedEvent, and nothing in any conversation."""

    def check(world: World) -> None:
        assert error in FailedEvent.objects.get().error
        assert _counts() == {**world.before, "events": 1}
        assert world.calls == []

    return check


def became(status: str, **times: str) -> Check:
    """The status of our message, and when."""

    def check(world: World) -> None:
        assert world.row is not None
        world.row.refresh_from_db()
        assert world.row.status == status
        for name, expected in times.items():
            assert getattr(world.row, f"{name}_at") == datetime.fromisoformat(expected)

    return check


def failed_with(code: str) -> Check:
    def check(world: World) -> None:
        assert world.row is not None
        world.row.refresh_from_db()
        assert (world.row.status, world.row.error_code) == ("failed", code)
        assert world.row.error_detail
        assert world.calls == []

    return check


def is_sent_again_later(code: str) -> Check:
    """Back in the outbox, not before the pause that the provider's throttle asks for."""

    def check(world: World) -> None:
        assert world.row is not None
        world.row.refresh_from_db()
        assert (world.row.status, world.row.error_code) == ("queued", code)
        assert world.row.run_at is not None
        assert world.row.run_at > NOW
        assert world.calls == []

    return check


def has_pricing(**parts: str) -> Check:
    def check(world: World) -> None:
        assert world.row is not None
        world.row.refresh_from_db()
        for name, expected in parts.items():
            assert world.row.pricing[name] == expected

    return check


# --- Particular ones ---------------------------------------------------------------------------


def keeps_the_whole_ad(world: World) -> None:
    ad = _message(world.name)["referral"]
    assert world.lead.referral == ad
    assert world.lead.source == "ad"
    assert world.inbound.payload["referral"] == ad


def keeps_every_character(world: World) -> None:
    body = _message(world.name)["text"]["body"]
    assert len(body) == 4096
    assert world.inbound.text == body


def is_no_reply(world: World) -> None:
    assert world.inbound.reply_to == ""


def quotes_ours(world: World) -> None:
    assert world.inbound.reply_to == _message(world.name)["context"]["id"]


def opens_no_bubble(world: World) -> None:
    """request_welcome: the window is open, nothing is said, nothing counts as a turn."""
    session = world.inbound.session
    assert session.window_expires_at == datetime(2026, 11, 21, 15, 25, 10, tzinfo=UTC)
    assert (session.unread, session.last_message_preview) == (0, "")


def shows_the_reaction(emoji: str) -> Check:
    def check(world: World) -> None:
        assert world.row is not None
        world.row.refresh_from_db()
        assert world.row.reaction == emoji

    return check


def edits_the_original(world: World) -> None:
    original = MessageLog.objects.inbound().exclude(pk=world.inbound.pk).get()
    assert original.text == "Corrigindo: dia 12, não dia 11"
    assert original.edited_at is not None
    assert original.payload["original_text"] == "Pode ser dia 11?"


def revokes_the_original(world: World) -> None:
    original = MessageLog.objects.inbound().exclude(pk=world.inbound.pk).get()
    assert original.revoked_at is not None


def stands_in_the_history(world: World) -> None:
    """A person answered from the phone: outbound, and the bot is silent from now on."""
    row = MessageLog.objects.outbound().get(provider_id=EXPECTED[world.name]["provider_id"])
    assert (row.author, row.status) == ("attendant", "sent")
    assert row.text == EXPECTED[world.name]["text"]
    assert row.session.owner == Owner.ATTENDANT
    assert Ticket.objects.get(session=row.session).assignee is None
    assert MessageLog.objects.inbound().count() == world.before["inbound"]


def stops_marketing(world: World) -> None:
    lead = Lead.objects.get()
    assert lead.opted_out_at == datetime(2026, 11, 20, 15, 15, 10, tzinfo=UTC)
    assert lead.consents.get().is_granted is False
    assert world.calls == []


def is_linked(*addresses: str) -> Check:
    """The lead we knew has the new addresses beside the old ones; the conversation says so, and
    nobody was greeted for it."""

    def check(world: World) -> None:
        assert Lead.objects.count() == 1
        assert set(addresses) <= set(Identity.objects.values_list("address", flat=True))
        assert world.calls == []
        row = MessageLog.objects.inbound().latest("pk")
        assert (world.new_rows, row.kind) == (1, "system")
        assert row.payload["new"]
        assert FlowRun.objects.count() == world.before["runs"]

    return check


def is_in_order_of_time(world: World) -> None:
    texts = list(MessageLog.objects.inbound().order_by("id").values_list("text", flat=True))
    assert [text.split()[0].rstrip("…,.:") for text in texts] == ["Primeira", "Segunda", "Terceira"]
    assert Session.objects.count() == 1
    assert list(Session.objects.get().flow_logs.order_by("seq").values_list("seq", flat=True)) == [
        1,
        2,
        3,
        4,
    ]


def is_one_message(world: World) -> None:
    assert MessageLog.objects.inbound().count() == 1
    assert len(world.calls) == 1


def goes_to_each_own_channel(world: World) -> None:
    found = {
        row.text: (row.channel.external_id, row.session.lead.name)
        for row in MessageLog.objects.inbound().select_related("channel", "session__lead")
    }
    assert len(found) == 3
    texts = {text.split()[-1]: value for text, value in found.items()}
    assert texts["Júlia"] == ("100000000000001", "Júlia Fictícia")
    assert texts["Antônio"] == ("100000000000001", "Antônio Exemplo")
    assert texts["número"] == (SECOND_NUMBER, "Conceição Teste 🌻")
    assert {call.path.split("/")[-2] for call in world.calls} == {"100000000000001", SECOND_NUMBER}


def stays_read(world: World) -> None:
    assert world.row is not None
    world.row.refresh_from_db()
    assert world.row.status == "read"
    assert world.row.sent_at is not None
    assert world.row.delivered_at is not None


def stores_both(world: World) -> None:
    rows = {row.text: row for row in MessageLog.objects.inbound()}
    assert rows["Carimbo em milissegundos"].provider_at == datetime(
        2026, 11, 20, 15, 23, 30, tzinfo=UTC
    )
    assert rows["Carimbo inválido"].provider_at == NOW
    assert len(rows) == 2


def keeps_the_raw(world: World) -> None:
    raw = world.inbound.payload["raw"]
    assert raw["entry"][0]["changes"][0]["value"]["messages"] == [_message(world.name)]


def is_never_a_phone(world: World) -> None:
    assert not Identity.objects.filter(scheme="phone").exists()
    assert world.lead.phone == ""


def links_the_own_phone(world: World) -> None:
    assert set(Identity.objects.values_list("scheme", "address")) == {
        ("bsuid", CONCEICAO_ID),
        ("phone", "5511990000003"),
    }
    assert Lead.objects.get().phone == "+5511990000003"


def is_ignored_group(world: World) -> None:
    assert FailedEvent.objects.get().state == "ignored"
    assert _counts() == {**world.before, "events": 1}
    assert world.calls == []


def keeps_the_file_name(world: World) -> None:
    name = _message(world.name)["document"]["filename"]
    has_media(filename=name)(world)


def keeps_the_place(world: World) -> None:
    place = _message(world.name)["location"]
    stored = world.inbound.payload["location"]
    assert {key: stored[key] for key in place if key in stored} == place


def keeps_the_cards(world: World) -> None:
    assert world.inbound.payload["contacts"] == _message(world.name)["contacts"]


def keeps_the_form(world: World) -> None:
    inner = _message(world.name)["interactive"]["nfm_reply"]["response_json"]
    assert world.inbound.payload["form"] == json.loads(inner)


def keeps_the_broken_form(world: World) -> None:
    inner = _message(world.name)["interactive"]["nfm_reply"]["response_json"]
    assert world.inbound.payload["form_raw"] == inner


def keeps_the_order(world: World) -> None:
    assert world.inbound.payload["order"] == _message(world.name)["order"]


def _sent(provider_id: str, **fields: Any) -> dict[str, Any]:
    return {"provider_id": provider_id, **fields}


def _status_of(name: str) -> dict[str, Any]:
    """Seeds the message of ours that a status file is about."""
    return _sent(EXPECTED[name]["provider_id"])


TEXT = (is_stored("text"), is_answered)
CHOICE = (is_stored("button_reply"), is_a_turn)
MEDIA = (is_a_turn,)
UNSUPPORTED = (is_stored("unsupported"), keeps_the_raw, gets_a_sentence("Ainda não consigo abrir"))

EFFECTS: dict[str, Effect] = {
    "message_text.json": Effect((*TEXT, knows(JULIA, JULIA_ID), has_phone("+5511990000001"))),
    "message_text_redelivered.json": Effect((leaves_nothing,), first=("message_text.json",)),
    "message_text_no_ninth_digit.json": Effect((*TEXT, knows(ANTONIO))),
    "message_text_with_ninth_digit.json": Effect(
        (is_stored("text"), is_same_conversation, knows(ANTONIO)),
        first=("message_text_no_ninth_digit.json",),
    ),
    "message_text_landline_sender.json": Effect(
        (*TEXT, knows("551130000009", "BR.10000000000000000009"), has_phone("+551130000009"))
    ),
    "message_text_bsuid_only_username.json": Effect((*TEXT, knows(CONCEICAO_ID), is_never_a_phone)),
    "message_text_bsuid_in_from.json": Effect(
        (is_stored("text"), is_same_conversation, knows(CONCEICAO_ID), is_never_a_phone),
        first=("message_text_bsuid_only_username.json",),
    ),
    "message_text_bsuid_empty_wa_id.json": Effect(
        (is_stored("text"), is_same_conversation, knows(CONCEICAO_ID), is_never_a_phone),
        first=("message_text_bsuid_only_username.json",),
    ),
    "message_text_reply_context.json": Effect((*TEXT, quotes_ours)),
    "message_text_forwarded.json": Effect((*TEXT, is_no_reply)),
    "message_text_frequently_forwarded.json": Effect((*TEXT, is_no_reply)),
    "message_text_referral_ctwa.json": Effect((*TEXT, keeps_the_whole_ad)),
    "message_text_referred_product.json": Effect((*TEXT, knows(LUCIA, LUCIA_ID))),
    "message_text_unicode_escaped.json": Effect(TEXT),
    "message_text_4096_chars.json": Effect((keeps_every_character, is_answered)),
    "message_image_caption.json": Effect((is_stored("image"), has_media(mime_type="image/jpeg"))),
    "message_image_no_caption.json": Effect((is_stored("image"), has_media(url=""))),
    "message_audio_file.json": Effect((is_stored("audio"), has_media(), *MEDIA)),
    "message_audio_voice.json": Effect((is_stored("voice"), has_media(), *MEDIA)),
    "message_voice_legacy.json": Effect((is_stored("voice"), has_media(), *MEDIA)),
    "message_video_caption.json": Effect((is_stored("video"), has_media(), *MEDIA)),
    "message_document_accented_filename.json": Effect((is_stored("document"), keeps_the_file_name)),
    "message_sticker_animated.json": Effect((is_stored("sticker"), has_media(), *MEDIA)),
    "message_location_pin.json": Effect((is_stored("location"), is_a_turn, keeps_the_place)),
    "message_location_place.json": Effect((is_stored("location"), is_a_turn, keeps_the_place)),
    "message_contacts.json": Effect(
        (is_stored("contacts"), is_a_turn, knows(ANTONIO), keeps_the_cards)
    ),
    "message_contacts_request_contact_info.json": Effect(
        (is_stored("contacts"), links_the_own_phone)
    ),
    "message_button_template_quick_reply.json": Effect(
        (*CHOICE, has_payload(choice_id="CONFIRMA_0001"))
    ),
    "message_button_without_context.json": Effect((*CHOICE, is_no_reply)),
    "message_interactive_button_reply.json": Effect(CHOICE),
    "message_interactive_list_reply.json": Effect((is_stored("list_reply"), is_a_turn)),
    "message_interactive_nfm_reply.json": Effect(
        (is_stored("flow_reply"), is_a_turn, keeps_the_form)
    ),
    "message_interactive_nfm_reply_invalid_json.json": Effect(
        (is_stored("flow_reply"), is_a_turn, keeps_the_broken_form)
    ),
    "message_interactive_without_body.json": Effect(UNSUPPORTED),
    "message_interactive_unknown_subtype.json": Effect(UNSUPPORTED),
    "message_unsupported.json": Effect(UNSUPPORTED),
    "message_unknown_future_type.json": Effect(UNSUPPORTED),
    "message_media_error_131052.json": Effect(
        (is_stored("unsupported"), gets_a_sentence("passou do tamanho"))
    ),
    "message_reaction.json": Effect(
        (is_stored("reaction"), is_not_answered, shows_the_reaction("❤️")),
        sent=_sent("", reaction=""),
    ),
    "message_reaction_removed.json": Effect(
        (is_stored("reaction_removed"), is_not_answered, shows_the_reaction("")),
        sent=_sent("", reaction="❤️"),
    ),
    "message_order.json": Effect((is_stored("order"), is_a_turn, keeps_the_order)),
    "system_user_changed_number.json": Effect(
        (is_linked(JULIA, JULIA_ID, "5511990000011", "BR.10000000000000000011"),),
        first=("message_text.json",),
    ),
    "system_user_changed_user_id.json": Effect(
        (is_linked(CONCEICAO_ID, "BR.10000000000000000033"),),
        first=("message_text_bsuid_only_username.json",),
    ),
    "field_user_id_update.json": Effect(
        (is_linked(JOAO_ID),), first=("message_text_forwarded.json",)
    ),
    "message_edit.json": Effect((is_stored("edit"), is_not_answered, edits_the_original)),
    "message_revoke.json": Effect((is_stored("revoke"), is_not_answered, revokes_the_original)),
    "message_group_text.json": Effect((is_ignored_group,)),
    "message_request_welcome.json": Effect((is_stored("system"), is_not_answered, opens_no_bubble)),
    "status_sent.json": Effect(
        (became("sent", sent="2026-11-20T15:12:25Z"),), sent=_status_of("status_sent.json")
    ),
    "status_delivered.json": Effect(
        (
            became("delivered", delivered="2026-11-20T15:12:26Z"),
            has_pricing(type="regular", category="service"),
        ),
        sent=_status_of("status_delivered.json"),
    ),
    "status_read_without_delivered.json": Effect(
        (became("read", read="2026-11-20T15:12:27Z", delivered="2026-11-20T15:12:27Z"),),
        sent=_status_of("status_read_without_delivered.json"),
    ),
    "status_played.json": Effect(
        (became("played", played="2026-11-20T15:12:28Z"),), sent=_status_of("status_played.json")
    ),
    "status_failed_131047.json": Effect(
        (failed_with("131047"),), sent=_status_of("status_failed_131047.json")
    ),
    "status_failed_131026.json": Effect(
        (failed_with("131026"),), sent=_status_of("status_failed_131026.json")
    ),
    "status_failed_130429.json": Effect(
        (is_sent_again_later("130429"),), sent=_status_of("status_failed_130429.json")
    ),
    "status_failed_131053_media.json": Effect(
        (failed_with("131053"),), sent=_status_of("status_failed_131053_media.json")
    ),
    "status_delivered_bsuid_only.json": Effect(
        (became("delivered", delivered="2026-11-20T15:12:33Z"),),
        sent=_status_of("status_delivered_bsuid_only.json"),
    ),
    "status_unknown_value.json": Effect(
        (became("sent"), leaves_nothing), sent=_status_of("status_unknown_value.json")
    ),
    "value_errors_account_level.json": Effect((is_kept_for_the_admin("130429"),)),
    "field_template_status_update.json": Effect((leaves_nothing,)),
    "field_user_preferences_stop.json": Effect(
        (stops_marketing,), first=("message_text_forwarded.json",)
    ),
    "field_smb_message_echoes.json": Effect((stands_in_the_history,), first=("message_text.json",)),
    "batch_out_of_order.json": Effect((is_in_order_of_time,)),
    "batch_duplicate_inside.json": Effect((is_one_message,)),
    "batch_mixed.json": Effect((goes_to_each_own_channel,)),
    "batch_statuses_out_of_order.json": Effect(
        (stays_read,), sent=_status_of("batch_statuses_out_of_order.json")
    ),
    "malformed_no_sender.json": Effect((is_kept_for_the_admin("sender"),)),
    "malformed_timestamp.json": Effect((stores_both,)),
    "malformed_empty_entry.json": Effect((leaves_nothing,)),
}


# --- The tests ---------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _site(db):
    departments.forget()
    call_command("load_flows", verbosity=0, stdout=StringIO())
    channel = whatsapp_channel()
    whatsapp_channel(slug="segundo", external_id=SECOND_NUMBER, is_default=False)
    assert Channel.objects.get(is_default=True) == channel


def test_every_file_has_an_effect_and_every_effect_a_file():
    assert sorted(EFFECTS) == FILES
    assert sorted(EXPECTED) == FILES


@pytest.mark.parametrize("name", FILES)
def test_a_posted_file_leads_to_what_is_expected_and_once(name, client, graph_api):
    effect = EFFECTS[name]
    with time_machine.travel(NOW, tick=False):
        for earlier in effect.first:
            assert post_file(client, earlier).status_code == 200
        deliver_pending()
        _seed_original(name)
        row = _seed_sent(name, effect)
        graph_api.reset()
        before = _counts()
        assert post_file(client, name).status_code == 200
        deliver_pending()
        world = World(name, list(graph_api.messages), before, row)
        assert effect.checks
        for check in effect.checks:
            check(world)
        everything, calls = _everything(), len(graph_api.messages)
        assert post_file(client, name).status_code == 200
        deliver_pending()
        assert _everything() == everything
        assert len(graph_api.messages) == calls


def _seed_sent(name: str, effect: Effect) -> MessageLog | None:
    """The message of ours that the file is about."""
    if effect.sent is None:
        return None
    target = effect.sent["provider_id"] or _message(name)["reaction"]["message_id"]
    session = recipes.session(channel=Channel.objects.get(is_default=True))
    return recipes.outbound(
        session,
        status="sent",
        attempts=1,
        **{**effect.sent, "provider_id": target},
    )


def _seed_original(name: str) -> None:
    """The customer's message that an edit or a revoke is about."""
    if name not in {"message_edit.json", "message_revoke.json"}:
        return
    message = _message(name)
    target = message[message["type"]]["original_message_id"]
    channel = Channel.objects.get(is_default=True)
    person = recipes.lead()
    Identity.objects.create(lead=person, scheme="phone", address=JOAO, send_to=JOAO)
    session = recipes.session(channel=channel, lead=person)
    recipes.inbound(session, "Pode ser dia 11?", provider_id=target)


def _message(name: str) -> dict[str, Any]:
    body = json.loads((FOLDER / name).read_bytes())
    return body["entry"][0]["changes"][0]["value"]["messages"][0]


def _recipient(lead: Lead) -> str:
    """Where an answer goes: the phone in the form last received, else the user id."""
    by_scheme = {one.scheme: one.send_to for one in lead.identities.all()}
    return f"+{by_scheme['phone']}" if "phone" in by_scheme else by_scheme["bsuid"]


def _counts() -> dict[str, int]:
    return {
        "leads": Lead.objects.count(),
        "identities": Identity.objects.count(),
        "sessions": Session.objects.count(),
        "inbound": MessageLog.objects.inbound().count(),
        "outbound": MessageLog.objects.outbound().count(),
        "events": FailedEvent.objects.count(),
        "runs": FlowRun.objects.count(),
        "tickets": Ticket.objects.count(),
    }


def _everything() -> str:
    """Every row that a message may touch, as text. Not what waits for an unknown message: the
    second copy of a status whose message goes out once more is about no message any more."""
    names = ("leads", "sessions_app", "tickets", "chatbot")
    models = [model for app in names for model in apps.get_app_config(app).get_models()]
    kept = [model for model in models if model not in (Channel, EarlyStatus)]
    return serializers.serialize(
        "json", [row for one in kept for row in one.objects.order_by("pk")]
    )
