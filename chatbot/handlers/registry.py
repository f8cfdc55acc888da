"""Python that flows may call: `@handler` makes a function available to `call` nodes.

A handler reads and writes rows only. One that needs the network is registered with `later=True`:
it runs as a Task, outside the session lock, and its result comes back as a message.

    class SaveScore(BaseModel):
        score: int

    @handler("save_score", label=_("Save the score"), args=SaveScore, outputs=("average",))
    def save_score(call: HandlerCall[SaveScore]) -> HandlerResult:
        ...
        return HandlerResult("ok", {"average": average})
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from chatbot import handlers

if TYPE_CHECKING:
    from datetime import datetime

    from django.utils.functional import _StrPromise

    from leads.models import Lead
    from sessions_app.models import Session

ERROR = "error"


class NoArgs(BaseModel):
    """The arguments of a handler that takes none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Args = TypeVar("Args", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class HandlerCall(Generic[Args]):
    """What a handler gets to know. `at`, the time of the message, is its only clock."""

    session: Session
    lead: Lead
    args: Args
    at: datetime


@dataclass(frozen=True, slots=True)
class HandlerResult:
    """The declared route to leave by, and the declared variables to keep."""

    route: str = "ok"
    values: dict[str, Any] = field(default_factory=dict)


HandlerFunction = Callable[[HandlerCall[Args]], HandlerResult]


class UnknownHandler(LookupError):
    """A flow calls what no module registers."""


class BadResult(Exception):
    """A handler returned a route or a variable that it did not declare: a bug in the handler."""


@dataclass(frozen=True, slots=True)
class Handler:
    """A registered function and what it declared. `routes` always includes "error"."""

    name: str
    label: str | _StrPromise
    args: type[BaseModel]
    routes: tuple[str, ...]
    outputs: tuple[str, ...]
    later: bool
    function: HandlerFunction[Any]

    def run(
        self, *, session: Session, lead: Lead, args: Mapping[str, Any], at: datetime
    ) -> HandlerResult:
        """Call the function with checked arguments and check what it returns.

        Raises pydantic.ValidationError for arguments that do not fit, BadResult for a result that
        was not declared, and whatever the function raises. The caller runs it in a savepoint and
        takes the route "error" instead.
        """
        checked = self.args.model_validate(dict(args))
        result = self.function(HandlerCall(session, lead, checked, at))
        self._check(result)
        return result

    def _check(self, result: HandlerResult) -> None:
        if result.route not in self.routes:
            raise BadResult(f"{self.name} returned the undeclared route {result.route!r}")
        undeclared = sorted(set(result.values) - set(self.outputs))
        if undeclared:
            raise BadResult(f"{self.name} returned undeclared variables: {', '.join(undeclared)}")


_handlers: dict[str, Handler] = {}


def handler(  # noqa: PLR0913 - each is one word of the declaration, all but the name by keyword
    name: str,
    *,
    label: str | _StrPromise,
    args: type[Args],
    routes: tuple[str, ...] = ("ok",),
    outputs: tuple[str, ...] = (),
    later: bool = False,
) -> Callable[[HandlerFunction[Args]], HandlerFunction[Args]]:
    """Register the decorated function under `name`, which flow documents keep: never rename one."""

    def register(function: HandlerFunction[Args]) -> HandlerFunction[Args]:
        if name in _handlers:
            raise ValueError(f"two handlers are called {name!r}")
        declared = tuple(dict.fromkeys((*routes, ERROR)))
        _handlers[name] = Handler(name, label, args, declared, outputs, later, function)
        return function

    return register


def get(name: str) -> Handler:
    """The handler of that name, or UnknownHandler."""
    try:
        return _handlers[name]
    except KeyError:
        raise UnknownHandler(name) from None


def registered() -> dict[str, Handler]:
    """Every handler by name, in alphabetical order."""
    return dict(sorted(_handlers.items()))


def autodiscover() -> None:
    """Import every module of this package, which registers what it declares."""
    for module in pkgutil.iter_modules(handlers.__path__):
        importlib.import_module(f"{handlers.__name__}.{module.name}")
