"""Hidden values that the API gives out in clear, to admins and their programs: the audit keeps one
row for each answer, however many records it holds."""

from __future__ import annotations

from typing import Any

from django.db.models import Model
from rest_framework.request import Request
from rest_framework.response import Response

from users import audit

_SEEN = "_seen_in_clear"


def note(request: Request, obj: Model) -> None:
    """Said by serializers, of each record whose hidden values they show."""
    seen: dict[Any, Model] = vars(request).setdefault(_SEEN, {})
    seen[obj.pk] = obj


class TellsWhatIsSeen:
    """A viewset whose answers the audit knows of."""

    def finalize_response(
        self, request: Request, response: Response, *arguments: Any, **options: Any
    ) -> Any:
        seen = list(vars(request).pop(_SEEN, {}).values())
        if len(seen) == 1:
            audit.acted(seen[0], audit.REVEALED, value="API")
        elif seen:
            audit.exported(type(seen[0]), what="API", count=len(seen))
        parent: Any = super()
        return parent.finalize_response(request, response, *arguments, **options)
