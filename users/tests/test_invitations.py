"""How somebody new comes in: by a link that works once."""

from __future__ import annotations

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from auditlog.models import LogEntry
from django.contrib.messages import get_messages
from django.core import mail
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from users import audit, invitations, services
from users.errors import DomainError
from users.models import Role, Skill, User
from users.tests.recipes import ana, bia, department, root, suporte

pytestmark = pytest.mark.django_db

PASSWORD = "uma-senha-longa-77"
EMAIL = "Duda.Reis@empresa.example"


def said(response) -> str:
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def invite(client, **more):
    client.force_login(ana())
    given = {
        "first_name": "Duda",
        "email": EMAIL,
        "role": Role.ATTENDANT,
        "departments": [department("vendas").pk],
        "supervised_departments": [suporte().pk],
        "skills": [Skill.objects.get_or_create(name="Inglês")[0].pk],
        "capacity": 4,
        **more,
    }
    return client.post(reverse("admin:users_user_add"), given)


def invited() -> User:
    return User.objects.get(email=EMAIL)


def link() -> str:
    return re.search(r"https?://[^/]+(/convite/\S+)", mail.outbox[-1].body)[1]


def accept(client, path, **more):
    page = client.get(path, follow=True)
    given = {
        "first_name": "Duda",
        "last_name": "Reis",
        "new_password1": PASSWORD,
        "new_password2": PASSWORD,
        **more,
    }
    return client.post(page.request["PATH_INFO"], given, follow=True)


def test_whoever_is_invited_comes_in_by_the_link_of_the_mail(client):
    assert invite(client).status_code == 302
    user = invited()
    assert (user.is_active, user.is_invited, user.username) == (False, True, EMAIL.lower())
    assert (user.departments.get().slug, user.supervised_departments.get().slug) == (
        "vendas",
        "suporte",
    )
    assert mail.outbox[0].to == [EMAIL]
    assert user.username in mail.outbox[0].body

    client.logout()
    answer = accept(client, link())
    assert answer.request["PATH_INFO"] == reverse("admin:login")
    user = invited()
    assert (user.is_active, user.invited_at, str(user)) == (True, None, "Duda Reis")
    assert user.check_password(PASSWORD)


def test_the_token_does_not_stay_in_the_address(client):
    invite(client)
    client.logout()
    answer = client.get(link(), follow=True)
    assert invitations.tokens.make_token(invited()) not in answer.request["PATH_INFO"]


def test_the_link_works_once(client):
    invite(client)
    path = link()
    client.logout()
    accept(client, path)
    User.objects.filter(email=EMAIL).update(is_active=False)
    assert client.get(path, follow=True).context["validlink"] is False


def test_a_form_opened_twice_is_accepted_once():
    invite_client_user = services.create_user(fields={"username": "duda"}, actor=None)
    User.objects.filter(pk=invite_client_user.pk).update(is_active=False)
    services.begin_invitation(invite_client_user, at=timezone.now(), actor=None)
    first, second = (User.objects.get(username="duda") for _ in range(2))
    given = {"password": PASSWORD, "first_name": "Duda", "last_name": ""}
    services.accept_invitation(first, **given)
    with pytest.raises(DomainError) as refusal:
        services.accept_invitation(second, **given)
    assert refusal.value.code == "invitation_closed"


def test_a_new_invitation_kills_the_old_link(client):
    invite(client)
    old = link()
    client.post(reverse("admin:users_user_invite_again", args=[invited().pk]))
    new = link()
    assert new != old
    client.logout()
    assert client.get(old, follow=True).context["validlink"] is False
    assert client.get(new, follow=True).context["validlink"] is True


def test_a_withdrawn_invitation_opens_nothing(client):
    invite(client)
    path = link()
    client.post(reverse("admin:users_user_withdraw", args=[invited().pk]))
    assert not invited().is_invited
    client.logout()
    assert client.get(path, follow=True).context["validlink"] is False
    client.force_login(ana())
    assert client.get(path, follow=True).context["validlink"] is False


