import pytest
from django.urls import reverse
from model_bakery import baker
from zeal import zeal_ignore

from leads.tests.recipes import davi
from sessions_app.models import Channel, ChannelKind, EndReason, Owner, Session
from sessions_app.services import end_session
from sessions_app.tests import recipes
from users.tests.recipes import ana, bia, caio

pytestmark = pytest.mark.django_db

SESSIONS = "admin:sessions_app_session_changelist"
SESSION = "admin:sessions_app_session_change"
CHANNELS = "admin:sessions_app_channel_changelist"
CHANNEL = "admin:sessions_app_channel_change"
SECRETS = {
    "app_secret": "segredo-da-app-0001",
    "previous_app_secret": "segredo-anterior-0000",
    "verify_token": "vt-curto-3",
    "access_token": "EAAG-um-token-longo-0002",
}


def shown(response):
    return list(response.context["cl"].result_list)


def posted(client, url, **changes):
    """Post the form as the page would send it, with these changes."""
    form = client.get(url).context["adminform"].form
    values = {name: form.get_initial_for_field(form.fields[name], name) for name in form.fields}
    values = {"settings": "{}", **values, **changes}
    values = {name: value for name, value in values.items() if value not in (None, False)}
    return client.post(url, {**values, "settings": "{}"})


# --- Channels ----------------------------------------------------------------------------------


@pytest.fixture
def channel():
    return recipes.channel(credentials=SECRETS)


def test_the_form_of_a_channel_holds_no_secret(client, channel):
    client.force_login(ana())
    page = client.get(reverse(CHANNEL, args=[channel.pk])).content.decode()
    assert not any(secret in page for secret in SECRETS.values())
    assert "••••0002" in page


def test_empty_credentials_are_kept_and_others_replaced(client, channel):
    client.force_login(ana())
    url = reverse(CHANNEL, args=[channel.pk])
    response = posted(client, url, name="Matriz", access_token="novo-token")
    assert response.status_code == 302, response.context["adminform"].form.errors
    channel = Channel.objects.get()
    assert channel.name == "Matriz"
    assert channel.credentials == {**SECRETS, "access_token": "novo-token"}


def test_a_lost_key_is_shown_and_loses_nothing_more(client, channel, settings):
    known = settings.FIELD_ENCRYPTION_KEY
    settings.FIELD_ENCRYPTION_KEY = ["A" * 43 + "="]
    client.force_login(ana())
    url = reverse(CHANNEL, args=[channel.pk])
    page = client.get(url)
    assert "FIELD_ENCRYPTION_KEY" in page.content.decode()
    assert posted(client, url, name="Matriz").status_code == 302
    settings.FIELD_ENCRYPTION_KEY = known
    assert Channel.objects.get().credentials == SECRETS


def test_an_admin_makes_a_channel(client):
    client.force_login(ana())
    response = posted(
        client,
        reverse("admin:sessions_app_channel_add"),
        name="Filial",
        kind="whatsapp_cloud",
        slug="filial",
        app_secret="x" * 20,
    )
    assert response.status_code == 302, response.context["adminform"].form.errors
    assert Channel.objects.get(slug="filial").credentials == {"app_secret": "x" * 20}


def test_a_refused_form_gives_no_secret_back(client, channel):
    client.force_login(ana())
    url = reverse(CHANNEL, args=[channel.pk])
    page = posted(client, url, name="", app_secret="digitado-agora-0009")
    assert "name" in page.context["adminform"].form.errors
    assert "digitado-agora-0009" not in page.content.decode()
    assert Channel.objects.get().credentials == SECRETS


def test_the_previous_secret_is_forgotten_and_the_others_stay(client, channel):
    client.force_login(ana())
    chosen = {"action": "forget_previous_secret", "_selected_action": [channel.pk]}
    client.post(reverse(CHANNELS), chosen)
    kept = {name: text for name, text in SECRETS.items() if name != "previous_app_secret"}
    assert Channel.objects.get().credentials == kept


def test_one_channel_is_made_the_default(client, channel):
    other = recipes.channel("filial", is_default=True)
    client.force_login(ana())
    both = {"action": "make_default", "_selected_action": [channel.pk, other.pk]}
    client.post(reverse(CHANNELS), both)
    assert Channel.objects.get(is_default=True) == other
    client.post(reverse(CHANNELS), {**both, "_selected_action": [channel.pk]})
    assert Channel.objects.get(is_default=True) == channel


def test_attendants_do_not_reach_channels(client, channel):
    client.force_login(bia())
    assert client.get(reverse(CHANNELS)).status_code == 403
    assert client.get(reverse(CHANNEL, args=[channel.pk])).status_code == 403


# --- Sessions ----------------------------------------------------------------------------------


