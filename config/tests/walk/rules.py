"""Who may come through which address: one line for each, or for a group that is alike.

A page that every ModelAdmin has follows from its line in MODELS; all others stand in RULES under
their name. What differs from the usual answer or needs a body stands in BODIES and ODD. A route
without a line makes the walk fail and say what to write.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from config.tests.walk.routes import Route
from config.tests.walk.world import World

# Who passes the door at all.
OPEN, STAFF, ADMIN = "open", "staff", "admin"
# Whose rows: the field of Sight that says which ones a role sees.
LEAD, SESSION, TICKET, MINE, CANNED, PERSON = (
    *("lead", "session", "ticket"),
    *("mine", "canned", "person"),
)
READ, WRITE, BOTH = ("GET",), ("POST",), ("GET", "POST")


@dataclass(frozen=True)
class Rule:
    """`of`: only with a row that the role sees. `methods`: any other one is refused to all."""

    who: str
    methods: tuple[str, ...]
    of: str = ""


Rules = dict[str, Rule]


def _(who: str, methods: tuple[str, ...], names: str, of: str = "") -> Rules:
    return {name: Rule(who, methods, of) for name in names.split()}


# --- Pages of ModelAdmins -------------------------------------------------------------------------

# Who may look at a model's rows in the console, and which row of the world stands for it.
MODELS: dict[str, tuple[str, str]] = {
    "users.user": (PERSON, "user"),
    "users.department": (STAFF, "sales"),
    "users.calendar": (ADMIN, "calendar"),
    "users.apitoken": (ADMIN, "token"),
    "users.skill": (ADMIN, "skill"),
    "users.teamrules": (ADMIN, "team_rules"),
    "users.loginevent": (ADMIN, "loginevent"),
    "leads.lead": (LEAD, "lead"),
    "leads.tag": (STAFF, "tag"),
    "leads.identity": (LEAD, "identity"),
    "leads.leadstatuschange": (LEAD, "statuschange"),
    "leads.note": (LEAD, "leadnote"),
    "leads.consent": (LEAD, "consent"),
    "sessions_app.channel": (ADMIN, "channel"),
    "sessions_app.session": (SESSION, "session"),
    "tickets.ticket": (TICKET, "ticket"),
    "tickets.ticketevent": (TICKET, "event"),
    "tickets.internalnote": (TICKET, "note"),
    "tickets.assignmentdecision": (TICKET, "decision"),
    "tickets.cannedresponse": (CANNED, "canned"),
    "tickets.slapolicy": (ADMIN, "sla"),
    "chatbot.incident": (ADMIN, "incident"),
    "chatbot.flow": (ADMIN, "flow"),
    "chatbot.flowversion": (ADMIN, "version"),
    "chatbot.trigger": (ADMIN, "trigger"),
    "chatbot.flowrun": (ADMIN, "run"),
    "chatbot.flowlog": (SESSION, "log"),
    "chatbot.messagelog": (SESSION, "message"),
    "chatbot.media": (SESSION, "media"),
    "chatbot.task": (ADMIN, "task"),
    "chatbot.failedevent": (ADMIN, "failed_event"),
    "chatbot.messagetemplate": (STAFF, "template"),
    "chatbot.secret": (ADMIN, "secret"),
    "chatbot.price": (ADMIN, "price"),
    "chatbot.worker": (ADMIN, "worker"),
}
# What attendants may change in a stock form; all else there they only look at.
ATTENDANTS_CHANGE = {"leads.lead"}

# --- Everything else ------------------------------------------------------------------------------

RULES: Rules = {
    # Before any login.
    **_(OPEN, READ, "healthz readyz metrics"),
    **_(OPEN, BOTH, "/ webhook webhook_channel admin:login login_code invitation"),
    **_(OPEN, BOTH, "password_reset password_reset_confirm"),
    **_(OPEN, READ, "password_reset_done password_reset_complete"),
    # The API: what follows is per method where roles differ (see API_ADMIN).
    **_(STAFF, READ, "schema docs"),
    **_(STAFF, READ, "message-template-list message-template-detail"),
    **_(STAFF, BOTH, "message-list", SESSION),
    **_(STAFF, READ, "message-detail flow-log-detail session-detail", SESSION),
    **_(STAFF, READ, "flow-log-list session-list"),
    **_(ADMIN, READ, "flow-list flow-detail flow-check flow-difference flow-impact flow-versions"),
    **_(ADMIN, ("PUT",), "flow-draft"),
    **_(ADMIN, WRITE, "flow-publish"),
    **_(STAFF, BOTH, "lead-list"),
    **_(STAFF, ("GET", "PATCH"), "lead-detail", LEAD),
    **_(STAFF, BOTH, "lead-notes", LEAD),
    **_(STAFF, WRITE, "lead-opt-in lead-opt-out", LEAD),
    **_(ADMIN, WRITE, "lead-merge session-end"),
    **_(STAFF, BOTH, "ticket-list", SESSION),
    **_(STAFF, ("GET", "PATCH"), "ticket-detail", TICKET),
    **_(STAFF, READ, "ticket-events", TICKET),
    **_(STAFF, BOTH, "ticket-notes", TICKET),
    **_(
        STAFF,
        WRITE,
        "ticket-assign ticket-claim ticket-close ticket-priority ticket-release ticket-reopen"
        " ticket-resolve ticket-snooze ticket-transfer ticket-turn",
        TICKET,
    ),
    **_(STAFF, BOTH, "channel-list department-list user-list"),
    **_(STAFF, ("GET", "PATCH"), "channel-detail department-detail user-me"),
    **_(ADMIN, WRITE, "channel-make-default department-make-fallback user-activate"),
    **_(STAFF, ("GET", "PATCH", "DELETE"), "user-detail", PERSON),
    **_(STAFF, WRITE, "user-availability", PERSON),
    # What is everybody's own, or counted from what they see.
    **_(
        STAFF,
        READ,
        "home_export home_card search badges notices admin:password_change_done admin:jsi18n"
        " admin:autocomplete admin:tickets_ticket_newcount admin:tickets_ticket_export"
        " admin:tickets_ticket_queue simulator simulator_state roles own_logins own_tokens"
        " two_factor",
    ),
    **_(STAFF, BOTH, "admin:index admin:app_list admin:view_on_site admin/(?P<url>.*)$"),
    **_(
        STAFF,
        BOTH,
        "profile admin:password_change admin:tickets_ticket_next own_token_new two_factor_setup",
    ),
    **_(
        STAFF,
        WRITE,
        "availability notices_read admin:logout admin:tickets_ticket_views"
        " admin:tickets_ticket_bulk_undo simulator_say simulator_start_over simulator_again"
        " simulator_travel simulator_line simulator_result simulator_choose"
        " own_logins_end_others two_factor_codes two_factor_remove",
    ),
    **_(STAFF, WRITE, "own_login_end own_token_revoke", MINE),
    **_(STAFF, WRITE, "notice admin:tickets_ticket_view admin:tickets_ticket_undo", MINE),
    # Leads.
    **_(STAFF, READ, "lead_timeline", LEAD),
    **_(STAFF, BOTH, "conversation_start_search"),
    **_(STAFF, BOTH, "conversation_start admin:leads_lead_stage", LEAD),
    **_(
        STAFF,
        WRITE,
        "admin:leads_lead_field admin:leads_lead_undo admin:leads_lead_note admin:leads_lead_tags"
        " admin:leads_lead_contact admin:leads_lead_reveal",
        LEAD,
    ),
    **_(ADMIN, WRITE, "lead_export"),
    **_(ADMIN, BOTH, "admin:leads_lead_merge"),
    # Conversations.
    **_(
        STAFF,
        READ,
        "conversation conversation_messages conversation_earlier conversation_why conversation_box"
        " conversation_canned conversation_media conversation_thumbnail conversation_attachment"
        " session_live session_where session_history session_copy",
        SESSION,
    ),
    **_(
        STAFF,
        WRITE,
        "conversation_reply conversation_template_preview conversation_send_again"
        " conversation_discard conversation_fetch_again session_reveal",
        SESSION,
    ),
    **_(STAFF, BOTH, "conversation_template session_hand_over", SESSION),
    **_(STAFF, READ, "conversation_people", TICKET),
    **_(STAFF, WRITE, "conversation_note conversation_draft", TICKET),
    **_(ADMIN, BOTH, "session_end session_extend session_begin_again"),
    # Tickets.
    **_(
        STAFF,
        READ,
        "admin:tickets_ticket_head admin:tickets_ticket_context admin:tickets_ticket_print"
        " admin:tickets_ticket_decision",
        TICKET,
    ),
    **_(
        STAFF,
        WRITE,
        "admin:tickets_ticket_presence admin:tickets_ticket_claim admin:tickets_ticket_transfer"
        " admin:tickets_ticket_priority admin:tickets_ticket_snooze admin:tickets_ticket_waiting"
        " admin:tickets_ticket_resolve admin:tickets_ticket_reopen admin:tickets_ticket_release"
        " admin:tickets_ticket_tags admin:tickets_ticket_subject admin:tickets_ticket_lead"
        " admin:tickets_ticket_reveal admin:tickets_ticket_skills",
        TICKET,
    ),
    # The work of admins.
    **_(
        ADMIN,
        READ,
        "costs costs_export flow_simulator flow_simulator_state flow_goldens flow_replay"
        " flow_replay_state flow_replay_difference session_checks_state flow_versions flow_move"
        " flow_parts flow_triggers flow_export admin:chatbot_failedevent_job"
        " admin:chatbot_failedevent_job_state flow_statistics flow_usage_conversations who_sees"
        " audit audit_export admin:tickets_assignmentdecision_whatif",
    ),
    **_(
        ADMIN,
        WRITE,
        "channel_mend flow_simulator_keep flow_golden_change flow_simulator_say"
        " flow_simulator_start_over flow_simulator_again flow_simulator_travel flow_simulator_line"
        " flow_simulator_result flow_simulator_choose flow_replay_cancel session_check_cancel"
        " flow_restore flow_publish_decide flow_finding_ignore flow_step_duplicate flow_undo"
        " flow_redo admin:chatbot_failedevent_process_all admin:chatbot_failedevent_job_cancel"
        " admin:chatbot_failedevent_process admin:chatbot_failedevent_ignore"
        " admin:chatbot_failedevent_take_up admin:template_sync admin:template_preview"
        " flow_synonym let_in",
    ),
    **_(
        ADMIN,
        WRITE,
        "person_sign_out person_two_factor_remove admin:users_user_reactivate"
        " admin:users_user_invite_again admin:users_user_withdraw",
    ),
    **_(ADMIN, BOTH, "admin:users_user_deactivate"),
    **_(
        ADMIN,
        BOTH,
        "channel_test simulator_clear flow_try flow_golden_accept flow_golden_delete flow_replays"
        " session_checks flow_publish flow_split flow_variables flow_words flow_settings"
        " flow_trigger_add flow_trigger flow_trigger_remove flow_import flow_import_new"
        " flow_step_add flow_step flow_step_insert flow_step_delete admin:chatbot_incident_close"
        " admin:auth_user_password_change admin:template_edit admin:template_submit"
        " admin:template_remove",
    ),
}

# Methods of the API that only admins may use, on resources that all staff may read.
API_ADMIN = {
    ("lead-list", "POST"),
    *((f"{name}-list", "POST") for name in ("channel", "department", "user")),
    *((f"{name}-detail", "PATCH") for name in ("channel", "department", "user")),
    ("user-detail", "DELETE"),
}
# A colleague who is in sight is still not one's own to change.
OWN_ROW_ONLY = {"user-availability"}

# --- What is posted -------------------------------------------------------------------------------

CLIENT_ID = UUID(int=7)
Body = Callable[[World, str], dict[str, Any]]


def _always(**body: Any) -> Body:
    return lambda _world, _case: body


def _session_in_body(world: World, case: str) -> dict[str, Any]:
    session = world.case(case).session.pk
    return {"session": session, "text": "Bom dia", "client_id": str(CLIENT_ID)}


def _ticket_in_body(world: World, case: str) -> dict[str, Any]:
    return {"ticket": world.case(case).ticket.pk, "text": "Bom dia", "kind": "note"}


# Valid where it can be, so that nothing but the rule can be the reason of a refusal.
BODIES: dict[str, Body] = {
    "message-list": _session_in_body,
    "ticket-list": _session_in_body,
    "conversation_note": _ticket_in_body,
    "conversation_draft": _ticket_in_body,
    "conversation_people": _ticket_in_body,
    "conversation_reply": _always(text="Bom dia", client_id=str(CLIENT_ID)),
    "session_reveal": _always(name="cpf"),
    "session_extend": lambda world, _case: {"seen": world.at.isoformat()},
    "session_hand_over": _always(note="Por favor"),
    "admin:tickets_ticket_reveal": _always(name="cpf"),
    "admin:tickets_ticket_context": _always(older="events", before="999"),
    "admin:tickets_ticket_priority": _always(priority="high"),
    "admin:tickets_ticket_transfer": lambda world, _case: {"department": world.finance.pk},
    "admin:tickets_ticket_snooze": _always(moment="1h"),
    "admin:tickets_ticket_subject": _always(subject="Outro"),
    "admin:tickets_ticket_lead": _always(status="contacted"),
    "admin:tickets_ticket_tags": _always(add="tagown"),
    "admin:tickets_ticket_view": _always(name="Outra"),
    "admin:tickets_ticket_newcount": _always(since="2026-01-01T00:00:00Z"),
    "admin:tickets_ticket_queue": _always(of="mine"),
    "admin:leads_lead_stage": _always(status="contacted"),
    "admin:leads_lead_field": _always(need="Outra coisa"),
    "admin:leads_lead_note": _always(text="Ligou"),
    "admin:leads_lead_tags": _always(add="tagown"),
    "admin:leads_lead_contact": _always(offers="no", reason="Pediu"),
    "admin:autocomplete": _always(
        app_label="leads", model_name="lead", field_name="tags", term="mk"
    ),
    "flow_publish_decide": _always(do="refuse"),
    "flow_step": _always(kind="ask", revision="1"),
    "flow_step_insert": _always(exit="next", kind="say"),
    "flow_import_new": lambda world, _case: {"text": _flow_file(world), "do": "save", "name": "X"},
    "flow_usage_conversations": lambda world, _case: {"version": world.version.pk, "node": "nome"},
    "flow_synonym": _always(ignore="1"),
    "admin:tickets_ticket_skills": lambda world, _case: {"skills": world.skill.pk},
    "admin:tickets_assignmentdecision_whatif": lambda world, _case: {
        "department": world.finance.pk,
        "begins": world.at.date().isoformat(),
        "ends": world.at.date().isoformat(),
    },
    "who_sees": lambda world, case: {
        "person": world.bia.pk,
        "kind": "ticket",
        "number": world.case(case).ticket.protocol,
    },
    "password_reset": lambda world, _case: {"email": world.caio.email},
    "login_code": _always(code="123456"),
    "let_in": _always(username="bia", address="127.0.0.1"),
    "own_token_new": _always(name="Novo", scopes="leads:read"),
    "availability": _always(availability="available"),
    "search": _always(q="mk"),
    "profile": _always(first_name="Outra", language="pt-br"),
    "lead-list": _always(name="Nova"),
    "lead-detail": _always(name="Outra"),
    "lead-notes": _always(text="Ligou"),
    "lead-opt-in": _always(text="Pediu"),
    "lead-opt-out": _always(text="Pediu"),
    "lead-merge": lambda world, _case: {"lead": world.case("queue").lead.pk},
    "ticket-detail": _always(subject="Outro"),
    "ticket-notes": _always(text="Ligou"),
    "ticket-assign": lambda world, _case: {"user": world.ana.pk},
    "ticket-priority": _always(priority="high"),
    "ticket-turn": _always(status="waiting_customer"),
    "ticket-snooze": _always(until_reply=True),
    "ticket-resolve": _always(then="end"),
    "ticket-close": _always(then="end"),
    "ticket-transfer": _always(department="financas"),
    "user-list": _always(username="novo", role="admin"),
    "user-detail": _always(first_name="Outra"),
    "user-me": _always(first_name="Outra"),
    "user-availability": _always(availability="available"),
    "channel-list": _always(slug="novo", name="Novo", kind="whatsapp_cloud"),
    "channel-detail": _always(name="Outro"),
    "department-list": _always(slug="novo", name="Novo"),
    "department-detail": _always(name="Outro"),
    "flow-draft": lambda world, _case: {"draft": world.flow.draft, "revision": 1},
    "flow-publish": _always(note=""),
}
# With the row's id in the body, also of a list's address.
BY_BODY = {"message-list", "ticket-list"}


def _flow_file(world: World) -> str:
    import json  # noqa: PLC0415  # for this body alone

    return json.dumps(world.flow.draft)


# --- What is answered otherwise -------------------------------------------------------------------

# Role who may, method → the statuses that are right there.
ODD: dict[tuple[str, str], set[int]] = {
    ("metrics", "GET"): {404},  # there is none while no token is set
    ("webhook", "GET"): {404},  # no default channel here
    ("webhook", "POST"): {404},
    ("webhook_channel", "GET"): {403},  # it wants the provider's proof
    ("webhook_channel", "POST"): {403},
    ("admin:view_on_site", "GET"): {404},  # no model of ours has an address outside
    ("admin:view_on_site", "POST"): {404},
    ("admin/(?P<url>.*)$", "GET"): {404},
    ("admin/(?P<url>.*)$", "POST"): {404},
    ("login_code", "GET"): {302},  # to the first step: no password was given before it
    ("login_code", "POST"): {302},
    ("schema", "POST"): {405, 415},
    ("docs", "POST"): {405, 415},
    ("admin:chatbot_failedevent_job", "GET"): {200, 404},
    ("admin:chatbot_failedevent_job_state", "GET"): {200, 404},
    ("admin:chatbot_failedevent_job_cancel", "POST"): {302, 404},
}
# Looking that notes something: what is before one's eyes is read; a draft is made to be tried,
# which no other site can ask for; the start page looks whether a worker runs; a secret that an app
# is to learn is kept until it has; what is taken away as a file stands in the audit.
READING_NOTES = {
    "admin:tickets_ticket_change": {"tickets_ticket"},
    "flow_try": {"chatbot_flowversion", "chatbot_simulatedperson"},
    "admin:index": {"chatbot_incident"},
    "two_factor_setup": {"otp_totp_totpdevice"},
    "audit_export": {"auditlog_logentry"},
    "costs_export": {"auditlog_logentry"},
    "home_export": {"auditlog_logentry"},
    "lead-detail": {"auditlog_logentry"},  # what is hidden from attendants was given out
    "lead-list": {"auditlog_logentry"},
    "session-detail": {"auditlog_logentry"},
    "session_copy": {"auditlog_logentry"},
    "ticket-detail": {"auditlog_logentry"},
    "admin:tickets_ticket_export": {"auditlog_logentry"},
}
# What programs call that have no token of a page.
NO_CSRF = {"webhook", "webhook_channel"}
# What anybody may cause without a login: a word that the provider's proof was missing.
STRANGERS_CAUSE = {"webhook": {"chatbot_incident"}, "webhook_channel": {"chatbot_incident"}}
# Told of a ticket that a colleague of the same queue has: not its contents, only who was faster.
TOLD_WHO_WAS_FASTER = {"admin:tickets_ticket_claim"}


def missing(route: Route) -> str:
    """What to write for a route that has no rule; empty when it has one."""
    if route.of is not None:
        label = route.of.model._meta.label_lower
        if label in MODELS:
            return ""
        return f'{route.name}: add "{label}": (ADMIN | STAFF | LEAD | …, row) to MODELS'
    if route.name in RULES:
        return ""
    methods = " ".join(route.methods) or "READ | WRITE | BOTH"
    return (
        f"{route.name} (/{route.address}): add _(OPEN | STAFF | ADMIN, {methods}, "
        f'"{route.name}"[, LEAD | SESSION | TICKET | …]) to RULES in config/tests/walk/rules.py'
    )
