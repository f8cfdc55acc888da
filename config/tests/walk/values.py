"""What stands in an address: which row of the world an id is, by the name of the value."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.tokens import default_token_generator
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from config.tests.walk.routes import Route
from config.tests.walk.world import Case, World
from users import invitations

# Ids that are one row whatever the case: what only admins work on.
_ONE = {
    "flow_id": "flow",
    "golden_id": "golden",
    "replay_id": "replay",
    "difference_id": "difference",
    "check_id": "check",
    "move_id": "move",
    "request_id": "publish_request",
    "trigger_id": "trigger",
    "channel_id": "channel",
    "incident_id": "incident",
    "task_id": "job",
    "text_id": "not_understood",
}
_OF_CASE = {
    "lead_id": "lead",
    "session_id": "session",
    "ticket_id": "ticket",
    "media_id": "media",
    "message_id": "message",
    "view_id": "view",
    "notice_id": "notice",
    "event_id": "event",
    "user_id": "user",
    "login_id": "login",
    "token_id": "token",
}
# Where a name means something else than usual, by the beginning of the route's name.
_ELSE: tuple[tuple[str, str, str], ...] = (
    ("conversation_send_again", "message_id", "failed"),
    ("conversation_discard", "message_id", "failed"),
)
# The people who are not of a case: what is done to them makes sense with no one else.
_PEOPLE = {
    "admin:users_user_reactivate": "gone",
    "admin:users_user_invite_again": "invited",
    "admin:users_user_withdraw": "invited",
    "invitation": "invited",
    "password_reset_confirm": "caio",
}
_TEXTS = {
    "number": "1",
    "node_id": "nome",
    "app_label": "leads",
    "url": "nowhere",
}
_SLUGS = {"webhook_channel": "loja"}
_NAMES = {"home_card": "attention", "admin:leads_lead_field": "need"}
# The rows of an API resource that is not named like its case row.
_RESOURCES = {
    "message": "message",
    "flow-log": "log",
    "lead": "lead",
    "session": "session",
    "ticket": "ticket",
    "user": "user",
}
_SINGLE = {
    "message-template": "template",
    "channel": "channel",
    "department": "sales",
}


def path(world: World, route: Route, case: str) -> str:
    """The address of `route` for the rows of that case."""
    return route.path(**{name: value(world, route, name, case) for name in route.takes})


def value(world: World, route: Route, name: str, case: str) -> Any:
    rows = world.case(case)
    for start, other, row in _ELSE:
        if route.name.startswith(start) and name == other:
            return rows[row].pk
    if route.name in _PEOPLE:
        return _of_person(world, route, name)
    if "failedevent" in route.name and name == "event_id":
        return world.failed_event.pk
    if name in _OF_CASE or name in _ONE:
        return rows[_OF_CASE[name]].pk if name in _OF_CASE else getattr(world, _ONE[name]).pk
    if name in {"pk", "slug", "name", "id", "object_id", "content_type_id"}:
        return _by_route(world, route, name, rows)
    if name in _TEXTS:
        return _TEXTS[name]
    raise LookupError(f"{name} of {route.name}: say in walk/values.py which row it is")


def _of_person(world: World, route: Route, name: str) -> Any:
    """A link that opens something: with one that does not, nobody would be let in anyway."""
    user = getattr(world, _PEOPLE[route.name])
    if name == "uidb64":
        return urlsafe_base64_encode(force_bytes(user.pk))
    if name == "token":
        makes = invitations.tokens if route.name == "invitation" else default_token_generator
        return makes.make_token(user)
    return user.pk


def _by_route(world: World, route: Route, name: str, rows: Case) -> Any:
    if name == "slug":
        return _SLUGS.get(route.name, world.flow.slug)
    if name == "name":
        return _NAMES[route.name]
    if name == "id":  # of the page where a password is set
        return rows["user"].pk
    if name == "content_type_id" or route.name == "admin:view_on_site":
        return 1
    if route.name.startswith("admin:template_"):
        return world.template.pk
    for resource in sorted({**_RESOURCES, **_SINGLE}, key=len, reverse=True):
        if route.name.startswith((f"{resource}-", f"{resource}_")):
            found = _RESOURCES.get(resource)
            return rows[found].pk if found else getattr(world, _SINGLE[resource]).pk
    raise LookupError(f"{name} of {route.name}: say in walk/values.py which row it is")
