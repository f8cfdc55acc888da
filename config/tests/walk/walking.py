"""Goes through every address as one role, and notes whatever the rules do not allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Model

from config.tests.walk import rules, values
from config.tests.walk.asking import NOBODY, Answer, Asker
from config.tests.walk.routes import Route, routes
from config.tests.walk.rules import ADMIN, MODELS, OPEN, RULES, STAFF, Rule
from config.tests.walk.world import World

ADMINS = {"admin", "root"}
SEEN_AS = {"reader": "ana", "narrow": "ana"}
# Whose rows each role asks for: its own, and every kind that it must not reach.
ASKED_FOR = {
    "ana": ("own", "mate", "far", "split", "kept"),
    "bia": ("far", "own", "split"),
    "sara": ("far", "own"),
    "admin": ("far",),
    "root": ("own",),
    "reader": ("own", "far"),
    "narrow": ("own", "far"),
}
# What need not be asked twice: bia may what ana may, about other rows, and root what admin may, but
# for what stands above admins; a token that opens nothing, or little, is like one that opens all
# wherever tokens do not count.
LIKE_ANOTHER = {"bia", "root"}
OF_THE_API_ALONE = {"narrow", "expired", "revoked"}
REFUSED, WRONG_METHOD = {403, 404}, (405, 415)
LOGIN = "/admin/login/"


@dataclass
class Walk:
    """One role's way; `problems` says what went wrong, `asked` how many requests were made."""

    world: World
    role: str
    urlconf: str | None = None
    asker: Asker = field(init=False)
    problems: list[str] = field(default_factory=list)
    asked: int = 0
    routes: int = 0

    def __post_init__(self) -> None:
        self.asker = Asker(self.world, self.role)
        self.world.remember()
        self.sight = self.world.sight(SEEN_AS.get(self.role, self.role))
        self.marks = self.sight.marks(self.world.leads_of)

    def go(self) -> Walk:
        for route in routes(self.urlconf):
            told = rules.missing(route)
            if told:
                self.problems.append(f"no rule: {told}")
                continue
            if self._is_spared(route):
                continue
            self.routes += 1
            if route.of is not None:
                self._stock(route)
            else:
                self._route(route, RULES[route.name])
        return self

    def _is_spared(self, route: Route) -> bool:
        """Has a role that is like this one asked, with the same answer?"""
        if self.role in OF_THE_API_ALONE:
            return not route.address.startswith("api/")
        if self.role == "root":
            return route.of is None and "user" not in route.address
        who = MODELS[_label(route)][0] if route.of is not None else RULES[route.name].who
        return self.role == "bia" and who == ADMIN

    # --- Routes with a rule of their own ---------------------------------------------------------

    def _route(self, route: Route, rule: Rule) -> None:
        for case in self._cases(route, rule):
            for method in self._methods(route, rule, case):
                body = rules.BODIES.get(route.name)
                data = body(self.world, case) if body else None
                if method == "GET" and route.name in rules.BY_BODY:
                    data = None
                path = values.path(self.world, route, case)
                where = f"{self.role} {method} {route.name} [{case}]"
                verdict = self._expected(route, rule, method, case)
                is_json = route.is_api and method != "GET"
                answer = self._ask(method, path, data, verdict, json=is_json)
                self._compare(where, route, method, answer, verdict)

    def _cases(self, route: Route, rule: Rule) -> Iterator[str]:
        """One is enough where all rows are alike to this role."""
        cases = ASKED_FOR.get(self.role, ("own",))
        if rule.of in {rules.MINE, rules.PERSON}:
            cases = tuple(case for case in cases if case in {"own", "mate", "far"})
        elif not rule.of:
            cases = cases[:1]
        for case in cases:
            if self._has(route, case):
                yield case

    def _has(self, route: Route, case: str) -> bool:
        try:
            values.path(self.world, route, case)
        except KeyError:
            return False
        return True

    def _methods(self, route: Route, rule: Rule, case: str) -> tuple[str, ...]:
        """All of them; of the special cases, which are about what is shown, the looks alone."""
        if case in {"split", "kept"} and "GET" in rule.methods:
            return ("GET",)
        if route.is_api:
            return tuple(method for method in route.methods if method not in {"HEAD", "OPTIONS"})
        if self.role in LIKE_ANOTHER:
            return tuple(method for method in ("GET", "POST") if method in rule.methods)
        return ("GET", "POST")

    def _expected(  # noqa: PLR0911  # one line for each verdict
        self, route: Route, rule: Rule, method: str, case: str
    ) -> str:
        """The word of what must happen: passes, login, unknown, refused, hidden or wrong."""
        if rule.who == OPEN:
            return "passes" if method in rule.methods else "wrong"
        if route.is_api:
            stopped = self._stopped_at_the_api(route, method)
            if stopped:
                return stopped
        elif self.role not in ADMINS | {"ana", "bia", "sara"}:
            is_schema = self.role in SEEN_AS and (route.name, method) == ("schema", "GET")
            return "passes" if is_schema else "stranger"
        if method not in rule.methods:
            return "wrong"
        needs_admin = rule.who == ADMIN or (route.name, method) in rules.API_ADMIN
        if needs_admin and self.role not in ADMINS:
            return "refused"
        if rule.of and not self._sees(rule, method, route, case):
            return "hidden"
        if route.name in rules.OWN_ROW_ONLY and self.role not in ADMINS:
            is_own = self.world.case(case)["user"] == self.asker.user
            return "passes" if is_own else "refused"
        return "passes"

    def _stopped_at_the_api(self, route: Route, method: str) -> str:
        if self.role in NOBODY:
            return "unknown"
        if self.role == "guest" or (self.role in SEEN_AS and method != "GET"):
            return "refused"
        scope = getattr(route.view.cls, "scope", "")
        return "refused" if self.role == "narrow" and scope != "leads" else ""

    def _sees(self, rule: Rule, method: str, route: Route, case: str) -> bool:
        if method == "GET" and route.name in rules.BY_BODY:
            return True
        return case in getattr(self.sight, rule.of)

    # --- Pages that every ModelAdmin has ---------------------------------------------------------

    def _stock(self, route: Route) -> None:
        kind, name = MODELS[_label(route)]
        if "object_id" not in route.takes:
            is_form = route.stock == "add" and self.role not in LIKE_ANOTHER
            for method in ("GET", "POST") if is_form else ("GET",):
                self._ask_stock(route, method, route.path(), kind, is_seen=True, where="")
            return
        for case, row in self._rows(kind, name):
            path = route.path(object_id=row.pk)
            is_seen = kind in {STAFF, ADMIN} or case in getattr(self.sight, kind)
            is_look = route.stock in {"history", "redirect"} or case in {"split", "kept"}
            for method in ("GET",) if is_look else ("GET", "POST"):
                self._ask_stock(route, method, path, kind, is_seen=is_seen, where=case)

    def _rows(self, kind: str, name: str) -> Iterator[tuple[str, Model]]:
        if hasattr(self.world, name):
            yield "", getattr(self.world, name)
            return
        cases = ASKED_FOR.get(self.role, ("own",))
        if self.role not in {"ana", "bia", "sara"}:
            kind = ADMIN  # to them all rows are alike
        for case in cases[:1] if kind == ADMIN else cases:
            row = self.world.case(case).rows.get(name)
            if row is not None:
                yield case, row

    def _ask_stock(
        self, route: Route, method: str, path: str, kind: str, *, is_seen: bool, where: str
    ) -> None:
        label = f"{self.role} {method} {route.name} [{where}]"
        verdict = self._expected_stock(route, method, kind, is_seen=is_seen)
        self._compare(label, route, method, self._ask(method, path, None, verdict), verdict)

    def _expected_stock(  # noqa: PLR0911  # one line for each verdict
        self, route: Route, method: str, kind: str, *, is_seen: bool
    ) -> str:
        if self.role not in ADMINS | {"ana", "bia", "sara"}:
            return "stranger"
        if route.stock == "redirect":
            return "passes"
        if self.role in ADMINS:
            return "may"  # what is read-only is so for admins, too
        if kind == ADMIN or route.stock in {"add", "delete"}:
            return "kept away"
        if not is_seen:
            return "kept away"
        if method == "POST" and _label(route) not in rules.ATTENDANTS_CHANGE:
            return "looks only"
        return "passes"

    # --- What is compared ------------------------------------------------------------------------

    def _ask(
        self, method: str, path: str, data: Any, verdict: str, *, json: bool = False
    ) -> Answer:
        self.asked += 1
        may_write = _may_write(method, verdict)
        return self.asker.ask(method, path, data=data, json=json, may_write=may_write)

    def _compare(self, where: str, route: Route, method: str, answer: Answer, verdict: str) -> None:
        problem = self._wrong_status(route, method, answer, verdict)
        if problem:
            told = f" {answer.text[:200]!r}" if route.is_api else ""
            self.problems.append(f"{where}: {answer.status}, but {verdict}{told}")
        self._compare_writes(where, route, method, answer, verdict)
        leaked = answer.marks - self.marks
        if leaked:
            self.problems.append(f"{where}: shows {', '.join(sorted(leaked))}")

    def _wrong_status(  # noqa: C901, PLR0911  # a table
        self, route: Route, method: str, answer: Answer, verdict: str
    ) -> bool:
        status, to = answer.status, answer.response.get("Location", "")
        if status >= 500:  # trouble of ours
            return True
        is_index = status == 302 and to == "/admin/"
        match verdict:
            case "passes":
                odd = rules.ODD.get((route.name, method))
                good = status < 400 or status in {400, 409, 413, 422}
                return status not in odd if odd else not good or to.startswith(LOGIN)
            case "may":
                return status not in {200, 302, 403, 404, 405} or to.startswith(LOGIN)
            case "stranger":
                is_led_away = status == 302 and (to.startswith(LOGIN) or is_index)
                return not is_led_away and status not in {401, 403, 405, 415}
            case "unknown":
                return status != 401
            case "refused":
                return status not in REFUSED
            case "hidden":
                if route.name in rules.TOLD_WHO_WAS_FASTER:
                    return status not in {302, 404}
                return status not in ({400, 404} if route.name in rules.BY_BODY else {403, 404})
            case "kept away":
                return not (status in {403, 404, 405} or is_index)
            case "looks only":
                return status not in {200, 302, 403, 404, 405}
        return status not in {*REFUSED, *WRONG_METHOD}

    def _compare_writes(
        self, where: str, route: Route, method: str, answer: Answer, verdict: str
    ) -> None:
        if _may_write(method, verdict):
            return
        is_look = verdict in {"passes", "may", "looks only"}
        allowed = rules.READING_NOTES.get(route.name, set()) if is_look else set()
        allowed = allowed | rules.STRANGERS_CAUSE.get(route.name, set())
        changed = answer.written - allowed
        if changed:
            self.problems.append(f"{where}: {verdict}, but changed {', '.join(sorted(changed))}")