def test_an_invitation_ends_by_itself_even_when_its_link_is_shown_again(client):
    invite(client)
    path, user = link(), invited()
    almost = timezone.now() + timedelta(days=2, hours=23)
    with time_machine.travel(almost, tick=False):
        assert Client().get(path, follow=True).context["validlink"] is True
    later = timezone.now() + timedelta(days=3, minutes=1)
    with time_machine.travel(later, tick=False):
        assert invitations.is_over(user, timezone.now())
        assert invitations.link_to(user).endswith(path)
        client.logout()
        assert client.get(path, follow=True).context["validlink"] is False


@pytest.mark.parametrize("password", ["1234567890", "senha123", "curta"])
def test_the_password_obeys_the_rules(client, password):
    invite(client)
    client.logout()
    page = accept(client, link(), new_password1=password, new_password2=password)
    assert page.context["form"].errors
    assert not invited().is_active


def test_a_mail_server_that_is_not_there_leaves_the_link_to_be_copied(client, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    answer = invite(client)
    assert EMAIL in said(answer)
    page = client.get(answer["Location"]).content.decode()
    assert invitations.link_to(invited()) in page


def test_only_who_manages_them_sees_the_link(client):
    invite(client, role=Role.ADMIN)
    User.objects.filter(email=EMAIL).update(is_superuser=True)
    address = reverse("admin:users_user_change", args=[invited().pk])
    assert "/convite/" not in client.get(address).content.decode()
    client.force_login(root())
    assert "/convite/" in client.get(address).content.decode()


def test_an_invited_admin_is_no_admin_yet(client):
    invite(client, role=Role.ADMIN)
    assert not invited().is_admin
    with pytest.raises(DomainError) as refusal:
        services.change_role(ana(), role=Role.ATTENDANT, actor=ana())
    assert refusal.value.code == "last_admin"


@pytest.mark.parametrize("email", [EMAIL, EMAIL.upper(), "sem-arroba", ""])
def test_an_address_is_valid_and_nobody_elses(client, email):
    bia(email=EMAIL.lower())
    page = invite(client, email=email)
    assert page.context["form"].errors["email"]
    assert not User.objects.filter(invited_at__isnull=False).exists()


def test_somebody_deactivated_is_named_instead_of_made_anew(client):
    person = bia(email=EMAIL, is_active=False)
    assert str(person) in str(invite(client).context["form"].errors["email"])
    client.post(reverse("admin:users_user_invite_again", args=[person.pk]))
    assert bia().is_invited
    client.logout()
    accept(client, link())
    assert bia().is_active


def test_attendants_invite_nobody(client):
    client.force_login(bia())
    assert client.get(reverse("admin:users_user_add")).status_code == 403
    given = {"email": EMAIL, "role": "admin", "capacity": 1}
    assert client.post(reverse("admin:users_user_add"), given).status_code == 403
    assert not User.objects.filter(email=EMAIL).exists()


def test_fields_of_the_form_alone_are_taken(client):
    invite(client, is_superuser="on", is_active="on", is_staff="")
    user = invited()
    assert (user.is_superuser, user.is_active, user.is_staff) == (False, False, True)


def test_a_wrong_link_says_what_to_do(client):
    page = client.get(reverse("invitation", args=["MQ", "x-y"]))
    assert page.status_code == 200
    assert page.context["validlink"] is False


def test_the_audit_tells_what_becomes_of_an_invitation(client):
    invite(client)
    user = invited()
    client.post(reverse("admin:users_user_withdraw", args=[user.pk]))
    client.post(reverse("admin:users_user_invite_again", args=[user.pk]))
    accept(Client(), urlsplit(invitations.link_to(invited())).path)

    rows = LogEntry.objects.filter(object_id=user.pk).order_by("pk")
    told = [(row.additional_data or {}).get(audit.ACT) for row in rows]
    acts = [audit.INVITED, audit.UNINVITED, audit.INVITED, audit.JOINED]
    assert [one for one in told if one] == acts
    assert rows.last().actor == user
