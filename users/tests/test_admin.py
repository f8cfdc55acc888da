import re
from datetime import date, time

import pytest
import time_machine
from django.contrib.messages import get_messages
from django.urls import reverse
from model_bakery import baker

from users.models import (
    ApiToken,
    Availability,
    BusinessHours,
    Calendar,
    Department,
    Holiday,
    Role,
    User,
)
from users.tests.recipes import ana, bia, caio, department, root, token

pytestmark = pytest.mark.django_db

LIST = "admin:users_user_changelist"
CHANGE = "admin:users_user_change"


def posted(client, user, **changes):
    """Post the user's form as the page would send it, with these changes."""
    url = reverse(CHANGE, args=[user.pk])
    form = client.get(url).context["adminform"].form
    values = {name: form.get_initial_for_field(form.fields[name], name) for name in form.fields}
    values = {name: value for name, value in values.items() if value not in (None, False)}
    for name in ("departments", "supervised_departments", "skills"):
        values[name] = [one.pk for one in getattr(user, name).all()]
    values.update(changes)
    return client.post(url, {name: value for name, value in values.items() if value is not None})


def said(response):
    return " ".join(str(message) for message in get_messages(response.wsgi_request))


def names_in(response):
    return {user.username for user in response.context["cl"].result_list}


def test_an_admin_sees_everyone_an_attendant_the_colleagues(client):
    bia(), caio()
    client.force_login(ana())
    assert names_in(client.get(reverse(LIST))) == {"ana", "bia", "caio"}

    client.force_login(bia())
    assert names_in(client.get(reverse(LIST))) == {"bia"}
    assert client.get(reverse(CHANGE, args=[caio().pk])).status_code == 302


def test_the_list_of_people_costs_the_same_for_many(client, django_assert_max_num_queries):
    for number in range(20):
        person = User.objects.create_user(f"pessoa{number}")
        person.departments.set([department("vendas")])
    client.force_login(ana())

    with django_assert_max_num_queries(22):  # many of them are the counts of the filters
        client.get(reverse(LIST))


def test_an_attendant_may_look_but_not_change(client):
    client.force_login(bia())
    url = reverse(CHANGE, args=[bia().pk])
    page = client.get(url)

    assert page.status_code == 200
    assert "md5$" not in page.content.decode()
    assert client.post(url, {"role": "admin"}).status_code == 403


def test_an_admin_changes_role_and_availability(client):
    client.force_login(ana())
    person = bia()

    posted(client, person, role=Role.ADMIN, availability=Availability.PAUSED, first_name="Bea")

    person.refresh_from_db()
    assert (person.role, person.availability) == (Role.ADMIN, Availability.PAUSED)
    assert person.first_name == "Bea"
    assert person.availability_changed_at is not None


def test_a_form_cannot_make_a_superuser(client):
    client.force_login(ana())
    person = bia()

    posted(client, person, is_superuser="on", is_staff="")

    person.refresh_from_db()
    assert (person.is_superuser, person.is_staff) == (False, True)


def test_a_superuser_can_make_another_one(client):
    client.force_login(root())
    person = bia()

    posted(client, person, is_superuser="on")

    person.refresh_from_db()
    assert person.is_superuser


def test_an_admin_cannot_edit_a_superuser(client):
    client.force_login(ana())
    boss = root()
    url = reverse(CHANGE, args=[boss.pk])
    password = reverse("admin:auth_user_password_change", args=[boss.pk])

    assert client.post(url, {"username": "mine"}).status_code == 403
    assert client.get(password).status_code == 403
    assert "md5$" not in client.get(url).content.decode()


def test_the_last_admin_cannot_be_deactivated(client):
    admin = ana()
    client.force_login(admin)

    response = client.post(reverse("admin:users_user_deactivate", args=[admin.pk]))

    admin.refresh_from_db()
    assert admin.is_active
    assert said(response)


def test_people_are_deactivated_by_an_action_not_deleted(client):
    client.force_login(ana())
    person = bia()
    chosen = [person.pk, caio().pk]
    given = {"action": "deactivate", "_selected_action": chosen}
    page = client.post(reverse(LIST), given)
    assert "Caio" in page.content.decode()
    assert User.objects.active().filter(pk__in=chosen).count() == len(chosen)
    client.post(reverse(LIST), {**given, "confirmed": "1"})

    assert not User.objects.active().filter(pk__in=chosen).exists()
    assert client.post(reverse("admin:users_user_delete", args=[person.pk])).status_code == 403


