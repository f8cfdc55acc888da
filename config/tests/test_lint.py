from pathlib import Path

import pytest

from config.lint.rules import RULES


def found(rule, path, source):
    return [line for line, _ in RULES[rule](Path(path), source)]


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        ("doors", "tickets/api.py", "Ticket.objects.all()"),
        ("doors", "chatbot/conversation_views.py", "Session.objects.get(pk=1)"),
        ("doors", "chatbot/admin/flows.py", "Flow._default_manager.all()"),
        ("doors", "tickets/views.py", "Ticket.objects.all()  # door:"),
        ("pure-step", "chatbot/delivery.py", "step(flow, state, {}, message)"),
        ("pure-step", "chatbot/views.py", "engine.step(flow, state, {}, message)"),
        ("writers", "tickets/admin.py", "ticket.status = 'closed'"),
        ("writers", "chatbot/views.py", "a.owner, b.name = 'bot', 'x'"),
        ("writers", "leads/models.py", "self.filter(pk=1).update(status='lost')"),
        ("writers", "leads/models.py", "setattr(session, 'ended_at', now)"),
        ("inline", "templates/a.html", '<p class="x" style="color: red">'),
        ("inline", "templates/a.html", "<button onclick='go()'>"),
    ],
)
def test_a_breach_is_found(rule, path, source):
    assert found(rule, path, source) == [1]


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        ("doors", "tickets/api.py", "Ticket.objects.visible_to(user).open()"),
        ("doors", "tickets/services.py", "Ticket.objects.all()"),
        ("doors", "tickets/tests/test_api.py", "Ticket.objects.all()"),
        ("doors", "users/admin.py", "queryset = Tag.objects.all()  # door: tags are for everybody"),
        ("pure-step", "chatbot/turn.py", "step(flow, state, {}, message)"),
        ("pure-step", "chatbot/engine/replay.py", "step(flow, state, {}, message)"),
        ("pure-step", "chatbot/delivery.py", "next_step(flow)"),
        ("writers", "tickets/services.py", "ticket.status = 'closed'"),
        ("writers", "chatbot/delivery.py", "rows.update(status='sending')"),
        ("writers", "chatbot/engine/step.py", "outcome.status = 'done'"),
        ("writers", "tickets/models.py", "ended_at: datetime"),
        ("writers", "tickets/api.py", "response.status = 1  # writer: the HTTP status"),
        ("inline", "templates/a.html", '<link rel="stylesheet" href="a.css"><p data-on="x">'),
    ],
)
def test_what_is_allowed_passes(rule, path, source):
    assert found(rule, path, source) == []
