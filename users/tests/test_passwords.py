import re
import time
from urllib.parse import urlsplit

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.password_validation import validate_password
from django.core import mail
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse

from users import audit
from users.models import Login, User
from users.tests.doors import PASSWORD, give_code, give_password, with_app, with_password
from users.tests.recipes import bia

pytestmark = pytest.mark.django_db

ASK = reverse("password_reset")
NEW = "uma-senha-bem-nova-31"


def asked(client, email, **headers):
    return client.post(ASK, {"email": email}, **headers)


def mails(count=1):
    """They are written beside the request."""
    for _wait in range(100):
        if len(mail.outbox) >= count:
            break
        time.sleep(0.02)
    return mail.outbox


def link_of(message):
    (address,) = re.findall(r"https?://\S+", message.body)
    return urlsplit(address)


@pytest.mark.parametrize(
    "password",
    [
        pytest.param("curta-9ab", id="nine characters"),
        pytest.param("1234567890123", id="digits"),
        pytest.param("password123", id="common"),
        pytest.param("beatrizsilva", id="like the name"),
    ],
)
def test_weak_passwords_are_refused(password):
    with pytest.raises(ValidationError):
        validate_password(password, User(username="beatrizsilva", first_name="Beatriz"))


def test_ten_characters_are_enough():
    validate_password("hq7-xw2-pl", User(username="bia"))


def test_a_new_password_by_mail(client):
    person, other = with_password(bia(email="bia@empresa.example")), Client()
    other.force_login(person)

    assert asked(client, "bia@empresa.example")["Location"] == reverse("password_reset_done")
    (message,) = mails()
    link = link_of(message)
    assert message.to == ["bia@empresa.example"]
    assert link.netloc == "testserver"
    form_page = client.get(link.path)
    answer = client.post(form_page["Location"], {"new_password1": NEW, "new_password2": NEW})

    assert answer["Location"] == reverse("password_reset_complete")
    assert other.get("/admin/").status_code == 302
    assert not Login.objects.exists()
    (kept,) = LogEntry.objects.filter(additional_data__act=audit.RESET_BY_MAIL)
    assert (kept.actor, kept.remote_addr) == (person, "127.0.0.1")
    give_password(client, person, password=NEW)
    assert client.get("/admin/").status_code == 200
    used = Client().get(link.path, follow=True)
    assert used.context["validlink"] is False


def test_nobody_is_told_who_has_an_account(client):
    with_password(bia(email="bia@empresa.example"))
    pages = []
    for email in ("bia@empresa.example", "ninguem@empresa.example"):
        answer = client.post(ASK, {"email": email}, follow=True)
        page = re.sub(r"nonce-?\S+|csrf\S+ value=\S+", "", answer.content.decode())
        pages.append((answer.redirect_chain, re.sub(r'value="[^"]*"', "", page)))
    assert pages[0] == pages[1]
    assert len(mails()) == 1


def test_the_link_names_the_site_whatever_host_was_asked(client, settings):
    with_password(bia(email="bia@empresa.example"))
    settings.ALLOWED_HOSTS = ["*"]
    asked(client, "bia@empresa.example", headers={"Host": "evil.example"})
    (message,) = mails()
    assert "evil.example" not in message.body


def test_mails_do_not_pile_up(client):
    with_password(bia(email="bia@empresa.example"))
    for _try in range(4):
        asked(client, "bia@empresa.example")
    time.sleep(0.2)
    assert len(mails()) == 1


def test_who_was_deactivated_gets_no_mail_and_no_password(client):
    person = with_password(bia(email="bia@empresa.example"))
    asked(client, "bia@empresa.example")
    link = link_of(mails()[0])
    person.is_active = False
    person.save(update_fields=["is_active"])
    assert client.get(link.path).context["validlink"] is False


def test_a_new_password_does_not_get_around_the_code(client):
    person = with_password(bia(email="bia@empresa.example"))
    with_app(person)
    asked(client, "bia@empresa.example")
    form_page = client.get(link_of(mails()[0]).path)
    client.post(form_page["Location"], {"new_password1": NEW, "new_password2": NEW})
    assert give_password(client, person, password=NEW)["Location"] == reverse("login_code")
    give_code(client, "")
    assert client.get("/admin/").status_code == 302


def test_a_link_that_was_made_up_opens_nothing(client):
    person = with_password(bia())
    for uid, token in (("MQ", "set-password"), ("x", "y"), ("é", "z"), ("MQ" * 60, "a" * 300)):
        assert client.get(f"/admin/password/{uid}/{token}/").context["validlink"] is False
        client.post(f"/admin/password/{uid}/{token}/", {"new_password1": NEW, "new_password2": NEW})
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
