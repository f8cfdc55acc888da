import pytest
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import ProtectedError
from django.http import Http404
from django.utils.translation import override
from rest_framework import exceptions

from config.exceptions import handle
from users.errors import DomainError

pytestmark = pytest.mark.django_db


class TicketTaken(DomainError):
    code = "ticket_taken"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        pytest.param(TicketTaken("Bia was faster."), 409, "ticket_taken", id="domain"),
        pytest.param(DomainError("No.", code="late", status=410), 410, "late", id="own status"),
        pytest.param(ProtectedError("no", set()), 409, "protected", id="protected"),
        pytest.param(Http404(), 404, "not_found", id="not found"),
        pytest.param(PermissionDenied(), 403, "permission_denied", id="denied"),
        pytest.param(exceptions.NotAuthenticated(), 401, "not_authenticated", id="anonymous"),
        pytest.param(exceptions.Throttled(3), 429, "throttled", id="throttled"),
        pytest.param(exceptions.ParseError(), 400, "parse_error", id="malformed"),
    ],
)
def test_an_error_has_a_status_and_a_stable_code(error, status, code):
    response = handle(error, {})
    assert (response.status_code, response.data["code"]) == (status, code)
    assert response.data["detail"]


@pytest.mark.parametrize(
    "error",
    [
        exceptions.ValidationError({"phone": ["Too short."]}),
        ModelValidationError({"phone": ["Too short."]}),
    ],
    ids=["serializer", "model"],
)
def test_invalid_input_names_its_fields(error):
    with override("en"):
        response = handle(error, {})
    assert response.status_code == 400
    assert response.data["code"] == "invalid"
    assert response.data["fields"] == {"phone": ["Too short."]}


def test_the_unexpected_is_not_answered_here():
    assert handle(RuntimeError("bug"), {}) is None


def test_what_is_missing_is_told_without_the_name_of_a_model():
    response = handle(Http404("No Lead matches the given query."), {})
    assert (response.status_code, response.data["code"]) == (404, "not_found")
    assert "Lead" not in response.data["detail"]
