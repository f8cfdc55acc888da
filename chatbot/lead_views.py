"""What chatbot adds to the page of a lead: the rest of its timeline, and all data of the person."""

from __future__ import annotations

from django.contrib.admin.models import CHANGE, LogEntry
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from chatbot import lead_timeline as line
from chatbot.person_export import everything_about
from chatbot.requests import StaffRequest
from leads.models import Lead
from users import audit
from users.confirming import confirmed


@require_GET
def timeline(request: StaffRequest, lead_id: int) -> HttpResponse:
    """A page of the line; without `before` its newest entries."""
    lead = _lead(request, lead_id)
    tab, given = request.GET.get("tab", ""), request.GET.get("before", "")
    before = line.Cursor.read(given)
    if tab not in line.TABS or (given and before is None):
        raise Http404
    shown = line.timeline(lead, user=request.user, tab=tab, before=before)
    return TemplateResponse(
        request, "chatbot/_lead_entries.html", {"lead": lead, "line": shown, "request": request}
    )


@require_POST
@confirmed()
def export(request: StaffRequest, lead_id: int) -> HttpResponse:
    """Everything we keep about the person, as a file; who took it stands in the history."""
    if not request.user.is_admin:
        raise PermissionDenied
    lead = _lead(request, lead_id)
    said = _("The data of this person were exported.")
    entries = LogEntry.objects  # door: a row of the history is written, none is read
    entries.log_actions(request.user.pk, [lead], CHANGE, said, single_object=True)
    audit.acted(lead, audit.EXPORTED)
    answer = JsonResponse(
        everything_about(lead), json_dumps_params={"ensure_ascii": False, "indent": 2}
    )
    answer["Content-Disposition"] = f'attachment; filename="lead-{lead.pk}.json"'
    return answer


def _lead(request: StaffRequest, lead_id: int) -> Lead:
    return get_object_or_404(Lead.objects.visible_to(request.user), pk=lead_id)
