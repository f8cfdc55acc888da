"""What a platform asks: is the process alive, may it get traffic, how is it doing."""

import os
import secrets

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Gauge,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from chatbot.incidents import count_open
from chatbot.web_watch import watch


@login_not_required
@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers. Asks nothing of anybody else, so a restart is the right cure."""
    return JsonResponse({"status": "ok"})


@login_not_required
@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Everything the product needs is there: 200, or 503 with what is missing."""
    checks = {"database": _database()}
    if checks["database"] == "ok":
        checks |= {"migrations": _migrations(), "worker": _worker()}
    ready = all(answer == "ok" for answer in checks.values())
    body = {"status": "ok" if ready else "not ready", "checks": checks}
    return JsonResponse(body, status=200 if ready else 503)


@login_not_required
@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format, for the bearer of METRICS_TOKEN; 404 while there is none."""
    if not settings.METRICS_TOKEN:
        raise Http404
    expected = f"Bearer {settings.METRICS_TOKEN}".encode()
    given = request.headers.get("Authorization", "").encode()
    if not secrets.compare_digest(given, expected):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    shown = generate_latest(_registry()) + generate_latest(_open_incidents())
    return HttpResponse(shown, content_type=CONTENT_TYPE_LATEST)


def _database() -> str:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return "does not answer"
    return "ok"


def _migrations() -> str:
    """Asked on every call and not remembered: a deploy migrates under running processes."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return f"{len(plan)} not applied" if plan else "ok"


def _worker() -> str:
    try:
        has_worker = watch.look_for_worker(now=timezone.now())
    except DatabaseError:
        return "nobody knows: the database does not answer"
    return "ok" if has_worker else "no heartbeat in the last minute"


def _open_incidents() -> CollectorRegistry:
    """The same in every process: read from the database as it is asked, in one statement. Without a
    database the other figures are still shown."""
    registry = CollectorRegistry()
    gauge = Gauge("atende_open_incidents", "Incidents that are open", ["kind"], registry=registry)
    try:
        for kind, count in count_open().items():
            gauge.labels(kind).set(count)
    except DatabaseError:
        registry.unregister(gauge)
    return registry


def _registry() -> CollectorRegistry:
    """All processes of this host when PROMETHEUS_MULTIPROC_DIR is set, else this one."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
