from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.channels.base import Capabilities, Content, Option, degrade, merge
from chatbot.channels.splitting import cut, size, split, unique_titles

WHATSAPP = Capabilities(
    buttons=3,
    button_title=20,
    list_rows=10,
    list_row_title=24,
    list_row_description=72,
    list_button=20,
    header=60,
    footer=60,
    media=frozenset({"image", "audio", "document", "video", "sticker"}),
)
PLAIN = Capabilities(text_length=160)
ONLY_BUTTONS = Capabilities(buttons=3, button_title=20)


def options(*titles):
    return tuple(Option(f"id{n}", title) for n, title in enumerate(titles))


def titles(content):
    return [option.title for option in content.options]


def test_what_fits_is_left_alone():
    content = Content("buttons", "Escolha", options=options("Vendas", "Suporte"), header="Loja")
    assert degrade(content, WHATSAPP) == [content]


def test_more_options_than_buttons_become_a_list():
    [shown] = degrade(Content("buttons", "Escolha", options=options(*"abcd")), WHATSAPP)
    assert (shown.kind, titles(shown)) == ("list", list("abcd"))


def test_a_list_without_a_label_gets_one_in_the_language_of_the_site():
    with translation.override("en"):
        [shown] = degrade(Content("list", "Escolha", options=options("a")), WHATSAPP)
    assert shown.list_button == "Options"


def test_more_options_than_rows_become_numbered_text():
    [shown] = degrade(Content("list", "Escolha", options=options(*"abcdefghijk")), WHATSAPP)
    assert shown.kind == "text"
    assert shown.options == ()
    assert shown.text.startswith("Escolha\n\n1. a\n2. b\n")
    assert shown.text.endswith("11. k")


def test_a_button_title_that_would_be_cut_becomes_a_list_row():
    title = "Segunda via do boleto de novembro"
    [shown] = degrade(Content("buttons", "Escolha", options=options(title, "Não")), WHATSAPP)
    assert shown.kind == "list"
    assert titles(shown) == ["Segunda via do boleto d…", "Não"]
    assert shown.options[0].description == title


def test_without_lists_long_button_titles_are_cut_and_told_apart():
    long = "Falar com o departamento"
    [shown] = degrade(
        Content("buttons", "?", options=options(long + " A", long + " B")), ONLY_BUTTONS
    )
    assert shown.kind == "buttons"
    assert titles(shown) == ["Falar com o departa…", "Falar com o dep… (2)"]


def test_a_channel_without_options_gets_numbers_with_header_footer_and_descriptions():
    content = Content(
        "buttons",
        "Escolha",
        options=(Option("a", "Vendas", "das 9h às 18h"), Option("b", "Suporte")),
        header="Loja",
        footer="Responda com o número",
    )
    [shown] = degrade(content, PLAIN)
    expected = "Loja\n\nEscolha\n\n1. Vendas – das 9h às 18h\n2. Suporte\n\nResponda com o número"
    assert shown == Content("text", expected)


def test_a_long_menu_text_goes_before_and_the_last_part_carries_the_options():
    text = "\n\n".join(["Uma frase inteira. " * 30] * 5).strip()
    content = Content("buttons", text, options=options("Sim", "Não"), reply_to="wamid.Um")

    *before, last = degrade(content, WHATSAPP)

    assert before
    assert {part.kind for part in before} == {"text"}
    assert last.kind == "buttons"
    assert size(last.text) <= 1024
    assert [part.reply_to for part in (*before, last)] == ["wamid.Um"] + [""] * len(before)
    assert " ".join(part.text for part in (*before, last)).split() == text.split()


def test_a_menu_without_text_says_its_options():
    [shown] = degrade(Content("buttons", " ", options=options("Sim", "Não")), WHATSAPP)
    assert shown.text == "Sim / Não"


def test_options_that_share_an_id_cannot_be_tapped_and_are_numbered():
    same = (Option("x", "Sim"), Option("x", "Não"))
    [shown] = degrade(Content("buttons", "?", options=same), WHATSAPP)
    assert shown.kind == "text"


def test_an_id_beyond_the_limit_is_numbered_since_cutting_it_would_lose_the_answer():
    [shown] = degrade(Content("list", "?", options=(Option("x" * 201, "Sim"),)), WHATSAPP)
    assert shown.kind == "text"


def test_an_untitled_option_shows_its_id():
    [shown] = degrade(Content("buttons", "?", options=(Option("sim", " "),)), WHATSAPP)
    assert titles(shown) == ["sim"]


def test_a_menu_without_options_is_its_text():
    assert degrade(Content("list", "Oi"), WHATSAPP) == [Content("text", "Oi")]


def test_header_and_footer_too_long_for_their_place_move_into_the_text():
    content = Content("buttons", "Oi", options=options("Sim"), header="h" * 61, footer="f" * 61)
    [shown] = degrade(content, WHATSAPP)
    assert (shown.header, shown.footer) == ("", "")
    assert shown.text == f"{'h' * 61}\n\nOi\n\n{'f' * 61}"


