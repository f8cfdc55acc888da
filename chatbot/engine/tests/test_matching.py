import pytest

from chatbot.engine.matching import Match, candidate, likeness, match_option, normalise

OPTIONS = (
    candidate("segunda_via", "Segunda via do boleto", ("2a via",)),
    candidate("vendas", "Vendas", ("comprar", "contratar")),
    candidate("suporte", "Suporte técnico"),
    candidate("financeiro", "Financeiro"),
)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("vendas", "vendas"),
        ("VENDAS!!", "vendas"),
        ("  Véndas ", "vendas"),
        ("segunda_via", "segunda_via"),
        ("2ª via", "segunda_via"),
        ("2", "vendas"),
        ("2)", "vendas"),
        ("2.", "vendas"),
        ("opção 2", "vendas"),
        ("Opcao dois", "vendas"),
        ("nº 2", "vendas"),
        ("a segunda", "vendas"),
        ("dois", "vendas"),
        ("2️⃣", "vendas"),
        ("três", "suporte"),
        ("4", "financeiro"),
        ("finaceiro", "financeiro"),
        ("vendsa", "vendas"),
        ("suporte", "suporte"),
        ("suporte tecnico por favor", "suporte"),
        ("quero comprar", "vendas"),
        ("boleto", "segunda_via"),
        ("quero a segunda via do boleto", "segunda_via"),
    ],
)
def test_an_option_is_understood(said: str, meant: str) -> None:
    assert match_option(said, OPTIONS) == Match(meant)


@pytest.mark.parametrize(
    "said",
    ["", "?", "0", "5", "99999999999999999999", "banana", "não sei", "v", "👍", "2 3", "x" * 5000],
)
def test_what_fits_no_option_is_not_understood(said: str) -> None:
    assert match_option(said, OPTIONS) == Match()


@pytest.mark.parametrize("said", ["vendas e suporte técnico", "vendas ou financeiro"])
def test_what_fits_two_options_is_ambiguous(said: str) -> None:
    found = match_option(said, OPTIONS)
    assert not found.id
    assert len(found.among) == 2


def test_equal_labels_are_ambiguous() -> None:
    twins = (candidate("a", "Falar"), candidate("b", "falar!"))
    assert match_option("falar", twins) == Match(among=("a", "b"))


def test_a_label_that_is_a_number_wins_over_the_position() -> None:
    marks = (candidate("cinco", "5"), candidate("um", "1"))
    assert match_option("1", marks) == Match("um")


def test_yes_and_no_are_not_confused() -> None:
    answers = (
        candidate("sim", "Concordo", ("sim", "aceito")),
        candidate("nao", "Não concordo", ("não",)),
    )
    assert match_option("não concordo com isso", answers) == Match("nao")
    assert match_option("concordo sim", answers) == Match("sim")
    assert match_option("nao", answers) == Match("nao")


def test_short_words_and_numbers_have_no_typos() -> None:
    assert likeness("sim", "sin") == 0
    assert likeness("2025", "2026") == 0
    assert likeness("boleto", "bolteo") > 0.8


def test_normalising_drops_accents_case_punctuation_and_emoji() -> None:
    assert normalise("  AÇÃO, já!! 😀 ") == "acao ja"
    assert normalise("🔟") == "10"