def test_a_token_is_shown_once_and_never_changed(client):
    client.force_login(ana())
    fields = {"user": bia().pk, "name": "CRM", "scopes": "leads:read tickets:write"}
    response = client.post(reverse("admin:users_apitoken_add"), fields)

    row = ApiToken.objects.get()
    shown = re.search(r"atd_\w+", said(response)).group()
    assert (row.user, row.scopes) == (bia(), ["leads:read", "tickets:write"])
    page = client.get(reverse("admin:users_apitoken_change", args=[row.pk]))
    later = client.get(reverse("admin:users_apitoken_changelist"))
    assert page.status_code == 200
    assert shown not in later.content.decode()
    assert row.digest not in page.content.decode()
    change = reverse("admin:users_apitoken_change", args=[row.pk])
    assert client.post(change, {"name": "Outro"}).status_code == 403


def test_an_admin_cannot_make_a_token_for_a_superuser(client):
    client.force_login(ana())
    fields = {"user": root().pk, "name": "CRM", "scopes": "*:write"}
    response = client.post(reverse("admin:users_apitoken_add"), fields)

    assert not ApiToken.objects.exists()
    assert said(response)


def test_a_scope_that_is_none_is_refused(client):
    client.force_login(ana())
    fields = {"user": bia().pk, "name": "CRM", "scopes": "leads:delete"}
    page = client.post(reverse("admin:users_apitoken_add"), fields)

    assert "leads:delete" in str(page.context["errors"])


def test_a_token_is_revoked_by_an_action(client):
    rows = [token(bia())[0], token(caio())[0]]
    client.force_login(ana())
    url = reverse("admin:users_apitoken_changelist")

    client.post(url, {"action": "revoke", "_selected_action": [row.pk for row in rows]})

    assert not ApiToken.objects.filter(revoked_at=None).exists()


def test_an_admin_cannot_revoke_the_token_of_a_superuser(client):
    above, other = token(root())[0], token(bia())[0]
    client.force_login(ana())
    url = reverse("admin:users_apitoken_changelist")

    chosen = {"action": "revoke", "_selected_action": [above.pk, other.pk]}
    client.post(url, chosen)

    assert list(ApiToken.objects.filter(revoked_at=None)) == [above]


def test_the_fallback_moves_from_one_department_to_another(client):
    client.force_login(ana())
    sales = department("vendas")
    url = reverse("admin:users_department_changelist")

    client.post(url, {"action": "make_fallback", "_selected_action": [sales.pk]})

    assert Department.objects.get(is_fallback=True) == sales


def test_the_fallback_department_stays(client):
    client.force_login(ana())
    fallback = Department.objects.get(is_fallback=True)
    url, fields = department_form(fallback)
    del fields["is_active"]

    response = client.post(url, fields)

    fallback.refresh_from_db()
    assert fallback.is_active
    assert said(response)
    delete = reverse("admin:users_department_delete", args=[fallback.pk])
    assert client.post(delete, {"post": "yes"}).status_code == 403


def test_a_calendar_is_kept_with_its_hours_and_holidays(client):
    client.force_login(ana())
    fields = {
        "name": "Comercial",
        "hours-TOTAL_FORMS": 1,
        "hours-INITIAL_FORMS": 0,
        "hours-0-weekday": 0,
        "hours-0-opens_at": "08:00",
        "hours-0-closes_at": "18:00",
        "holidays-TOTAL_FORMS": 1,
        "holidays-INITIAL_FORMS": 0,
        "holidays-0-date": "25/12/2026",
        "holidays-0-name": "Natal",
    }
    client.post(reverse("admin:users_calendar_add"), fields)

    calendar = Calendar.objects.get()
    assert (calendar.hours.count(), calendar.holidays.get().name) == (1, "Natal")


def test_groups_are_not_in_the_console(client):
    client.force_login(root())
    assert client.get("/admin/auth/group/").status_code == 404
    assert client.get(reverse("admin:users_user_add")).status_code == 200


def test_an_exception_with_one_time_alone_is_refused_in_words(client):
    client.force_login(ana(language="en"))
    fields = {
        "name": "Comercial",
        "hours-TOTAL_FORMS": 0,
        "hours-INITIAL_FORMS": 0,
        "holidays-TOTAL_FORMS": 1,
        "holidays-INITIAL_FORMS": 0,
        "holidays-0-date": "2026-12-24",
        "holidays-0-name": "Véspera de Natal",
        "holidays-0-opens_at": "08:00",
    }
    page = client.post(reverse("admin:users_calendar_add"), fields)

    assert "Give both times, or none." in page.content.decode()


