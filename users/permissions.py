"""Who may do and see what. Read by the API, the admin, the pages and the authentication backend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.db.models import Q

from users.models import Role, User

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request

# What an attendant may do with each model, as Django's four verbs. Admins may do everything that
# the console lets anyone do; logs stay read-only there for all.
ATTENDANT_PERMISSIONS: frozenset[str] = frozenset(
    {
        "users.view_user",
        "users.view_department",
        "tickets.view_ticket",
        "tickets.change_ticket",
        "tickets.view_ticketevent",
        "tickets.view_internalnote",
        "tickets.add_internalnote",
        "tickets.view_cannedresponse",
        "tickets.view_assignmentdecision",
        "leads.view_lead",
        "leads.change_lead",
        "leads.view_note",
        "leads.add_note",
        "leads.view_tag",
        "leads.view_identity",
        "leads.view_leadstatuschange",
        "leads.view_consent",
        "sessions_app.view_session",
        "chatbot.view_messagelog",
        "chatbot.add_messagelog",
        "chatbot.view_flowlog",
        "chatbot.view_media",
        "chatbot.view_messagetemplate",
    }
)


def role_permissions(user: User) -> frozenset[str] | None:
    """Permission names of the user's role; None means all of them (admin)."""
    return None if user.role == Role.ADMIN else ATTENDANT_PERMISSIONS


def person(request: HttpRequest | Request) -> User:
    """Who makes this request. Behind a login there is always somebody."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def ticket_scope(user: User, prefix: str = "") -> Q:
    """The tickets that an attendant sees: their own, the unassigned ones of their departments, and
    all of a department that shares its tickets.

    `prefix` is the way to Ticket ("tickets__"); use it inside Exists when it crosses a to-many
    relation.
    """
    mine = user.departments.values("pk")
    return (
        Q(**{f"{prefix}assignee": user})
        | Q(**{f"{prefix}assignee__isnull": True, f"{prefix}department__in": mine})
        | Q(
            **{
                f"{prefix}department__shares_tickets": True,
                f"{prefix}department__in": mine,
            }
        )
    )
