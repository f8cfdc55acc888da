"""The cost page: what messages cost in a month, on the screen and as a file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from chatbot import costs
from chatbot.models import MessageCount
from chatbot.requests import StaffRequest
from users import audit
from users.spreadsheets import as_csv


@require_GET
def page(request: StaffRequest) -> HttpResponse:
    _check(request)
    months = costs.months_with_counts(timezone.localdate())
    month = _month(request, months)
    report = costs.report_of(month)
    context = {
        **admin.site.each_context(request),
        "title": _("Message costs"),
        "report": report,
        "month": month,
        "months": months,
        "previous_month": costs.month_before(month),
        "change": _change(report),
    }
    return TemplateResponse(request, "chatbot/costs.html", context)


@require_GET
def export(request: StaffRequest) -> HttpResponse:
    """The same figures for a spreadsheet: UTF-8 with a mark, semicolons, decimal commas."""
    _check(request)
    month = _month(request, costs.months_with_counts(timezone.localdate()))
    audit.exported(MessageCount, query=request.GET.urlencode())
    lines = as_csv(_rows(costs.report_of(month)))
    response = HttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"custos-{month:%Y-%m}.csv"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _check(request: StaffRequest) -> None:
    """Money is the admins' matter."""
    if not request.user.is_admin:
        raise PermissionDenied


def _month(request: StaffRequest, months: list[date]) -> date:
    """The month asked for, if it is one of these; else the present one."""
    wanted = request.GET.get("month", "")
    return next((one for one in months if f"{one:%Y-%m}" == wanted), months[0])


def _change(report: costs.Report) -> dict[str, str]:
    """How the month compares with the one before it, in messages and in money."""
    now, before = report.total.sum, report.before.sum
    change = {"messages": _percent(now.total, before.total), "cost": ""}
    if len(before.costs) == 1 and before.costs.keys() == now.costs.keys():
        ((currency, amount),) = before.costs.items()
        change["cost"] = _percent(now.costs[currency], amount)
    return change


def _percent(now: Any, before: Any) -> str:
    """ "+12%"; nothing when there is nothing to compare with."""
    if not before:
        return ""
    return f"{round(100 * (now - before) / before):+d}%"


def _rows(report: costs.Report) -> Iterator[list[object]]:
    yield [
        _("Month"),
        _("Channel"),
        _("Category"),
        _("Messages"),
        _("Free"),
        _("In the allowance"),
        _("Charged"),
        _("Without a price"),
        _("Currency"),
        _("Cost"),
    ]
    for bill in [*report.channels, report.total]:
        for line in bill.lines:
            yield [
                f"{report.month:%Y-%m}",
                bill.name,
                line.label,
                line.total,
                line.free,
                line.allowed,
                line.charged,
                line.unpriced,
                " + ".join(sorted(line.costs)),
                " + ".join(_amount(line.costs[one]) for one in sorted(line.costs)),
            ]


def _amount(amount: Decimal) -> str:
    return number_format(amount, 4, use_l10n=True)
