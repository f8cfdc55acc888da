from datetime import date
from typing import Any

import pytest

from chatbot.engine.answers import answer_of
from chatbot.engine.dates import parse_date
from chatbot.engine.kinds import Ask
from chatbot.engine.messages import (
    ContactsReceived,
    FormReceived,
    LocationReceived,
    MediaReceived,
    TextReceived,
)
from chatbot.engine.tests.documents import AT, FACTS

TODAY = date(2026, 11, 12)  # a Thursday


def ask(answer: str, **more: Any) -> Ask:
    return Ask.model_validate({"text": "?", "save_as": "x", "answer": answer, **more})


def read(question: Ask, text: str) -> Any:
    return answer_of(question, TextReceived(at=AT, facts=FACTS, text=text))


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", "  Davi \u202eRocha\x07 ", "Davi Rocha"),
        ("number", "1.234,56", 1234.56),
        ("number", "R$ 50", 50),
        ("number", "10.000", 10000),
        ("number", "2.5", 2.5),
        ("number", "-3", -3),
        ("email", "meu e-mail é Ana@Exemplo.COM.br.", "Ana@exemplo.com.br"),
        ("phone", "(81) 99999-0142", "+5581999990142"),
        ("phone", "+1 650 253 0000", "+16502530000"),
        ("cpf", "CPF 529.982.247-25", "52998224725"),
        ("cnpj", "12.abc.345/01de-35", "12ABC34501DE35"),
        ("cnpj", "meu cnpj: 11.222.333/0001-81", "11222333000181"),
        ("date", "amanhã", "2026-11-13"),
    ],
)
def test_a_good_answer_is_kept_in_its_plain_form(kind: str, text: str, value: Any) -> None:
    assert read(ask(kind), text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("text", " \u200f "),
        ("number", "dez reais"),
        ("number", "9" * 5000),
        ("number", "1,2,3"),
        ("number", "1.2.3"),
        ("number", "١٢"),
        ("email", "ana@exemplo"),
        ("email", "a@b.com ou c@d.com"),
        ("phone", "oi"),
        ("phone", "123"),
        ("cpf", "529.982.247-26"),
        ("cpf", "111.111.111-11"),
        ("cnpj", "11.222.333/0001-82"),
        ("date", "31/02/2026"),
        ("location", "Rua A, 10"),
        ("file", "foto"),
    ],
)
def test_a_bad_answer_is_none(kind: str, text: str) -> None:
    assert read(ask(kind), text) is None


def test_bounds_hold_for_numbers_and_for_the_length_of_texts() -> None:
    assert read(ask("number", minimum=18, maximum=99), "17") is None
    assert read(ask("number", minimum=18, maximum=99), "18") == 18
    assert read(ask("number", maximum=99), "100") is None
    assert read(ask("text", minimum=3), "oi") is None


def test_places_files_and_cards_answer_their_questions() -> None:
    place = LocationReceived(at=AT, latitude=-8.05, longitude=-34.9, address="Rua A")
    photo = MediaReceived(at=AT, media="image", ref="m1", caption="RG")
    card = ContactsReceived(at=AT, names=("Davi",), phone="+5581999990142")
    assert answer_of(ask("location"), place)["address"] == "Rua A"
    assert answer_of(ask("file"), photo)["ref"] == "m1"
    assert answer_of(ask("text", accepts_media=True), photo)["caption"] == "RG"
    assert answer_of(ask("phone"), card) == "+5581999990142"
    assert answer_of(ask("text"), photo) is None
    assert answer_of(ask("text"), card) is None


def test_a_form_answers_by_the_name_of_the_variable() -> None:
    assert answer_of(ask("number"), FormReceived(at=AT, values={"x": "12"})) == 12
    assert answer_of(ask("number"), FormReceived(at=AT, values={"y": "12"})) is None


@pytest.mark.parametrize(
    ("text", "either", "past", "future"),
    [
        ("12/11/2026", "2026-11-12", "2026-11-12", "2026-11-12"),
        ("12-11", "2026-11-12", "2026-11-12", "2026-11-12"),
        ("1/1", "2026-01-01", "2026-01-01", "2027-01-01"),
        ("25.12", "2026-12-25", "2025-12-25", "2026-12-25"),
        ("hoje", "2026-11-12", "2026-11-12", "2026-11-12"),
        ("Amanhã!", "2026-11-13", None, "2026-11-13"),
        ("depois de amanhã", "2026-11-14", None, "2026-11-14"),
        ("ontem", "2026-11-11", "2026-11-11", None),
        ("sexta-feira", "2026-11-13", "2026-11-06", "2026-11-13"),
        ("próxima segunda", "2026-11-16", "2026-11-09", "2026-11-16"),
        ("domingo", "2026-11-15", "2026-11-08", "2026-11-15"),
        ("dia 5", "2026-12-05", "2026-11-05", "2026-12-05"),
        ("dia 20", "2026-11-20", "2026-10-20", "2026-11-20"),
        ("1º de maio", "2026-05-01", "2026-05-01", "2027-05-01"),
        ("12 de março de 1990", "1990-03-12", "1990-03-12", None),
        ("3 fev 27", "2027-02-03", "1927-02-03", "2027-02-03"),
        ("01/02/90", "1990-02-01", "1990-02-01", "2090-02-01"),
        ("2026-12-01", "2026-12-01", None, "2026-12-01"),
        ("29/02", None, None, None),
        ("12/13/2026", None, None, None),
        ("12 de foo", None, None, None),
        ("logo", None, None, None),
        ("٣/٤", None, None, None),
    ],
)
def test_a_date_is_read_as_people_write_it(
    text: str, either: str | None, past: str | None, future: str | None
) -> None:
    read_dates = [parse_date(text, TODAY, when) for when in ("", "past", "future")]
    assert [day and day.isoformat() for day in read_dates] == [either, past, future]


def test_days_beyond_the_calendar_are_no_dates() -> None:
    assert parse_date("amanhã", date.max) is None
    assert parse_date("ontem", date.min) is None
