"""`make run`: from a fresh clone to a running site. Safe to run again.

    python -m config.first_run

Writes `.env` and the first admin once, brings the database up to date, and starts the Procfile's
web and worker on this machine only.
"""

import os
import secrets
import socket
import sys
from pathlib import Path

import django
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connections
from honcho import manager
from honcho.environ import parse_procfile

from config import env

ROOT = Path(__file__).resolve().parent.parent
ENV_FILE = ROOT / ".env"
HOST = "127.0.0.1"
PROCESSES = ("web", "worker")
# The worker may be in the middle of a call to a provider when Ctrl-C comes.
SECONDS_TO_STOP = 30


def main() -> int:
    os.chdir(ROOT)
    port = env.number("PORT", default=8000, at_least=1)
    _refuse_taken(port)
    _write_env_file(port)
    env.load(ENV_FILE)
    _follow_port(port)
    _prepare_database()
    _print_address(*_admin())
    return _run_processes(port)


def _refuse_taken(port: int) -> None:
    """Say it now, in words: the web process would only say it among its other lines."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise SystemExit(
                f"Port {port} cannot be used ({error.strerror}). Is Atende running already? "
                f"Another one: make run PORT={port + 1}"
            ) from error


def _write_env_file(port: int) -> None:
    """Write `.env` unless there is one, readable by its owner alone.

    What the environment already says is kept: it wins now, and must still hold the next time.
    """
    if ENV_FILE.exists():
        return
    defaults = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "FIELD_ENCRYPTION_KEY": Fernet.generate_key().decode(),
        "SITE_URL": _local_url(port),
        "ALLOWED_HOSTS": f"{HOST},localhost",
    }
    lines = [f"{name}={env.text(name, default)}\n" for name, default in defaults.items()]
    descriptor = os.open(ENV_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write("# Written by `make run`; see .env.example for every setting.\n")
        file.writelines(lines)
    _say("Wrote .env with new keys. Keep it: without it, stored credentials cannot be read.")


def _follow_port(port: int) -> None:
    """A local SITE_URL of an earlier run may name another port."""
    if env.text("SITE_URL").startswith((f"http://{HOST}:", "http://localhost:")):
        os.environ["SITE_URL"] = _local_url(port)


def _prepare_database() -> None:
    (ROOT / "var").mkdir(exist_ok=True)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    _say("Preparing the database…")
    call_command("migrate", interactive=False, verbosity=0)
    call_command("sync_default_channel")
    call_command("load_flows")


def _admin() -> tuple[str, str | None]:
    """Who can log in as an admin, and the password if that admin was made just now."""
    from users.models import Role, User  # noqa: PLC0415  # after django.setup()

    admins = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("id")
    if existing := admins.first():
        return existing.username, None
    password = secrets.token_urlsafe(12)
    User.objects.create_superuser(username="admin", password=password)
    return "admin", password


def _print_address(username: str, password: str | None) -> None:
    lines = [f"Atende:    {env.text('SITE_URL')}/", f"User:      {username}"]
    if password is not None:
        lines.append(f"Password:  {password}   (shown only now)")
    rule = "─" * max(map(len, lines))
    _say("\n".join(["", rule, *lines, rule, "Ctrl-C stops it.", ""]))


def _run_processes(port: int) -> int:
    """Run web and worker until one ends or Ctrl-C; 0 when it was stopped on purpose."""
    connections.close_all()  # honcho forks
    manager.KILL_WAIT = SECONDS_TO_STOP
    running = manager.Manager()
    commands = parse_procfile((ROOT / "Procfile").read_text()).processes
    for name in PROCESSES:
        running.add_process(name, commands[name], env=_process_environment(port), cwd=str(ROOT))
    running.loop()
    stopped_on_purpose = running.returncode in {signal["rc"] for signal in manager.SIGNALS.values()}
    return 0 if stopped_on_purpose else running.returncode or 1


def _process_environment(port: int) -> dict[str, str]:
    """The Procfile's `python` and `gunicorn` are those of this virtual environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {
        **os.environ,
        "PATH": path,
        "PYTHONUNBUFFERED": "1",
        "PORT": str(port),
        "GUNICORN_CMD_ARGS": f"--bind {HOST}:{port}",
    }


def _local_url(port: int) -> str:
    return f"http://{HOST}:{port}"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
