"""What every staff screen starts from: only rows that the person may see.

Other apps build their ModelAdmins on these classes.
"""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import ForeignKey, ManyToManyField, Model, QuerySet
from django.http import HttpRequest


def visible_rows(model: type[Model], request: HttpRequest) -> QuerySet[Any]:
    """`model.objects.visible_to(user)`; every row of a model that has no such rule."""
    manager = model._default_manager
    if hasattr(manager, "visible_to"):
        return manager.visible_to(request.user)
    return manager.all()


class VisibleFieldsMixin:
    """Choices of related rows are the visible ones, in the form and when it is posted."""

    def get_field_queryset(
        self,
        db: str | None,
        db_field: ForeignKey[Any, Any] | ManyToManyField[Any, Any],
        request: HttpRequest,
    ) -> QuerySet[Any]:
        ordered: QuerySet[Any] | None = super().get_field_queryset(db, db_field, request)  # type: ignore[misc]
        visible = visible_rows(db_field.remote_field.model, request)
        return visible if ordered is None else visible.order_by(*ordered.query.order_by)


class VisibleModelAdmin(VisibleFieldsMixin, admin.ModelAdmin):
    """List, detail, search, autocomplete and actions start at `visible_to(request.user)`.

    A model without `visible_to` names in `visible_through` the relation whose rule decides
    ("lead", "ticket", "session"); with neither, the Django permission alone decides.
    A related field that attendants must keep but may not see the value of belongs in
    `get_readonly_fields`: its choices hold visible rows only.
    """

    visible_through: str = ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = visible_rows(self.model, request)
        if self.visible_through:
            parent = self.model._meta.get_field(self.visible_through).related_model
            visible_parents = visible_rows(parent, request).values("pk")
            queryset = queryset.filter(**{f"{self.visible_through}__in": visible_parents})
        return queryset.order_by(*self.get_ordering(request) or queryset.query.order_by)


class ReadOnlyModelAdmin(VisibleModelAdmin):
    """May be looked at by whoever has the view permission; nobody adds, changes or deletes here."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ReadOnlyTabularInline(admin.TabularInline):
    """Rows of a record shown below it, written by services alone."""

    extra = 0
    max_num = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