def test_attendants_see_the_conversations_of_the_leads_they_keep(client):
    mine = recipes.session(davi(attendant=bia()))
    other = recipes.session(davi(attendant=caio()))
    client.force_login(bia())
    assert shown(client.get(reverse(SESSIONS))) == [mine]
    assert client.get(reverse(SESSION, args=[mine.pk])).status_code == 200
    assert client.get(reverse(SESSION, args=[other.pk])).status_code == 302


def test_the_simulator_has_a_list_of_its_own(client):
    simulator = recipes.channel("simulador", kind=ChannelKind.SIMULATOR)
    real, simulated = recipes.session(), recipes.session(davi(), channel=simulator)
    client.force_login(ana())
    assert shown(client.get(reverse(SESSIONS))) == [real]
    assert shown(client.get(reverse(SESSIONS), {"state": "simulated"})) == [simulated]
    assert shown(client.get(reverse(SESSIONS), {"state": "all", "q": "Davi"})) == [real]


def test_ended_conversations_are_listed_when_asked_for(client):
    ended = end_session(recipes.session(), reason=EndReason.IDLE, at=recipes.MONDAY)
    live = recipes.session(davi())
    client.force_login(ana())
    assert shown(client.get(reverse(SESSIONS))) == [live]
    assert shown(client.get(reverse(SESSIONS), {"state": "ended"})) == [ended]
    assert shown(client.get(reverse(SESSIONS), {"state": "all"})) == [live, ended]


def test_nothing_of_a_conversation_is_edited(client):
    session = recipes.session()
    client.force_login(ana())
    url = reverse(SESSION, args=[session.pk])
    assert client.post(url, {"owner": "queue"}).status_code == 403
    assert (
        client.post(reverse("admin:sessions_app_session_delete", args=[session.pk])).status_code
        == 403
    )


def test_conversations_with_the_bot_are_ended_and_others_explained(client):
    with_bot, with_people = recipes.session(), recipes.session(davi(), owner=Owner.QUEUE)
    client.force_login(ana())
    chosen = {"action": "close", "_selected_action": [with_bot.pk, with_people.pk]}
    with zeal_ignore():  # each is locked by itself
        page = client.post(reverse(SESSIONS), chosen, follow=True)
    assert [str(message.level_tag) for message in page.context["messages"]] == ["error", "success"]
    assert [session.is_live for session in Session.objects.order_by("pk")] == [False, True]


def test_attendants_are_not_offered_to_end(client):
    recipes.session(davi(attendant=bia()))
    client.force_login(bia())
    assert 'value="close"' not in client.get(reverse(SESSIONS)).content.decode()


def test_a_longer_list_needs_no_more_statements(client, django_assert_max_num_queries):
    client.force_login(ana())
    for number in range(10):
        recipes.session(davi(), channel=recipes.channel(f"c{number}"))
    with django_assert_max_num_queries(12) as few:
        assert len(shown(client.get(reverse(SESSIONS)))) == 10
    for _ in range(10):
        recipes.session(davi())
    with django_assert_max_num_queries(len(few)):
        assert len(shown(client.get(reverse(SESSIONS)))) == 20


def test_the_list_says_who_has_a_conversation_and_where_it_stands(client):
    session = recipes.session(
        current_state="cpf", flow_state={"title": "Informar CPF"}, owner=Owner.ATTENDANT
    )
    baker.make(
        "tickets.Ticket", session=session, lead=session.lead, assignee=bia(), protocol="1-0001"
    )
    client.force_login(ana())
    page = client.get(reverse(SESSIONS)).content.decode()
    assert str(bia()) in page
    assert "Informar CPF" in page


@pytest.mark.parametrize(("asked", "found"), [("waiting", [True, True]), ("warned", [True])])
def test_conversations_whose_customer_is_silent_are_found(client, asked, found):
    recipes.session()
    recipes.session(davi(), idle_due_at=recipes.MONDAY)
    recipes.session(davi(), idle_due_at=recipes.MONDAY, idle_warned_at=recipes.MONDAY)
    client.force_login(ana())
    rows = shown(client.get(reverse(SESSIONS), {"silence": asked}))
    assert [row.idle_due_at is not None for row in rows] == found


@pytest.mark.parametrize("given", ["0", "x", "9" * 30, "1%27"])
def test_a_conversation_that_there_is_not_is_told_so(client, given):
    client.force_login(ana())
    answer = client.get(f"/admin/sessions_app/session/{given}/change/")
    assert answer.status_code in {302, 404}


def test_earlier_conversations_of_a_lead_are_one_link_away(client):
    lead = davi()
    mine, other = recipes.session(lead), recipes.session(davi())
    client.force_login(ana())
    found = shown(client.get(reverse(SESSIONS), {"state": "all", "lead__id__exact": lead.pk}))
    assert (found, other in found) == ([mine], False)
