"""Who may do and see what. Read by the API, the admin, the pages and the authentication backend.

What a role may do is one table (`TABLE`), which the console also shows. What a person sees are
rules with names: `visible_to` joins them, and the page that explains them asks each by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.db.models import Q, TextChoices
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from users.models import Role, User

if TYPE_CHECKING:
    from django.http import HttpRequest
    from rest_framework.request import Request


class Reach(TextChoices):
    """How far somebody may do what a line of the table names."""

    NO = "no", _("no")
    YES = "yes", _("yes")
    OWN = "own", _("their own, and the unassigned of their departments")
    SUPERVISED = "supervised", _("all of the departments they supervise, too")
    ALL = "all", _("without limit")
    SELF = "self", _("themselves")
    LOGGED = "logged", _("logged")
    COLLEAGUES = "colleagues", _("colleagues of their departments")


@dataclass(frozen=True)
class Line:
    """What may be done, by whom how far, and the Django permissions that it takes.

    A supervisor is an attendant with supervised departments: the same permissions, more tickets.
    `rule` names a field of TeamRules; while it is off, what needs to be logged needs not.
    """

    name: Promise
    attendant: Reach
    supervisor: Reach
    admin: Reach
    permissions: tuple[str, ...] = ()
    rule: str = ""


@dataclass(frozen=True)
class Group:
    name: Promise
    lines: tuple[Line, ...]


NO, YES, OWN, SUPERVISED, ALL, SELF, LOGGED, COLLEAGUES = Reach

TABLE = (
    Group(
        _("Customer service"),
        (
            Line(
                _("See tickets, with their history and notes"),
                *(OWN, SUPERVISED, ALL),
                (
                    "tickets.view_ticket",
                    "tickets.view_ticketevent",
                    "tickets.view_internalnote",
                    "tickets.view_assignmentdecision",
                ),
            ),
            Line(
                _("Answer, resolve, prioritise, put aside"),
                *(OWN, SUPERVISED, ALL),
                ("tickets.change_ticket", "tickets.add_internalnote", "chatbot.add_messagelog"),
            ),
            Line(_("Assign, transfer, give back to the queue"), OWN, SUPERVISED, ALL),
            Line(
                _("Transfer to a department where nobody works"),
                *(NO, NO, YES),
            ),
            Line(
                _("See conversations and their files"),
                *(OWN, SUPERVISED, ALL),
                (
                    "sessions_app.view_session",
                    "chatbot.view_messagelog",
                    "chatbot.view_flowlog",
                    "chatbot.view_media",
                ),
            ),
            Line(
                _("Use canned responses and message templates"),
                *(YES, YES, YES),
                ("tickets.view_cannedresponse", "chatbot.view_messagetemplate"),
            ),
        ),
    ),
    Group(
        _("Leads"),
        (
            Line(
                _("See and edit the leads of these tickets, and those one keeps"),
                *(OWN, SUPERVISED, ALL),
                (
                    "leads.view_lead",
                    "leads.change_lead",
                    "leads.view_note",
                    "leads.add_note",
                    "leads.view_tag",
                    "leads.view_identity",
                    "leads.view_leadstatuschange",
                    "leads.view_consent",
                ),
            ),
            Line(_("See the whole CPF or CNPJ"), LOGGED, LOGGED, LOGGED),
            Line(_("See phone numbers"), LOGGED, LOGGED, YES, rule="mask_phone"),
            Line(_("See e-mail addresses"), LOGGED, LOGGED, YES, rule="mask_email"),
            Line(
                _("Add, merge and erase leads; say who keeps them"),
                *(NO, NO, YES),
                ("leads.add_lead", "leads.delete_lead"),
            ),
            Line(
                _("Edit tags"),
                *(NO, NO, YES),
                ("leads.add_tag", "leads.change_tag", "leads.delete_tag"),
            ),
        ),
    ),
    Group(
        _("Team"),
        (
            Line(
                _("Look people up"),
                *(COLLEAGUES, COLLEAGUES, ALL),
                ("users.view_user", "users.view_department"),
            ),
            Line(_("Say whether one takes tickets"), SELF, SELF, ALL),
            Line(
                _("Invite, change and deactivate people"),
                *(NO, NO, YES),
                ("users.add_user", "users.change_user"),
            ),
            Line(
                _("Edit departments, hours and skills"),
                *(NO, NO, YES),
                (
                    "users.add_department",
                    "users.change_department",
                    "users.add_calendar",
                    "users.change_calendar",
                    "users.add_skill",
                    "users.change_skill",
                    "users.delete_skill",
                ),
            ),
            Line(
                _("Set the rules of the team"),
                *(NO, NO, YES),
                ("users.view_teamrules", "users.change_teamrules"),
            ),
        ),
    ),
    Group(
        _("Chatbot"),
        (
            Line(
                _("Draw, verify and publish flows"),
                *(NO, NO, YES),
                ("chatbot.view_flow", "chatbot.add_flow", "chatbot.change_flow"),
            ),
            Line(
                _("Set up channels"),
                *(NO, NO, YES),
                ("sessions_app.add_channel", "sessions_app.change_channel"),
            ),
            Line(
                _("Handle failed events, see costs"),
                *(NO, NO, YES),
                ("chatbot.view_failedevent", "chatbot.view_messagecount"),
            ),
        ),
    ),
)

# What an attendant may do with each model, as Django's four verbs. Admins may do everything that
# the console lets anyone do; logs stay read-only there for all.
ATTENDANT_PERMISSIONS: frozenset[str] = frozenset(
    permission
    for group in TABLE
    for line in group.lines
    if line.attendant != Reach.NO
    for permission in line.permissions
)


def role_permissions(user: User) -> frozenset[str] | None:
    """Permission names of the user's role; None means all of them (admin)."""
    return None if user.role == Role.ADMIN else ATTENDANT_PERMISSIONS


def person(request: HttpRequest | Request) -> User:
    """Who makes this request. Behind a login there is always somebody."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user


def ticket_rules(user: User, prefix: str = "") -> dict[str, Q]:
    """Why an attendant sees a ticket, each reason by its name; one of them is enough.

    `prefix` is the way to Ticket ("tickets__"); use it inside Exists when it crosses a to-many
    relation.
    """
    mine, supervised = user.departments.values("pk"), user.supervised_departments.values("pk")

    def rule(**conditions: object) -> Q:
        return Q(**{f"{prefix}{name}": value for name, value in conditions.items()})

    return {
        "assigned": rule(assignee=user),
        "unassigned": rule(assignee__isnull=True, department__in=mine),
        "shared": rule(department__shares_tickets=True, department__in=mine),
        "supervised": rule(department__in=supervised),
    }


def ticket_scope(user: User, prefix: str = "") -> Q:
    """The tickets that an attendant sees: their own, the unassigned ones of their departments, all
    of a department that shares its tickets, and all of the departments they supervise."""
    return any_of(ticket_rules(user, prefix))


def any_of(rules: Mapping[str, Q]) -> Q:
    """What one of the rules grants."""
    return reduce(or_, rules.values())


# What an attendant may give to others, of the rules above: a ticket of a colleague that they only
# see because the department shares its tickets is the colleague's to give.
GIVES = ("assigned", "unassigned", "supervised")
