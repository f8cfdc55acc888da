"""Filters of the API that every app needs."""

from __future__ import annotations

from django.core.validators import MaxValueValidator
from django_filters import NumberFilter

from users.frozen import LARGEST


class IdFilter(NumberFilter):
    """By the id of a related row. A number that no row can have is refused: a database would fail
    over it."""

    def get_max_validator(self) -> MaxValueValidator:
        return MaxValueValidator(LARGEST)
