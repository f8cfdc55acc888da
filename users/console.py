"""What every staff screen starts from: only rows that the person may see.

Other apps build their ModelAdmins on these classes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.db.models import Model, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.fields.related import RelatedField
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import translation
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from users import audit, confirming, contact
from users.errors import DomainError
from users.permissions import person

_BY_KEY: tuple[list[str], ...] = ([], ["exact"], ["id", "exact"], ["pk", "exact"])
View = TypeVar("View", bound=Callable[..., Any])


def background(view: View) -> View:
    """Mark a view that pages call by themselves (polls, heartbeats): no sign of a person at work,
    so it keeps nobody logged in and nobody available."""
    view.is_background = True  # type: ignore[attr-defined]  # read by users.middleware
    return view


def without_code(view: View) -> View:
    """Mark a view that a login may reach before it has given the code that it owes."""
    view.is_without_code = True  # type: ignore[attr-defined]  # read by users.middleware
    return view


def toast(response: HttpResponse, text: str, *, undo_url: str = "") -> HttpResponse:
    """Show `text` for a moment after htmx has taken `response`; with `undo_url` (POST) it can be
    undone from there."""
    shown = json.dumps({"toast": {"text": text, "undo": undo_url}})  # ASCII, as headers must be
    response["HX-Trigger"] = shown
    return response


def log_reveal(request: HttpRequest, obj: Model, *, name: str | Promise) -> None:
    """Keep in the object's history, and in the audit, that this person had the masked value `name`
    shown. The audit keeps a lazy name as it is in the program, and says it in its reader's
    language."""
    said = gettext("%(name)s was shown.") % {"name": name}
    LogEntry.objects.log_actions(person(request).pk, [obj], CHANGE, said, single_object=True)
    with translation.override(None):
        kept = str(name)
    audit.acted(obj, audit.REVEALED, value=kept)


def visible_rows(model: type[Model], request: HttpRequest) -> QuerySet[Any]:
    """`model.objects.visible_to(user)`; every row of a model that has no such rule."""
    manager = model._default_manager
    if hasattr(manager, "visible_to"):
        return manager.visible_to(request.user)
    return manager.all()


def code_filter(words: Callable[[str], str]) -> type[admin.AllValuesFieldListFilter]:
    """A filter by codes, stored as the provider writes them; `words` says one for people."""

    class CodeFilter(admin.AllValuesFieldListFilter):
        def choices(self, changelist: Any) -> Any:
            for choice in super().choices(changelist):
                code, bracket, count = str(choice["display"]).partition(" (")  # the facet's count
                yield {**choice, "display": f"{words(code)}{bracket}{count}"}

    return CodeFilter


class RelatedFilter(admin.RelatedOnlyFieldListFilter):
    """By a related row, of those that occur; having none is a choice with a name."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.empty_value_display = _("Empty")  # type: ignore[assignment]  # text, not markup


class VisibleModelAdmin(admin.ModelAdmin):
    """List, detail, search, autocomplete and actions start at `visible_to(request.user)`.

    A model without `visible_to` names in `visible_through` the relation whose rule decides
    ("lead", "ticket", "session"); with neither, the Django permission alone decides.
    Choices of related rows are visible rows too, so a related field whose value the person may
    not see belongs in `get_readonly_fields`.
    What a service refuses (DomainError) is shown as a message, and nothing is saved.
    """

    visible_through: str = ""
    # What asks again who is there (users.confirming): add, change, delete, and actions by name.
    confirms: frozenset[str] = frozenset({"delete", "delete_selected"})
    # Below the rows that they are about: nothing moves when the first one is chosen.
    actions_on_top = False
    actions_on_bottom = True

    def get_action_choices(self, request: HttpRequest, default_choices: Any = None) -> Any:
        return super().get_action_choices(request, default_choices or [("", _("Choose an action"))])

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By words where the model has them indexed (`matching`), else by `search_fields`."""
        if search_term.strip() and hasattr(queryset, "matching"):
            return queryset.matching(search_term), False
        return super().get_search_results(request, queryset, search_term)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Without what is hidden from the person."""
        return contact.searchable(super().get_search_fields(request), self.model)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset = visible_rows(self.model, request)
        if self.visible_through:
            parent = self.model._meta.get_field(self.visible_through).related_model
            visible_parents = visible_rows(parent, request).values("pk")
            queryset = queryset.filter(**{f"{self.visible_through}__in": visible_parents})
        return queryset.order_by(*self.get_ordering(request) or queryset.query.order_by)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list offers to filter by, and rows of one related row. By any other column
        an address could spell out, letter by letter, what its rows mask."""
        if request is None or not super().lookup_allowed(lookup, value, request):
            return False
        name, *rest = lookup.split(LOOKUP_SEP)
        field = next((one for one in self.opts.get_fields() if one.name == name), None)
        if field is None or (field.concrete and field.is_relation and rest in _BY_KEY):
            return True
        return name in {"id", self.date_hierarchy, *self._filtered_by(request)}

    def _filtered_by(self, request: HttpRequest) -> Iterator[str]:
        """The fields, and names in addresses, of the list's filters."""
        for one in self.get_list_filter(request):
            path = one[0] if isinstance(one, tuple | list) else one
            name = path if isinstance(path, str) else getattr(path, "parameter_name", "")
            yield str(name).split(LOOKUP_SEP)[0]

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
        asked = self._ask(request, "change" if object_id else "add")
        if asked is not None:
            return asked
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DomainError as refusal:
            return self._show(refusal, request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> Any:
        # Of several, Django takes the one that the button's number names.
        asked = self._ask(request, *request.POST.getlist("action"))
        if asked is not None:
            return asked
        try:
            return super().changelist_view(request, extra_context)
        except DomainError as refusal:
            return self._show(refusal, request)

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> Any:
        asked = self._ask(request, "delete")
        return asked or super().delete_view(request, object_id, extra_context)

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

    def _ask(self, request: HttpRequest, *acts: str) -> HttpResponse | None:
        """The page that asks who is there, before a dangerous act is done; reading asks nothing."""
        is_asked = request.method == "POST" and not self.confirms.isdisjoint(acts)
        return confirming.ask(request) if is_asked else None

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
