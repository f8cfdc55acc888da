"""The one signal that goes up: `chatbot` hears here that a ticket is closed."""

from django.dispatch import Signal

# Sent inside the transaction when an open ticket is resolved or closed; receivers only write rows.
# ticket, session (locked, already handed over or ended), then (services.Next: END or BOT),
# entry (slug of the flow with which the bot goes on; "" lets the triggers decide), actor, at.
ticket_closed = Signal()
