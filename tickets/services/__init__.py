"""Everything that happens to a ticket. The only writers of its status and assignee.

Locks: the session first, then the ticket, whoever gets it, the lead, the protocol counter.
`session` is the ticket's session if the caller has locked it already; without it the operation
locks it. The ticket is read again under that lock, so what the caller's instance says about status
and assignee is what the person saw: when somebody else was faster, TicketConflict says who.

While a session is with the queue or an attendant it has exactly one open ticket, and only then.
"""

from tickets.services.closing import (
    NO_CASE,
    SILENCE,
    Next,
    close_ticket,
    comment_rating,
    last_ticket_of,
    may_be_reopened,
    rate,
    reopen,
    reopen_for_customer,
    resolve,
)
from tickets.services.giving import is_staffed, may_give
from tickets.services.hands import (
    assign,
    claim,
    give_to,
    release,
    return_tickets_of,
    return_unaccepted,
    transfer,
)
from tickets.services.locking import open_ticket_of
from tickets.services.merging import merge_conversations
from tickets.services.notes import add_note
from tickets.services.opening import open_for_staff, open_ticket, take_over, take_over_from_phone
from tickets.services.transition import BEFORE, UNDONE, UNTIL_REPLY
from tickets.services.undoing import undo
from tickets.services.work import (
    LONGEST_SNOOZE,
    note_inbound,
    note_reply,
    set_priority,
    set_skills,
    set_status,
    snooze,
    tag,
    update_details,
    wake_due,
)

__all__ = [
    "BEFORE",
    "LONGEST_SNOOZE",
    "NO_CASE",
    "SILENCE",
    "UNDONE",
    "UNTIL_REPLY",
    "Next",
    "add_note",
    "assign",
    "claim",
    "close_ticket",
    "comment_rating",
    "give_to",
    "is_staffed",
    "last_ticket_of",
    "may_be_reopened",
    "may_give",
    "merge_conversations",
    "note_inbound",
    "note_reply",
    "open_for_staff",
    "open_ticket",
    "open_ticket_of",
    "rate",
    "release",
    "reopen",
    "reopen_for_customer",
    "resolve",
    "return_tickets_of",
    "return_unaccepted",
    "set_priority",
    "set_skills",
    "set_status",
    "snooze",
    "tag",
    "take_over",
    "take_over_from_phone",
    "transfer",
    "undo",
    "update_details",
    "wake_due",
]
