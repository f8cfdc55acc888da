"""How the web processes run. WEB_CONCURRENCY says how many; PORT where they listen."""

import gc
import os
from pathlib import Path

from prometheus_client import multiprocess

from config import env

env.load(Path(__file__).parent / ".env")

bind = f"0.0.0.0:{env.number('PORT', default=8000)}"
# SQLite has one writer at a time: a second process would only wait for the first.
on_sqlite = env.text("DATABASE_URL", default="sqlite").startswith("sqlite")
workers = env.number("WEB_CONCURRENCY", default=1 if on_sqlite else 2, at_least=1)

worker_class = "gthread"
threads = 4
timeout = 30
graceful_timeout = 25
keepalive = 5
# Loaded once and forked: a process that takes over from another answers at once.
preload_app = True
max_requests = 50_000
max_requests_jitter = 10_000
control_socket_disable = True  # otherwise it makes a socket in the home directory
# config.middleware judges forwarded headers, by TRUSTED_PROXIES; one judge is enough.
forwarded_allow_ips = ""


def when_ready(server):
    server.log.info("Atende answers at %s", env.text("SITE_URL", default=bind))


def pre_fork(server, worker):
    """What was loaded stays: the collector of the processes need not look through it again."""
    gc.collect()
    gc.freeze()


def child_exit(server, worker):
    """Forget the gauges of a process that is gone."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        multiprocess.mark_process_dead(worker.pid)
