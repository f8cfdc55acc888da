import pytest
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from users import clients, logins, services
from users.activity import ACTIVE_AT
from users.models import Login, LoginEvent, LoginEventKind, User
from users.tests.doors import PASSWORD, give_password, with_password
from users.tests.recipes import ana, bia, caio, root

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def is_in(client):
    return client.get("/admin/").status_code == 200


def last(kind):
    return LoginEvent.objects.filter(kind=kind).first()


# --- Browsers ----------------------------------------------------------------------------------


def test_a_login_is_a_row_with_address_and_browser(client):
    person = with_password(bia())
    client.defaults["HTTP_USER_AGENT"] = FIREFOX
    client.defaults["REMOTE_ADDR"] = "203.0.113.9"
    give_password(client, person)

    row = Login.objects.get()
    assert (row.user, row.ip_address) == (person, "203.0.113.9")
    assert row.session_key == client.session.session_key
    page = client.get(reverse("own_logins")).content.decode()
    assert "Firefox · Linux" in page
    assert "203.0.113.9" in page


def test_an_address_that_a_client_makes_up_is_not_believed(client):
    give_password(client, with_password(bia()))
    client.post("/admin/login/", {}, headers={"X-Forwarded-For": "198.51.100.7"})
    assert set(Login.objects.values_list("ip_address", flat=True)) == {"127.0.0.1"}


def test_one_of_ones_own_browsers_can_be_signed_out(client):
    person, other = bia(), Client()
    client.force_login(person)
    other.force_login(person)
    row = Login.objects.get(session_key=other.session.session_key)

    client.post(reverse("own_login_end", args=[row.pk]))

    assert not is_in(other)
    assert is_in(client)
    assert last(LoginEventKind.ENDED_ELSEWHERE).user == person


def test_all_others_can_be_signed_out_at_once(client):
    person, others = bia(), [Client(), Client()]
    client.force_login(person)
    for other in others:
        other.force_login(person)
    client.post(reverse("own_logins_end_others"))
    assert [is_in(one) for one in (client, *others)] == [True, False, False]
    assert Login.objects.count() == 1


def test_this_browser_is_left_by_logging_out(client):
    client.force_login(bia())
    row = Login.objects.get()
    client.post(reverse("own_login_end", args=[row.pk]))
    assert is_in(client)
    client.post(reverse("admin:logout"))
    assert not Login.objects.exists()
    assert last(LoginEventKind.ENDED).username == "bia"


def test_somebody_elses_browser_is_out_of_reach(client):
    other = Client()
    other.force_login(caio())
    client.force_login(bia())
    row = Login.objects.get(user=caio())
    assert client.post(reverse("own_login_end", args=[row.pk])).status_code == 404
    assert is_in(other)


@pytest.mark.parametrize(
    ("actor", "person", "may"),
    [
        pytest.param(ana, bia, True, id="admin, attendant"),
        pytest.param(ana, root, False, id="admin, superuser"),
        pytest.param(bia, caio, False, id="attendant, colleague"),
    ],
)
def test_who_may_sign_somebody_out_everywhere(client, actor, person, may):
    other = Client()
    other.force_login(person())
    client.force_login(actor())
    client.post(reverse("person_sign_out", args=[person().pk]))
    assert is_in(other) is not may


def test_deactivating_ends_every_login():
    person, browser = bia(), Client()
    browser.force_login(person)
    services.deactivate_user(person, actor=ana(), at=timezone.now())
    assert not is_in(browser)
    assert not Login.objects.exists()
    assert not Session.objects.exists()


def test_use_is_noted_and_a_login_from_before_gets_its_row(client):
    client.force_login(bia())
    Login.objects.all().delete()
    session = client.session
    session[ACTIVE_AT] -= 120
    session.save()
    client.get(reverse("profile"))
    assert Login.objects.get().session_key == client.session.session_key


def test_logins_that_nobody_can_use_any_more_go(client):
    person = bia()
    old = timezone.now() - timezone.timedelta(days=2)
    Login.objects.create(user=person, session_key="gone", started_at=old, seen_at=old)
    client.force_login(person)
    assert not Login.objects.filter(session_key="gone").exists()
    assert not logins.live_of(person, timezone.now() + timezone.timedelta(days=2)).exists()


def test_logging_in_as_somebody_else_leaves_no_row_behind_of_the_key(client):
    client.force_login(bia())
    client.force_login(caio())
    assert is_in(client)
    assert Login.objects.get(session_key=client.session.session_key).user == caio()


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox · Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/131.0 Safari/537 Edg/131.0", "Edge · Windows"),
        ("Mozilla/5.0 (Linux; Android 14) Chrome/131 Safari/537", "Chrome · Android"),
        ("Mozilla/5.0 (iPhone; like Mac OS X) Version/18 Safari/604.1", "Safari · iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10) Chrome/131 Safari/537", "Chrome · macOS"),
        ("curl/8.5.0", "curl/8.5.0"),
    ],
)
def test_browsers_in_words(agent, words):
    assert clients.browser_in_words(agent) == words


