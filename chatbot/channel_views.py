"""The page that tests a channel and mends what can be mended from here. For admins."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from chatbot import channel_test
from chatbot.channels.base import Check, CheckLevel, SendError
from chatbot.models import Incident
from chatbot.requests import StaffRequest
from sessions_app.models import Channel


@require_http_methods(["GET", "POST"])
def test(request: StaffRequest, channel_id: int) -> HttpResponse:
    """GET shows what is known here; POST asks the provider too and shows its answers."""
    channel = _channel(request, channel_id)
    now = timezone.now()
    is_tested = request.method == "POST"
    look = channel_test.run if is_tested else channel_test.examine
    checks = look(channel, now=now)
    incidents = Incident.objects.visible_to(request.user).open().filter(channel=channel)
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": _("Test of %(channel)s") % {"channel": channel},
        "channel": channel,
        "checks": checks,
        "use": channel_test.use_of(channel),
        "is_tested": is_tested,
        "verdict": _verdict(checks),
        "incidents": list(incidents),
    }
    return TemplateResponse(request, "chatbot/channel_test.html", context)


@require_POST
def mend(request: StaffRequest, channel_id: int) -> HttpResponse:
    """Do what a check offered, then look again."""
    channel = _channel(request, channel_id)
    what = request.POST.get("what", "")
    try:
        channel_test.mend(channel, what)
    except SendError as error:
        text = _("That did not work (%(reason)s). Nothing was changed.") % {"reason": error}
        messages.error(request, text)
    else:
        messages.success(request, _DONE.get(what, lambda: _("Done."))())
    return redirect("channel_test", channel_id=channel.pk)


_DONE = {
    channel_test.RESUME: lambda: _("Sending goes on. What waited is sent now."),
    "subscribe": lambda: _("The app is subscribed. Test the channel again."),
}


def _channel(request: StaffRequest, channel_id: int) -> Channel:
    if not request.user.is_admin:
        raise PermissionDenied
    return get_object_or_404(Channel.objects.visible_to(request.user), pk=channel_id)


def _verdict(checks: list[Check]) -> str:
    """The worst answer."""
    levels = {check.level for check in checks}
    order = (CheckLevel.ERROR, CheckLevel.WARNING, CheckLevel.OK)
    return next((level.value for level in order if level in levels), CheckLevel.OK.value)
