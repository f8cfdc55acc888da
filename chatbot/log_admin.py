"""What every list of a table that only grows is built on."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from users.console import ReadOnlyModelAdmin


class CappedPaginator(Paginator):
    """Counts no further than anybody pages: a log grows for ever, its count must not cost more."""

    MOST = 10_000

    object_list: QuerySet[Any]

    @cached_property
    def count(self) -> int:
        return self.object_list[: self.MOST].count()


class LogAdmin(ReadOnlyModelAdmin):
    """A table that only grows. `heavy` is what a list never shows: read when a row is opened."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_per_page = 50
    sortable_by = ("moment",)  # by another column the whole table would have to be read
    heavy: tuple[str, ...] = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).defer(*self.heavy)

    @admin.display(description=_("time"), ordering="id")
    def moment(self, row: Any) -> str:
        """To the second, which is what tells rows of one conversation apart."""
        return date_format(timezone.localtime(row.created_at), "d/m/Y H:i:s")

    @admin.display(description=_("session"))
    def session_link(self, row: Any) -> SafeString | str:
        """The conversation itself; its page looks who asks."""
        if row.session_id is None:
            return "–"
        url = reverse("conversation", args=[row.session_id])
        return format_html('<a href="{}">{}</a>', url, row.session)


def as_json(value: Any) -> SafeString:
    return format_html(
        '<pre tabindex="0">{}</pre>', json.dumps(value, indent=2, ensure_ascii=False)
    )