# --- The history -------------------------------------------------------------------------------


def test_failed_logins_are_kept_without_the_password(client):
    give_password(client, with_password(bia()), password="errada")
    event = last(LoginEventKind.FAILED)
    assert (event.user, event.username) == (bia(), "bia")
    assert "errada" not in str(list(LoginEvent.objects.values()))


@pytest.mark.parametrize("name", ["x" * 400, "ninguem", "x\0y", "<b>"])
def test_any_name_may_be_tried_and_is_refused_alike(client, name):
    answer = give_password(client, User(username=name), password="errada")
    assert answer.status_code == 200
    assert answer.context["form"].errors
    assert all(len(one.username) <= 150 for one in LoginEvent.objects.all())


def test_guessing_locks_out_and_an_admin_lets_in(client):
    person = with_password(bia())
    for _try in range(5):
        answer = give_password(client, person, password="errada")
    assert answer.status_code == 429
    assert give_password(client, person).status_code == 429
    assert last(LoginEventKind.LOCKED).username == "bia"

    desk = Client()
    desk.force_login(ana())
    page = desk.get(reverse("admin:users_loginevent_changelist")).content.decode()
    assert 'name="username" value="bia"' in page
    desk.post(reverse("let_in"), {"username": "bia", "address": "127.0.0.1"})
    assert not AccessAttempt.objects.exists()
    give_password(client, person)
    assert is_in(client)


def test_an_attendant_lets_nobody_in(client):
    client.force_login(bia())
    url = reverse("let_in")
    assert client.post(url, {"username": "x", "address": "127.0.0.1"}).status_code == 403


def test_admins_read_all_the_history_others_their_own(client):
    for person in (ana(), bia()):
        client.force_login(person)
    assert client.get(reverse("admin:users_loginevent_changelist")).status_code == 403
    own = client.get(reverse("own_logins")).context["events"]
    assert {row["event"].username for row in own} == {"bia"}
    client.force_login(ana())
    shown = client.get(reverse("admin:users_loginevent_changelist"), {"q": "bia"})
    assert {row.username for row in shown.context["cl"].result_list} == {"bia"}
    (row, *_rest) = shown.context["cl"].result_list
    change = reverse("admin:users_loginevent_change", args=[row.pk])
    assert client.post(change, {"username": "x"}).status_code == 403


def test_the_history_costs_the_same_for_many(client, django_assert_max_num_queries):
    client.force_login(ana())
    LoginEvent.objects.bulk_create(
        LoginEvent(kind="failed", username=str(number), at=timezone.now()) for number in range(60)
    )
    with django_assert_max_num_queries(14):
        client.get(reverse("admin:users_loginevent_changelist"))
    with django_assert_max_num_queries(10):
        client.get(reverse("own_logins"))


# --- Sessions and cookies ----------------------------------------------------------------------


def test_a_session_that_somebody_planted_is_not_the_one_that_is_logged_in(client):
    client.get("/admin/login/")
    session = client.session
    session["planted"] = True
    session.save()
    client.cookies["sessionid"] = session.session_key
    give_password(client, with_password(bia()))
    assert client.cookies["sessionid"].value != session.session_key
    assert not Session.objects.filter(session_key=session.session_key).exists()


def test_cookies_of_an_https_site_travel_by_https_alone(client, settings):
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    give_password(client, with_password(bia()))
    cookie = client.cookies["sessionid"]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_a_host_that_is_not_ours_is_refused(client, settings):
    settings.ALLOWED_HOSTS = ["atende.example"]
    assert client.get("/admin/login/", headers={"Host": "evil.example"}).status_code == 400


def test_a_login_leads_nowhere_else(client):
    answer = give_password(client, with_password(bia()), next="https://evil.example/")
    assert answer["Location"] == "/admin/"


def test_a_password_change_keeps_this_browser_and_ends_the_others(client):
    person, other = with_password(bia()), Client()
    client.force_login(person)
    other.force_login(person)
    new = "uma-senha-bem-nova-31"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    client.post(reverse("admin:password_change"), form)
    assert is_in(client)
    assert not is_in(other)
    assert Login.objects.get().session_key == client.session.session_key


def test_an_admin_who_sets_a_password_ends_the_logins_of_that_person(client):
    person, browser = with_password(bia()), Client()
    browser.force_login(person)
    client.force_login(ana())
    new = "uma-senha-bem-nova-31"
    form = {"usable_password": "true", "password1": new, "password2": new}
    client.post(reverse("admin:auth_user_password_change", args=[person.pk]), form)
    assert not is_in(browser)
    client.post(reverse("admin:auth_user_password_change", args=[ana().pk]), form)
    assert is_in(client)
    assert Login.objects.get().session_key == client.session.session_key
