"""What an API client reads when something is refused.

Every error body is `{"code": …, "detail": …}`, with `fields` beside them when input is invalid.
`code` is stable and meant for programs; `detail` is a sentence for people.
"""

from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.core.exceptions import ValidationError as ModelValidationError
from django.db.models import ProtectedError
from django.http import Http404
from django.utils.translation import gettext as _
from rest_framework import exceptions, status
from rest_framework.fields import get_error_detail
from rest_framework.response import Response
from rest_framework.views import exception_handler, set_rollback

from users.errors import DomainError


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: domain errors become their own status, the unexpected a 500."""
    match error:
        case DomainError():
            return _refuse(error.code, str(error), error.status)
        case ProtectedError():
            return _refuse("protected", _("Other records depend on this one."), 409)
        case ModelValidationError():
            return handle(exceptions.ValidationError(get_error_detail(error)), context)
        case exceptions.ValidationError():
            return _invalid(error)
        case RequestDataTooBig():
            return _refuse("too_large", _("This is more than can be sent at once."), 413)
        case RecursionError():  # of the JSON parser, in which a caller can nest without end
            error = exceptions.ParseError(_("This is nested too deeply."))
        case Http404():  # its own text names the model, in English
            error = exceptions.NotFound()
    response = exception_handler(error, context)
    if response is not None and isinstance(response.data.get("detail"), exceptions.ErrorDetail):
        response.data = {"code": response.data["detail"].code, **response.data}
    return response


def _refuse(code: str, detail: str, http_status: int) -> Response:
    set_rollback()
    return Response({"code": code, "detail": detail}, status=http_status)


def _invalid(error: exceptions.ValidationError) -> Response:
    set_rollback()
    body = {"code": "invalid", "detail": _("Some fields are not valid."), "fields": error.detail}
    return Response(body, status=status.HTTP_400_BAD_REQUEST)
