import logging
import sys

import pytest

from config.logs import MARK, RedactingFormatter, redact

TOKEN = "EAAG" + "x1" * 20


@pytest.mark.parametrize(
    "line",
    [
        f"Authorization: Bearer {TOKEN}",
        "Authorization: Basic c2VjcmV0LXZhbHVl",
        f"{{'Authorization': 'Bearer {TOKEN}'}}",
        f"GET /v26.0/1?access_token={TOKEN}&fields=id",
        '{"password": "c2VjcmV0LXZhbHVl"}',
        f"refused {TOKEN}",
        "sessionid=c2VjcmV0LXZhbHVl; path=/",
    ],
)
def test_a_secret_is_hidden(line):
    hidden = redact(line)
    assert MARK in hidden
    assert TOKEN not in hidden
    assert "c2VjcmV0LXZhbHVl" not in hidden


def test_a_secret_of_the_settings_is_hidden_wherever_it_stands(settings):
    settings.WHATSAPP_APP_SECRET = "a1b2c3d4e5"
    assert redact("key a1b2c3d4e5 was refused") == f"key {MARK} was refused"


def test_an_ordinary_line_stays():
    line = "POST /webhook 200: 3 items, 1 duplicate, session 12, token missing"
    assert redact(line) == line


def test_a_traceback_is_redacted_too():
    try:
        raise ValueError(f"bad token: {TOKEN}")
    except ValueError:
        error = sys.exc_info()
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "failed for %s", (TOKEN,), error)
    line = RedactingFormatter("%(message)s").format(record)
    assert "Traceback" in line
    assert TOKEN not in line