def test_nothing_to_say_is_not_sent():
    assert degrade(Content("text", " \n"), WHATSAPP) == []
    assert degrade(Content("image"), WHATSAPP) == []


def test_a_caption_too_long_follows_its_media():
    content = Content("image", "a" * 1025, media_id="1", reply_to="wamid.Um")
    media, text = degrade(content, WHATSAPP)
    assert (media.kind, media.text, media.reply_to) == ("image", "", "wamid.Um")
    assert (text.kind, text.text, text.reply_to) == ("text", "a" * 1025, "")


def test_audio_has_no_caption_so_its_text_follows():
    assert [part.kind for part in degrade(Content("audio", "Ouça", media_id="1"), WHATSAPP)] == [
        "audio",
        "text",
    ]


def test_voice_is_plain_audio_where_there_are_no_voice_notes():
    [shown] = degrade(Content("voice", media_id="1"), WHATSAPP)
    assert shown.kind == "audio"


def test_media_a_channel_cannot_show_is_its_link():
    content = Content("video", "Veja", media_link="https://example.com/v.mp4")
    assert degrade(content, PLAIN) == [Content("text", "Veja\n\nhttps://example.com/v.mp4")]


def test_locations_templates_and_reactions_pass():
    for kind in ("location", "template", "reaction"):
        assert degrade(Content(kind, "👍", target_id="wamid.Um"), WHATSAPP)[0].kind == kind


def test_neighbouring_texts_are_merged_while_they_fit():
    long = Content("text", "x" * 4091)
    merged = merge(
        [
            Content("text", "Oi", reply_to="wamid.Um"),
            Content("text", "Tudo bem?"),
            Content("image", media_id="1"),
            Content("text", "Fim"),
            Content("text", "Cita", reply_to="wamid.Dois"),
            long,
        ],
        WHATSAPP,
    )
    assert merged == [
        Content("text", "Oi\n\nTudo bem?", reply_to="wamid.Um"),
        Content("image", media_id="1"),
        Content("text", "Fim"),
        Content("text", "Cita", reply_to="wamid.Dois"),
        long,
    ]


def test_texts_part_at_paragraphs_then_lines_then_sentences_then_words():
    assert split("aaaa bbbb.\n\ncc dd", 14) == ["aaaa bbbb.", "cc dd"]
    assert split("aaaa bbbb\ncc dd e", 14) == ["aaaa bbbb", "cc dd e"]
    assert split("aaaa bbb. cc ddd", 14) == ["aaaa bbb.", "cc ddd"]
    assert split("aaaa bbbb cc ddd", 14) == ["aaaa bbbb cc", "ddd"]
    assert split("a" * 20, 14) == ["a" * 14, "a" * 6]


def test_an_emoji_family_is_not_parted():
    family = "👨\u200d👩\u200d👧"
    assert split("aaaaa" + family, 9) == ["aaaaa", family]


def test_emoji_count_as_two():
    assert size("a😊") == 3
    assert split("😊" * 6, 4) == ["😊😊", "😊😊", "😊😊"]


@settings(deadline=None)
@given(st.text(max_size=300), st.integers(min_value=8, max_value=60))
def test_splitting_loses_only_white_space_and_keeps_the_limit(text, limit):
    parts = split(text, limit)
    assert all(part.strip() and size(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


@settings(deadline=None)
@given(st.lists(st.text(max_size=40), max_size=12), st.integers(min_value=1, max_value=24))
def test_titles_are_unique_and_short_or_refused(wanted, limit):
    found = unique_titles(wanted, limit)
    if found is not None:
        assert len({title.casefold() for title in found}) == len(wanted)
        assert all(0 < size(title) <= limit for title in found)


@settings(deadline=None)
@given(
    st.sampled_from(["text", "buttons", "list", "image", "audio"]),
    st.text(max_size=3000),
    st.lists(st.tuples(st.text(max_size=220), st.text(max_size=90)), max_size=14),
    st.sampled_from([WHATSAPP, PLAIN, ONLY_BUTTONS]),
)
def test_degraded_content_is_within_every_limit(kind, text, given_options, can):
    chosen = tuple(Option(id_, title, title) for id_, title in given_options)
    for part in degrade(Content(kind, text, options=chosen, media_id="1"), can):
        assert part.kind in {"text", "buttons", "list", *can.media}
        limit = can.body_length if part.options else can.text_length
        assert size(part.text) <= limit
        assert part.text.strip() or part.media_id
        if part.kind == "buttons":
            assert 0 < len(part.options) <= can.buttons
            assert all(0 < size(title) <= can.button_title for title in titles(part))
        if part.kind == "list":
            assert 0 < len(part.options) <= can.list_rows
            assert part.list_button
            assert all(0 < size(title) <= can.list_row_title for title in titles(part))
            assert all(size(o.description) <= can.list_row_description for o in part.options)


def test_cutting_to_nothing_gives_nothing():
    assert cut("abc", 0) == ""
