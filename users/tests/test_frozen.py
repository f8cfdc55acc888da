from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.db.models import Count, F
from django.utils import timezone
from model_bakery import baker

from users.frozen import Frozen, FrozenUpdate, insert, save
from users.models import ApiToken, Department, User

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana():
    return baker.make(User, username="ana", first_name="Ana", capacity=3)


@pytest.fixture
def bia():
    return baker.make(User, username="bia", first_name="Bia", capacity=5)


def test_it_finds_what_the_queryset_finds_whatever_the_values(ana, bia):
    by_name = Frozen(lambda _shape, name: User.objects.filter(username=name))
    assert by_name.first(name="ana") == ana
    assert by_name.first(name="bia") == bia
    assert by_name.first(name="%s") is None
    assert by_name.all(name="'; --") == []


def test_a_query_is_built_once_for_each_shape(ana, bia):
    shapes = []

    def build(is_descending, least):
        shapes.append(is_descending)
        order = "-username" if is_descending else "username"
        return User.objects.filter(capacity__gte=least).order_by(order)

    frozen = Frozen(build)
    assert frozen.all(False, least=1) == [ana, bia]
    assert frozen.all(True, least=1) == [bia, ana]
    assert frozen.all(True, least=4) == [bia]
    assert shapes == [False, True]


def test_people_moments_and_constants_stand_in_it(ana, bia):
    now = timezone.now()
    until = now + timedelta(hours=1)
    mine = baker.make(ApiToken, user=ana, expires_at=until, name="50%", prefix="a")
    baker.make(ApiToken, user=bia, expires_at=until, name="50%", prefix="b")
    frozen = Frozen(
        lambda _shape, user, at: ApiToken.objects.visible_to(user).filter(
            expires_at__gt=at, name="50%", revoked_at=None
        )
    )
    assert frozen.all(user=ana, at=now) == [mine]
    assert frozen.all(user=ana, at=now + timedelta(hours=2)) == []
    assert frozen.first(user=bia, at=now).user_id == bia.pk


def test_instances_come_with_what_was_asked_for_beside_them(ana, django_assert_num_queries):
    place = baker.make(Department, name="Vendas")
    ana.departments.add(place)
    token = baker.make(ApiToken, user=ana, scopes=["leads:read"])
    frozen = Frozen(
        lambda _shape, pk: (
            ApiToken.objects.filter(pk=pk)
            .select_related("user")
            .prefetch_related("user__departments")
            .annotate(places=Count("user__departments"))
        )
    )
    frozen.first(pk=token.pk)
    with django_assert_num_queries(2):
        found = frozen.first(pk=token.pk)
        assert (found.user.first_name, found.places) == ("Ana", 1)
        assert [one.name for one in found.user.departments.all()] == ["Vendas"]
    assert found.scopes == ["leads:read"]
    assert found.created_at == token.created_at


def test_fields_left_out_are_read_when_they_are_asked_for(ana):
    frozen = Frozen(lambda _shape, pk: User.objects.filter(pk=pk).only("username"))
    found = frozen.first(pk=ana.pk)
    assert "first_name" in found.get_deferred_fields()
    assert found.first_name == "Ana"


def test_tuples_come_from_values_list(ana, bia):
    frozen = Frozen(
        lambda _shape, least: User.objects.filter(capacity__gte=least).values_list(
            "username", "last_active_at"
        )
    )
    assert frozen.all(least=5) == [("bia", None)]


def test_a_value_that_a_lookup_changes_is_refused(ana):
    frozen = Frozen(lambda _shape, word: User.objects.filter(username__contains=word))
    with pytest.raises(ValueError, match="changed on its way"):
        frozen.all(word="an")


def test_what_cannot_vary_is_refused():
    frozen = Frozen(lambda _shape, flag: User.objects.filter(is_active=flag))
    with pytest.raises(TypeError):
        frozen.all(flag=True)
    by_name = Frozen(lambda _shape, name: User.objects.filter(username=name))
    assert by_name.all(name="ana") == []
    with pytest.raises(TypeError):
        by_name.all(name=None)
    nothing = Frozen(lambda _shape: User.objects.none())
    with pytest.raises(ValueError, match="never finds"):
        nothing.all()


def test_an_update_counts_its_rows(ana, bia):
    frozen = FrozenUpdate(
        lambda _shape, pk, name: (
            User.objects.filter(pk=pk, is_active=True),
            {"first_name": name, "capacity": F("capacity") + 1},
        )
    )
    assert frozen.run(pk=ana.pk, name="100%") == 1
    assert frozen.run(pk=bia.pk, name="Beatriz") == 1
    assert frozen.run(pk=0, name="Ninguém") == 0
    rows = User.objects.order_by("username").values_list("first_name", "capacity")
    assert list(rows) == [("100%", 4), ("Beatriz", 6)]


def test_rows_are_inserted_together_and_get_their_keys(ana):
    tokens = [
        ApiToken(user=ana, name=f"n{n}", prefix=f"p{n}", digest="d", scopes=[{"n": n}])
        for n in range(3)
    ]
    insert(tokens)
    stored = list(ApiToken.objects.order_by("pk"))
    assert [one.pk for one in tokens] == [one.pk for one in stored]
    assert [one.scopes for one in stored] == [[{"n": n}] for n in range(3)]
    assert [one.created_at for one in stored] == [one.created_at for one in tokens]
    with pytest.raises(IntegrityError):
        insert([ApiToken(user=ana, name="again", prefix="p0", digest="d")])


def test_fields_of_a_row_are_written(ana):
    ana.first_name, ana.last_active_at = "Ana Maria", timezone.now()
    save(ana, ["first_name", "last_active_at"])
    stored = User.objects.get(pk=ana.pk)
    assert (stored.first_name, stored.last_active_at) == ("Ana Maria", ana.last_active_at)


@pytest.mark.postgres
def test_the_server_keeps_it_prepared_with_its_constants(ana):
    frozen = Frozen(
        lambda _shape, least: User.objects.filter(capacity__gte=least, role="attendant")
    )
    frozen.all(least=1)
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        kept = [sql for (sql,) in cursor.fetchall() if "'attendant'" in sql]
    assert len(kept) == 1
    assert "$1" in kept[0]
    assert "$2" not in kept[0]
