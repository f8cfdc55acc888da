"""What every staff screen starts from: only rows that the person may see.

Other apps build their ModelAdmins on these classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.db.models.fields.related import RelatedField
from django.http import HttpRequest, HttpResponseRedirect

from users.errors import DomainError


def visible_rows(model: type[Model], request: HttpRequest) -> QuerySet[Any]:
    """`model.objects.visible_to(user)`; every row of a model that has no such rule."""
    manager = model._default_manager
    if hasattr(manager, "visible_to"):
        return manager.visible_to(request.user)
    return manager.all()


class VisibleModelAdmin(admin.ModelAdmin):
    """List, detail, search, autocomplete and actions start at `visible_to(request.user)`.

    A model without `visible_to` names in `visible_through` the relation whose rule decides
    ("lead", "ticket", "session"); with neither, the Django permission alone decides.
    Choices of related rows are visible rows too, so a related field whose value the person may
    not see belongs in `get_readonly_fields`.
    What a service refuses (DomainError) is shown as a message, and nothing is saved.
    """

    visible_through: str = ""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = visible_rows(self.model, request)
        if self.visible_through:
            parent = self.model._meta.get_field(self.visible_through).related_model
            visible_parents = visible_rows(parent, request).values("pk")
            queryset = queryset.filter(**{f"{self.visible_through}__in": visible_parents})
        return queryset.order_by(*self.get_ordering(request) or queryset.query.order_by)

    def get_field_queryset(
        self,
        db: str | None,
        db_field: RelatedField[Any, Any],
        request: HttpRequest,
    ) -> QuerySet[Any]:
        ordered = super().get_field_queryset(db, db_field, request)
        visible = visible_rows(db_field.remote_field.model, request)
        return visible if ordered is None else visible.order_by(*ordered.query.order_by)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as refusal:
            return self._show(refusal, request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        try:
            return super().changelist_view(request, extra_context)
        except DomainError as refusal:
            return self._show(refusal, request)

    def do_to_each(
        self, request: HttpRequest, rows: Iterable[Any], act: Callable[[Any], Any]
    ) -> int:
        """An action on chosen rows: a refusal is shown and the rest goes on. How many it was done
        to."""
        count = 0
        for row in rows:
            try:
                act(row)
            except DomainError as refusal:
                self.message_user(request, f"{row}: {refusal.message}", messages.ERROR)
            else:
                count += 1
        return count

    def tell_count(self, request: HttpRequest, text: str, count: int) -> None:
        """Say `text` about `count` rows; it is no success when there were none."""
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, text % {"count": count}, level)

    def _show(self, refusal: DomainError, request: HttpRequest) -> HttpResponseRedirect:
        self.message_user(request, refusal.message, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())


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

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """All of them, so that those a form never has (auto_now_add) can be shown too."""
        return self.readonly_fields or self.fields or ()

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False
