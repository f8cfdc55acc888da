"""Every address with every role, on data that each must and must not see."""

import pytest

from config.tests.walk.asking import ROLES
from config.tests.walk.walking import Walk, without_csrf
from config.tests.walk.world import World

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("_no_look_at_queries")]


def said(walk):
    return "\n".join([f"{len(walk.problems)} problems", *walk.problems])


@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_what_the_rules_say_and_nothing_else(role, record_property):
    walk = Walk(World(), role).go()
    record_property("walked", (role, walk.routes, walk.asked))
    assert not walk.problems, said(walk)


def test_nothing_changes_without_a_csrf_token(record_property):
    walk = without_csrf(World(), "admin")
    record_property("walked", ("admin without CSRF", walk.routes, walk.asked))
    assert walk.asked > 100
    assert not walk.problems, said(walk)
