"""Every address of the site, read from the resolver: nothing is listed by hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import ModelAdmin
from django.urls import URLPattern, URLResolver, get_resolver

STOCK = ("changelist", "add", "history", "delete", "change")
_ADDRESS = re.compile(r"^admin/(\w+)/(\w+)/")


@dataclass(frozen=True)
class Route:
    """`name` is what its rule stands under: the URL's name, or its address where it has none.
    `of` is the ModelAdmin of a page that every ModelAdmin has, `stock` which one it is."""

    name: str
    address: str
    view: Callable[..., Any]
    pattern: URLPattern
    parents: tuple[URLResolver, ...]
    methods: tuple[str, ...] = ()  # of a viewset: those it declares
    of: ModelAdmin[Any] | None = None
    stock: str = ""

    @property
    def takes(self) -> tuple[str, ...]:
        """The names of the values in the address, in its order."""
        found = [
            (name, place)
            for place, name in enumerate(re.findall(r"<(?:\w+:)?(\w+)>", self.address))
        ]
        return tuple(name for name, _place in found)

    @property
    def is_api(self) -> bool:
        return self.address.startswith("api/v1/") and bool(self.methods)

    def path(self, **values: Any) -> str:
        """The address with these values, without asking `reverse`: nameless ones count too."""
        address = self.address
        for name in self.takes:
            address = re.sub(
                rf"\(\?P<{name}>(?:\[[^\]]*\]|[^()\[\]])*\)|<(?:\w+:)?{name}>",
                str(values[name]).replace("\\", r"\\"),
                address,
            )
        return "/" + address.replace("^", "").replace("/?$", "/").replace("$", "")


def routes(urlconf: str | None = None) -> list[Route]:
    return list(_walk(get_resolver(urlconf), (), "", ()))


def _walk(
    resolver: URLResolver, parents: tuple[URLResolver, ...], prefix: str, spaces: tuple[str, ...]
) -> Iterator[Route]:
    for entry in resolver.url_patterns:
        address = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = (*spaces, entry.namespace) if entry.namespace else spaces
            yield from _walk(entry, (*parents, entry), address, inner)
        else:
            yield _route(entry, parents, address, spaces)


def _route(
    entry: URLPattern, parents: tuple[URLResolver, ...], address: str, spaces: tuple[str, ...]
) -> Route:
    name = ":".join((*spaces, entry.name)) if entry.name else address or "/"
    actions = getattr(entry.callback, "actions", None) or {}
    view_class = getattr(entry.callback, "cls", None)
    allowed = getattr(view_class, "http_method_names", ())
    methods = tuple(method.upper() for method in actions if method in allowed)
    of, stock = _stock(name, address)
    return Route(name, address, entry.callback, entry, parents, methods, of, stock)


def _stock(name: str, address: str) -> tuple[ModelAdmin[Any] | None, str]:
    """Which ModelAdmin's page this is, if every ModelAdmin has it."""
    found = _ADDRESS.match(address)
    model_admins = {
        (model._meta.app_label, model._meta.model_name): of
        for model, of in admin.site._registry.items()
    }
    of = model_admins.get((found[1], found[2])) if found else None
    if found is None or of is None:
        return None, ""
    start = f"admin:{found[1]}_{found[2]}_"
    if name.startswith(start) and name.removeprefix(start) in STOCK:
        return of, name.removeprefix(start)
    return (of, "redirect") if address.endswith(f"{found[2]}/<path:object_id>/") else (None, "")
