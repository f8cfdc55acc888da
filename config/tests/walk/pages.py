"""Every page that is shown to somebody who looks, with a value where its address takes one."""

from __future__ import annotations

from collections.abc import Iterator

from config.tests.walk import rules, values
from config.tests.walk.routes import routes
from config.tests.walk.world import World

NO_PAGES = {"healthz", "readyz", "metrics"}


def pages(world: World) -> Iterator[str]:
    for route in routes():
        if route.is_api or route.stock == "redirect" or route.name in NO_PAGES:
            continue
        if route.of is not None:
            _kind, name = rules.MODELS[route.of.model._meta.label_lower]
            row = getattr(world, name, None) or world.case("own")[name]
            yield route.path(**({"object_id": row.pk} if route.takes else {}))
        elif rules.RULES[route.name].methods != rules.WRITE:
            yield values.path(world, route, "own")
