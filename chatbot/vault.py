"""Secrets of the site, put into the headers of a request at the moment it is made.

A flow names them (`{{ secret.crm }}`), and so do its log and the task that waits: the value stands
in the table alone, encrypted, and in the request.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

from django.utils import timezone

from chatbot.engine.render import placeholders, render
from chatbot.models import Flow, Secret

PREFIX = "secret."
VALUE = "value"  # the key in the encrypted content
USED_EVERY = timedelta(minutes=1)  # how exact `used_at` is; spares a write a request


class MissingSecret(LookupError):
    """A header names a secret that is not there, or that no key opens any more."""


def filled(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers with the secrets that they name. Raises MissingSecret."""
    if not headers:
        return {}
    names = {
        name.removeprefix(PREFIX)
        for text in headers.values()
        for name, _default in placeholders(text)
        if name.startswith(PREFIX)
    }
    known = {row.name: row for row in Secret.objects.filter(name__in=names)}
    values = {
        f"{PREFIX}{name}": str(row.value[VALUE])
        for name, row in known.items()
        if row.value.get(VALUE)
    }
    missing = sorted(name for name in names if f"{PREFIX}{name}" not in values)
    if missing:
        raise MissingSecret(", ".join(missing))
    now = timezone.now()
    stale = [row.pk for row in known.values() if not row.used_at or row.used_at < now - USED_EVERY]
    if stale:
        Secret.objects.filter(pk__in=stale).update(used_at=now)
    return {name: render(text, values) for name, text in headers.items()}


def flows_that_name(name: str) -> list[Flow]:
    """The flows whose draft or version on air names the secret, by their names."""
    wanted = "{{" + PREFIX + name + "}}"
    flows = Flow.objects.select_related("published").order_by("name")
    return [
        flow
        for flow in flows
        if wanted in _squeezed(flow.draft)
        or (flow.published is not None and wanted in _squeezed(flow.published.document))
    ]


def _squeezed(document: object) -> str:
    return "".join(json.dumps(document, ensure_ascii=False).split())
