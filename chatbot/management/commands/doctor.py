"""Look whether this installation can do its job, and say what to do where it cannot."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from chatbot.doctor import Diagnosis, Level, examine


class Command(BaseCommand):
    help = (
        "Check settings, database, worker, channels, flows and files. Changes nothing; "
        "fails when something is an error."
    )
    requires_system_checks = []  # they are one of the questions

    def handle(self, *args: Any, **options: Any) -> None:
        styles = {
            Level.OK: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.ERROR: self.style.ERROR,
        }
        errors = 0
        for diagnosis in examine():
            errors += diagnosis.level is Level.ERROR
            self.stdout.write(_line(diagnosis), styles[diagnosis.level])
        if errors:
            raise CommandError(f"{errors} error(s).")


def _line(diagnosis: Diagnosis) -> str:
    line = f"{diagnosis.level:<8} {diagnosis.about}: {diagnosis.state}"
    return f"{line}\n{'':8} → {diagnosis.cure}" if diagnosis.cure else line
