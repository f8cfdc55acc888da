"""Pages of the API: by cursor, so that a growing log costs the same on every page."""

from rest_framework.pagination import CursorPagination


class IdCursorPagination(CursorPagination):
    """Newest first unless the client asks for another order; `page_size` at most 200."""

    ordering = "-id"
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200

    def get_ordering(self, request, queryset, view) -> tuple[str, ...]:
        """The order asked for, made total by the id: equal values must not hide rows."""
        ordering = tuple(super().get_ordering(request, queryset, view))
        if {"id", "-id", "pk", "-pk"} & set(ordering):
            return ordering
        return (*ordering, "-id")