def department_form(one, **changes):
    given = {
        "name": one.name,
        "slug": one.slug,
        "is_active": "on",
        "reopen_days": "7",
        "distribution": "manual",
        "overflow_minutes": "10",
        **changes,
    }
    return reverse("admin:users_department_change", args=[one.pk]), given


def test_a_department_says_what_it_needs_and_how_long_it_waits(client):
    vendas = department("vendas")
    client.force_login(ana())
    url, given = department_form(
        vendas,
        warn_silent_after_hours="20",
        close_silent_after_hours="48",
        reopen_days="3",
        required_at_resolution=["tags", "lead_email"],
    )
    assert client.post(url, given).status_code == 302
    vendas.refresh_from_db()
    assert (vendas.warn_silent_after_hours, vendas.close_silent_after_hours) == (20, 48)
    assert (vendas.reopen_days, vendas.required_at_resolution) == (3, ["tags", "lead_email"])
    page = client.get(url).content.decode()
    assert re.search(
        r'type="checkbox" name="required_at_resolution" value="tags"[^>]*checked', page
    )
    assert not re.search(r'name="required_at_resolution" value="subject"[^>]*checked', page)


@pytest.mark.parametrize(
    "given",
    [
        {"warn_silent_after_hours": "20"},
        {"warn_silent_after_hours": "48", "close_silent_after_hours": "20"},
        {"required_at_resolution": ["shoe_size"]},
    ],
    ids=["warned and never closed", "warned after the end", "unknown field"],
)
def test_what_a_department_cannot_mean_is_refused(client, given):
    vendas = department("vendas")
    client.force_login(ana())
    url, form = department_form(vendas, **given)
    page = client.post(url, form)
    assert page.status_code == 200
    assert page.context["adminform"].form.errors
    vendas.refresh_from_db()
    assert (vendas.warn_silent_after_hours, vendas.required_at_resolution) == (None, [])


@time_machine.travel("2026-12-21 12:00:00Z", tick=False)
def test_a_calendar_shows_its_next_days(client):
    calendar = baker.make(Calendar, name="Loja", time_zone="America/Sao_Paulo")
    for day in range(5):
        baker.make(
            BusinessHours, calendar=calendar, weekday=day, opens_at=time(8), closes_at=time(12)
        )
    baker.make(BusinessHours, calendar=calendar, weekday=0, opens_at=time(22), closes_at=time(6))
    baker.make(
        Holiday,
        calendar=calendar,
        date=date(2026, 12, 24),
        name="Véspera",
        opens_at=time(8),
        closes_at=time(10),
    )
    client.force_login(ana())
    page = client.get(reverse("admin:users_calendar_change", args=[calendar.pk])).content.decode()
    assert "08:00–12:00, 22:00–06:00" in page
    assert "24/12 (Véspera): 08:00–10:00" in page
    assert "25/12 (Natal): " in page
    assert client.get(reverse("admin:users_calendar_add")).status_code == 200


def test_the_list_of_calendars_costs_the_same_for_many(client, django_assert_max_num_queries):
    for number in range(5):
        calendar = baker.make(Calendar, name=f"Calendário {number}")
        baker.make(
            BusinessHours, calendar=calendar, weekday=0, opens_at=time(8), closes_at=time(12)
        )
    client.force_login(ana())
    with django_assert_max_num_queries(12):
        client.get(reverse("admin:users_calendar_changelist"))


def test_the_page_of_a_password_leaves_nobody_without_one(client):
    admin = ana()
    client.force_login(admin)
    url = reverse("admin:auth_user_password_change", args=[admin.pk])
    assert "usable_password" not in client.get(url).context["form"].fields

    answer = client.post(url, {"usable_password": "false", "unset-password": "1"})
    assert answer.context["form"].errors
    admin.refresh_from_db()
    assert admin.has_usable_password()


def test_a_token_of_the_console_ends_within_years(client):
    client.force_login(ana())
    given = {
        **{"user": bia().pk, "name": "eterno", "scopes": "leads:read"},
        **{"expires_at_0": "31/12/9999", "expires_at_1": "23:59"},
    }
    answer = client.post(reverse("admin:users_apitoken_add"), given)
    assert "expires_at" in answer.context["adminform"].form.errors
