"""What is hidden outside the places where showing it is logged."""

import pytest

from users.masking import MASK, hidden_names, hint, is_personal, masked

PERSONAL = [
    "529.982.247-25",
    " 52998224725 ",
    "11.222.333/0001-81",
    "davi@example.com",
    "+55 11 98765-4321",
    "(11) 3456-7890",
    "11987654321",
]
PLAIN = [
    "20261126-0003",
    "1234567890",
    "2026-11-26",
    "600 Mb",
    "Rua A, 10",
    "me escreva em davi@example.com",
    "@davi",
    "",
    None,
    52998224725,
]


@pytest.mark.parametrize("text", PERSONAL)
def test_a_document_an_address_and_a_number_are_personal(text):
    assert is_personal(text)


@pytest.mark.parametrize("value", PLAIN)
def test_other_answers_are_not(value):
    assert not is_personal(value)


def test_what_is_declared_or_reads_as_personal_is_masked_however_deep():
    told = {
        "rg": "9.876.543",
        "notas": ["ok", "davi@example.com"],
        "onde": {"rg": "1", "uf": "PE"},
        "pin": "",
    }
    assert masked(told, {"rg", "pin"}) == {
        "rg": MASK,
        "notas": ["ok", MASK],
        "onde": {"rg": MASK, "uf": "PE"},
        "pin": "",
    }
    assert hidden_names(told, {"rg"}) == {"rg", "notas"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("52998224725", "•••.982.•••-25"),
        ("11.222.333/0001-81", "••.222.•••/••••-81"),
        ("11987654321", MASK),
        ("davi@example.com", MASK),
        ("", ""),
    ],
)
def test_a_hint_is_enough_to_compare_a_document(text, shown):
    assert hint(text) == shown
