import pytest

from leads.tests.recipes import davi
from sessions_app.models import Channel, ChannelKind, EndReason, Owner, Session
from sessions_app.services import end_session
from sessions_app.tests import recipes
from sessions_app.tests.recipes import MONDAY
from users.tests.recipes import ana, api, bia, caio

pytestmark = pytest.mark.django_db

SESSIONS, CHANNELS = "/api/v1/sessions", "/api/v1/channels"
SECRETS = {"app_secret": "segredo-da-app-0001", "access_token": "EAAG-token-0002"}


def ids_in(response):
    return [row["id"] for row in response.json()["results"]]


# --- Channels ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("person", "sees_settings"), [(ana, True), (bia, False)])
def test_nobody_reads_credentials_and_only_admins_settings(person, sees_settings):
    channel = recipes.channel(credentials=SECRETS, settings={"a": 1})
    for url in (CHANNELS, f"{CHANNELS}/{channel.pk}"):
        response = api(person()).get(url)
        assert response.status_code == 200
        text = response.content.decode()
        assert not any(secret in text for secret in SECRETS.values())
        assert ('"settings"' in text) == ('"credentials_set"' in text) == sees_settings


def test_an_admin_makes_a_channel_with_credentials():
    given = {"slug": "nova", "kind": "whatsapp_cloud", "name": "Nova", "credentials": SECRETS}
    response = api(ana()).post(CHANNELS, given)
    assert (response.status_code, "credentials" in response.json()) == (201, False)
    assert Channel.objects.get(slug="nova").credentials == SECRETS


def test_credentials_that_are_left_out_or_empty_stay():
    channel = recipes.channel(credentials=SECRETS)
    given = {"credentials": {"app_secret": "", "access_token": "novo"}, "name": "Outra"}
    assert api(ana()).patch(f"{CHANNELS}/{channel.pk}", given).status_code == 200
    channel.refresh_from_db()
    assert channel.credentials == {**SECRETS, "access_token": "novo"}
    assert channel.name == "Outra"


@pytest.mark.parametrize("changed", [{"slug": "outro"}, {"kind": "simulator"}])
def test_slug_and_kind_of_a_channel_stay(changed):
    channel = recipes.channel()
    response = api(ana()).patch(f"{CHANNELS}/{channel.pk}", changed)
    assert (response.status_code, list(response.json()["fields"])) == (400, list(changed))


def test_one_channel_answers_at_the_webhook_and_no_other():
    before, after = recipes.channel(is_default=True), recipes.channel("filial")
    assert api(bia()).post(f"{CHANNELS}/{after.pk}/make-default").status_code == 403
    response = api(ana()).post(f"{CHANNELS}/{after.pk}/make-default")
    assert (response.status_code, response.json()["is_default"]) == (200, True)
    before.refresh_from_db()
    assert not before.is_default


def test_being_the_default_is_not_a_field_to_set():
    channel = recipes.channel(is_default=True)
    api(ana()).patch(f"{CHANNELS}/{channel.pk}", {"is_default": False})
    channel.refresh_from_db()
    assert channel.is_default


def test_a_secret_is_replaced_while_the_previous_one_is_still_valid():
    channel = recipes.channel(credentials=SECRETS)
    given = {"app_secret": "novo-segredo", "previous_app_secret": SECRETS["app_secret"]}
    response = api(ana()).patch(f"{CHANNELS}/{channel.pk}", {"credentials": given})
    assert response.json()["credentials_set"] == [*given, "access_token"]
    channel.refresh_from_db()
    assert channel.credentials == {**SECRETS, **given}


@pytest.mark.parametrize("taken", [{"slug": "loja"}, {"external_id": "1055501"}], ids=str)
def test_two_channels_share_neither_address_nor_number(taken):
    recipes.channel(external_id="1055501")
    given = {"slug": "b", "kind": "whatsapp_cloud", "name": "B", **taken}
    response = api(ana()).post(CHANNELS, given)
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_attendants_change_no_channel():
    channel, theirs = recipes.channel(), api(bia())
    assert theirs.patch(f"{CHANNELS}/{channel.pk}", {"name": "X"}).status_code == 403
    given = {"slug": "b", "kind": "simulator", "name": "B"}
    assert theirs.post(CHANNELS, given).status_code == 403
    assert api(ana()).delete(f"{CHANNELS}/{channel.pk}").status_code == 405


# --- Sessions ----------------------------------------------------------------------------------


def test_attendants_see_the_conversations_of_the_leads_they_keep():
    mine = recipes.session(davi(attendant=bia()))
    other = recipes.session(davi(attendant=caio()))
    theirs = api(bia())
    assert ids_in(theirs.get(SESSIONS)) == [mine.pk]
    assert theirs.get(f"{SESSIONS}/{mine.pk}").status_code == 200
    assert theirs.get(f"{SESSIONS}/{other.pk}").status_code == 404
    assert theirs.post(f"{SESSIONS}/{mine.pk}/end").status_code == 403


def test_variables_are_read_one_conversation_at_a_time():
    session = recipes.session(context={"cpf": "123"})
    theirs = api(ana())
    assert "context" not in theirs.get(SESSIONS).json()["results"][0]
    assert theirs.get(f"{SESSIONS}/{session.pk}").json()["context"] == {"cpf": "123"}


def test_the_simulator_is_shown_only_when_asked_for():
    real = recipes.session()
    simulator = recipes.channel("simulador", kind=ChannelKind.SIMULATOR)
    simulated = recipes.session(davi(), channel=simulator)
    theirs = api(ana())
    assert ids_in(theirs.get(SESSIONS)) == [real.pk]
    assert ids_in(theirs.get(SESSIONS, {"simulated": "true"})) == [simulated.pk]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"live": "true"}, "live"),
        ({"live": "false"}, "ended"),
        ({"owner": "queue"}, "live"),
        ({"end_reason": "idle"}, "ended"),
        ({"channel": "loja", "search": "Eva"}, "live"),
    ],
)
def test_conversations_are_filtered(asked, found):
    ended = end_session(recipes.session(), reason=EndReason.IDLE, at=MONDAY)
    live = recipes.session(davi(name="Eva"), owner=Owner.QUEUE)
    assert ids_in(api(ana()).get(SESSIONS, asked)) == [{"live": live, "ended": ended}[found].pk]


def test_an_admin_ends_a_conversation_with_the_bot():
    session = recipes.session()
    response = api(ana()).post(f"{SESSIONS}/{session.pk}/end")
    assert (response.status_code, response.json()["end_reason"]) == (200, "closed")


def test_a_conversation_with_people_is_not_ended_past_its_ticket():
    session = recipes.session(owner=Owner.ATTENDANT)
    response = api(ana()).post(f"{SESSIONS}/{session.pk}/end")
    assert (response.status_code, response.json()["code"]) == (409, "session_with_people")
    assert Session.objects.get().is_live


@pytest.mark.parametrize("url", [SESSIONS, CHANNELS])
def test_a_longer_list_needs_no_more_statements(url, django_assert_max_num_queries):
    theirs = api(ana())
    for number in range(3):
        recipes.session(davi(), channel=recipes.channel(f"c{number}"))
    theirs.get(url)  # notes the token's use
    with django_assert_max_num_queries(4):
        assert len(ids_in(theirs.get(url))) == 3
