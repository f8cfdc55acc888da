import pytest
from django.http import HttpResponse
from django.urls import reverse
from django.utils import translation

from users.middleware import UserLanguageMiddleware
from users.models import Language
from users.tests.recipes import bia

pytestmark = pytest.mark.django_db


def language_of(rf, user=None, **headers):
    """The language that a view behind the middleware finds."""
    request = rf.get("/", headers=headers)
    if user is not None:
        request.COOKIES["sessionid"] = "x"
        request.user = user
    seen = []

    def view(_request):
        seen.append(translation.get_language())
        return HttpResponse()

    UserLanguageMiddleware(view)(request)
    return seen[0]


@pytest.mark.parametrize("language", Language.values)
def test_a_page_speaks_the_language_of_the_person(rf, language):
    assert language_of(rf, bia(language=language)) == language


def test_the_browser_decides_nothing(rf):
    assert language_of(rf, bia(), Accept_Language="en") == "pt-br"
    assert language_of(rf, Accept_Language="en") == "pt-br"


def test_a_request_without_a_cookie_never_asks_who_it_is(rf):
    # a request without `user`: touching it would raise
    assert language_of(rf) == "pt-br"


def test_the_language_ends_with_the_request(rf):
    translation.deactivate_all()
    language_of(rf, bia(language="en"))
    assert translation.get_language() is None or translation.get_language() == "pt-br"


def test_an_anonymous_request_runs_no_statement(client, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert client.get("/healthz").status_code == 200


def test_the_console_speaks_english_to_those_who_want_it(client):
    person = bia(language="en")
    client.force_login(person)
    url = reverse("admin:password_change")

    assert 'lang="en"' in client.get(url).content.decode()
    person.language = "pt-br"
    person.save(update_fields=["language"])
    page = client.get(url, headers={"Accept-Language": "en"})
    assert 'lang="pt-br"' in page.content.decode()