def _label(route: Route) -> str:
    return route.of.model._meta.label_lower if route.of is not None else ""


def _may_write(method: str, verdict: str) -> bool:
    return method != "GET" and verdict in {"passes", "may"}


def without_csrf(world: World, role: str, urlconf: str | None = None) -> Walk:
    """Every request that changes something, as another site would make a browser send it."""
    walk = Walk(world, role, urlconf)
    for route in routes(urlconf):
        if rules.missing(route):
            continue
        rule = None if route.of is not None else RULES[route.name]
        if route.name in rules.NO_CSRF:
            continue
        for method, path in _changing(walk, route, rule):
            walk.asked += 1
            body = rules.BODIES.get(route.name)
            data = body(world, "far") if body else None
            is_json = route.is_api
            answer = walk.asker.ask(method, path, data=data, json=is_json, with_csrf=False)
            is_wrong_method = rule is not None and method not in rule.methods
            is_refused = answer.status in {403, *(WRONG_METHOD if is_wrong_method else ())}
            if not is_refused or answer.written:
                told = f"{answer.status} {sorted(answer.written)}"
                walk.problems.append(f"{method} {route.name} without a token: {told}")
        walk.routes += 1
    return walk


def _changing(walk: Walk, route: Route, rule: Rule | None) -> Iterator[tuple[str, str]]:
    if rule is not None:
        path = values.path(walk.world, route, "far" if walk._has(route, "far") else "own")
        for method in walk._methods(route, rule, "far"):
            if method != "GET":
                yield method, path
    elif "object_id" not in route.takes:
        yield "POST", route.path()
    elif route.stock in {"change", "delete"}:
        kind, name = MODELS[_label(route)]
        for _case, row in walk._rows(kind, name):
            yield "POST", route.path(object_id=row.pk)
