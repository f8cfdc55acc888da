"""Says at the end how much was walked, wherever the tests ran."""

from __future__ import annotations

from typing import Any

from config.tests.walk.quiet import _no_look_at_queries

__all__ = ["_no_look_at_queries"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    walked = [
        value
        for report in terminalreporter.stats.get("passed", [])
        for name, value in report.user_properties
        if name == "walked"
    ]
    if not walked:
        return
    requests = sum(asked for _role, _routes, asked in walked)
    routes = max(count for _role, count, _asked in walked)
    roles = len([role for role, _routes, _asked in walked if " " not in role])
    terminalreporter.write_line(f"walked {routes} routes x {roles} roles, {requests} requests")
