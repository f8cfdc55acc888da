"""The audit's page, and the same list as a file."""

from __future__ import annotations

from collections.abc import Iterator

from auditlog.models import LogEntry
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone, translation
from django.utils.formats import date_format
from django.utils.translation import get_language, gettext_noop
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from config import audit_trail
from users import audit
from users.confirming import confirmed
from users.models import User
from users.spreadsheets import as_csv, as_xlsx

MOST_ROWS = 100_000  # of a file; the filters make it smaller
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """Who did what, newest first; narrowed by what the address says."""
    _check(request)
    question = audit_trail.question_of(request.GET)
    shown = audit_trail.page(question, before=request.GET.get("before", ""))
    people = User.objects.visible_to(request.user).order_by("first_name", "username")
    context = {
        **admin.site.each_context(request),
        "title": _("Audit"),
        "entries": shown.entries,
        "question": question,
        "people": people.only("pk", "username", "first_name", "last_name"),
        "kinds": audit_trail.KINDS.items(),
        "objects": [
            (model._meta.label_lower, model._meta.verbose_name) for model in audit_trail.subjects()
        ],
        "chosen_object": question.model._meta.label_lower if question.model else "",
        "filters": _filters(request.GET).urlencode(),
        "older": _with(request.GET, before=shown.next) if shown.next else "",
        "is_later_page": bool(request.GET.get("before")),
    }
    return TemplateResponse(request, "admin/audit.html", context)


@confirmed(download=True)
@require_GET
def export(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    """Taking the audit away is an act that the audit keeps."""
    _check(request)
    question = audit_trail.question_of(request.GET)
    is_xlsx = request.GET.get("format") == "xlsx"
    kind = "xlsx" if is_xlsx else "csv"
    filters = _filters(request.GET).urlencode()
    audit.exported(LogEntry, what=gettext_noop("audit"), format=kind, query=filters)
    rows = _rows(question, get_language())
    answer: HttpResponse | StreamingHttpResponse = (
        HttpResponse(as_xlsx(rows), content_type=XLSX)
        if is_xlsx
        else StreamingHttpResponse(as_csv(rows), content_type="text/csv; charset=utf-8")
    )
    name = f"auditoria-{timezone.localdate():%Y-%m-%d}.{kind}"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _check(request: HttpRequest) -> None:
    """The audit is the admins' matter, whatever a model's own rule says."""
    if not request.user.has_perm("auditlog.view_logentry"):
        raise PermissionDenied


def _rows(question: audit_trail.Question, language: str | None) -> Iterator[list[object]]:
    """In the person's language, although their request is over when the file is written."""
    with translation.override(language):
        heads: list[object] = [_("When"), _("Who"), _("What"), _("About"), _("Name")]
        heads += [_("Before → after"), _("Details"), _("Address")]
    yield heads
    entries = audit_trail.every(question, most=MOST_ROWS)
    while True:
        with translation.override(language):
            entry = next(entries, None)
            if entry is None:
                return
            line = _line(entry)
        yield line


def _line(entry: audit_trail.Entry) -> list[object]:
    changes = (f"{one.label}: {one.before} → {one.after}" for one in entry.changes)
    return [
        date_format(timezone.localtime(entry.at), "Y-m-d H:i:s"),
        entry.who,
        entry.what,
        entry.subject_kind,
        entry.subject,
        "; ".join(changes),
        entry.details,
        entry.address,
    ]


def _filters(given: QueryDict) -> QueryDict:
    """What of an address narrows the list, without the place in it."""
    kept = QueryDict(mutable=True)
    for name in ("q", "who", "kind", "object", "row", "since", "until"):
        if given.get(name):
            kept[name] = given.get(name, "")
    return kept


def _with(given: QueryDict, **more: str) -> str:
    query = _filters(given)
    for name, value in more.items():
        query[name] = value
    return query.urlencode()
