"""Check flow files without running them: the document, and the conversations kept beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import flow_files
from chatbot.findings import ERROR, Finding
from chatbot.flow_files import FlowFile


class Command(BaseCommand):
    help = (
        "Check flow files, JSON or YAML (the shipped ones by default), and hold their golden "
        "conversations. Fails when there is an error. "
        "Needs no database, unless --site asks for this site's departments, channels, templates "
        "and secrets."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="*", type=Path, help="Flow files or folders of them.")
        parser.add_argument("--site", action="store_true", help="Know this site's departments.")
        parser.add_argument("--json", action="store_true", help="Answer for programs.")

    def handle(self, *args: Any, **options: Any) -> None:
        reports = flow_files.check_files(_files(options["paths"]), with_site=options["site"])
        if options["json"]:
            answer = [_as_json(one) for one in reports]
            self.stdout.write(json.dumps(answer, ensure_ascii=False, indent=2, default=str))
        else:
            self._print(reports)
        errors = sum(finding.is_error for report in reports for finding in report.findings)
        if errors:
            raise CommandError(f"{errors} error(s) in {len(reports)} flow file(s).")

    def _print(self, reports: list[FlowFile]) -> None:
        for report in reports:
            name = os.path.relpath(report.path)
            for finding in report.findings:
                self.stdout.write(f"{name}: {_line(finding)}")
            told = f"{len(report.findings)} finding(s)" if report.findings else "nothing found"
            self.stdout.write(f"{name}: {told}, {report.conversations} golden conversation(s)")


def _files(paths: list[Path]) -> list[Path]:
    if not paths:
        return flow_files.shipped_files()
    files = [file for path in paths for file in _files_of(path)]
    if not files:
        raise CommandError("There is no flow file there.")
    return files


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return flow_files.flow_files_in(path)
    if not path.is_file():
        raise CommandError(f"There is no file {path}.")
    return [path]


def _line(finding: Finding) -> str:
    way = f" (by way of {' → '.join(finding.path)})" if len(finding.path) > 1 else ""
    return f"{finding.severity} {finding.code}: {finding.sentence}{way}"


def _as_json(report: FlowFile) -> dict[str, Any]:
    return {
        "path": os.path.relpath(report.path),
        "ok": not any(finding.severity == ERROR for finding in report.findings),
        "conversations": report.conversations,
        "findings": [finding.as_dict() for finding in report.findings],
    }
