"""`manage.py worker` with shorter waits, for a soak that must be over soon.

    python -m chatbot.soak.hurried '{"lease": 6, "unconfirmed": 4}' --threads 8

Nothing but a soak may wait less: a lease that is shorter than a call sends twice. The report says
which waits were changed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django
from django.core.management import call_command

from chatbot import leases


def main() -> None:
    waits = json.loads(sys.argv[1])
    if "lease" in waits:
        # Before the modules that take it over by name.
        leases.LEASE = timedelta(seconds=waits["lease"])
        _default(leases.claim, "lease", leases.LEASE)
    django.setup()
    _shorten(waits)
    call_command("worker", *sys.argv[2:])


def _shorten(waits: dict[str, float]) -> None:
    from chatbot import consequences, delivery, worker  # noqa: PLC0415  # after the lease is set
    from chatbot.channels import http  # noqa: PLC0415  # needs the settings

    if "unconfirmed" in waits:
        delivery.UNCONFIRMED_AFTER = timedelta(seconds=waits["unconfirmed"])
    if "pause" in waits:
        consequences.PAUSE_FOR = timedelta(seconds=waits["pause"])
    if "periodic" in waits:
        worker.PERIODIC_SECONDS = waits["periodic"]
    if "call" in waits:
        _default(http.post_json, "timeout", (http.TIMEOUT[0], waits["call"]))


def _default(function: Callable[..., Any], name: str, value: Any) -> None:
    """Another default of a keyword-only parameter. Raises KeyError when there is no such one."""
    if name not in (function.__kwdefaults__ or {}):
        raise KeyError(name)
    function.__kwdefaults__ = {**(function.__kwdefaults__ or {}), name: value}


if __name__ == "__main__":
    main()
