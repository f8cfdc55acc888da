"""The environment of the run: nothing of the user's own settings, database or `.env`."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from cryptography.fernet import Fernet

from chatbot.soak.plan import Plan

# Empty counts as not set, and what is in the environment wins over `.env`.
_SETTING = re.compile(r"^([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def environment_of(plan: Plan, folder: Path, *, root: Path, database_url: str) -> dict[str, str]:
    """`root`: where the program is, with the `.env.example` that names every setting."""
    names = _SETTING.findall((root / ".env.example").read_text())
    inherited = {name: one for name, one in os.environ.items() if name not in _NOT_INHERITED}
    return {
        **inherited,
        **dict.fromkeys(names, ""),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "SECRET_KEY": secrets.token_hex(32),
        "FIELD_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "SITE_URL": plan.web_url,
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": database_url,
        "MEDIA_ROOT": str(folder / "media"),
        "GRAPH_API_URL": plan.graph_url,
        "WEB_CONCURRENCY": str(plan.web),
        "PORT": str(plan.web_port),
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONUNBUFFERED": "1",
    }


_NOT_INHERITED = frozenset({"PROMETHEUS_MULTIPROC_DIR", "GUNICORN_CMD_ARGS"})
