"""The small parts that every page uses say times, numbers and people in the same way."""

from datetime import timedelta

import pytest
from django.utils import timezone, translation

from chatbot.templatetags.console import avatar, duration, phone, presence, since
from users.models import Availability


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (timedelta(seconds=5), "just now"),
        (timedelta(minutes=6), "6 min ago"),
        (timedelta(days=3), "3 days ago"),
    ],
)
def test_a_moment_is_said_as_how_long_ago(ago, words):
    with translation.override("en"):
        shown = since(timezone.now() - ago)
    assert words in shown
    assert "datetime=" in shown
    assert "title=" in shown


def test_no_moment_is_nothing():
    assert (since(None), duration(None)) == ("", "")


@pytest.mark.parametrize(
    ("seconds", "whole", "exact"),
    [(40, "0 min", "40 s"), (220, "3 min", "3 min 40 s"), (4800, "1 h 20", "1 h 20")],
)
def test_a_stretch_is_said_in_minutes_or_to_the_second(seconds, whole, exact):
    stretch = timedelta(seconds=seconds)
    with translation.override("en"):
        assert (duration(stretch), duration(stretch, "exact")) == (whole, exact)


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("+5581900000142", "+55 81 90000-0142"),
        ("558132220142", "+55 81 3222-0142"),
        ("+15550001111", "+15550001111"),
        ("", ""),
    ],
)
def test_a_brazilian_number_is_shown_as_people_read_it(number, shown):
    assert phone(number) == shown


def test_a_picture_belongs_to_its_name_and_escapes_it():
    assert avatar("Ana Prado") == avatar("Ana Prado")
    assert '<i class="pres ok">' in avatar("Ana Prado", "available", "s")
    assert "<script>" not in avatar("<script> alert")


@pytest.mark.parametrize("availability", Availability.values)
def test_every_availability_has_its_dot(availability):
    assert presence(availability) in {"ok", "warn", "off"}
