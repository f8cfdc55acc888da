import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leads.phones import canonical_phone, parse_typed, phone_variants


@pytest.mark.parametrize(
    ("written", "canonical", "other"),
    [
        ("558590000002", "5585990000002", "558590000002"),
        ("5585990000002", "5585990000002", "558590000002"),
        ("553190000005", "5531990000005", "553190000005"),
        ("551160000001", "5511960000001", "551160000001"),
        ("+55 (85) 9000-0002", "5585990000002", "558590000002"),
        ("5215512345678", "525512345678", "5215512345678"),
        ("525512345678", "525512345678", "5215512345678"),
        ("5491143210000", "5491143210000", "541143210000"),
        ("541143210000", "5491143210000", "541143210000"),
    ],
)
def test_two_forms_of_a_line_have_one_canonical_form(written, canonical, other):
    assert canonical_phone(written) == canonical
    assert phone_variants(written) == (canonical, other)


@pytest.mark.parametrize(
    "number",
    [
        "551130000009",  # landline
        "5511930000009",  # mobile-like, but without its 9 it would be that landline
        "5511220000009",
        "14155552671",
        "351912345678",
        "55119900000011",
        "55",
        "",
    ],
)
def test_a_line_with_one_form_is_left_alone(number):
    assert phone_variants(number) == (number,)


def test_a_landline_is_never_matched_with_a_mobile():
    assert not set(phone_variants("551130000009")) & set(phone_variants("5511930000009"))


@settings(deadline=None)
@given(st.text(alphabet="0123456789", max_size=15))
def test_all_forms_of_a_line_agree(digits):
    assert {canonical_phone(form) for form in phone_variants(digits)} == {canonical_phone(digits)}


@settings(deadline=None)
@given(
    st.sampled_from(["55", "52", "54", "521", "549"]),
    st.text(alphabet="0123456789", min_size=10, max_size=11),
)
def test_the_forms_of_a_line_are_the_same_whichever_came(country, rest):
    for form in phone_variants(country + rest):
        assert set(phone_variants(form)) == set(phone_variants(country + rest))


@pytest.mark.parametrize(
    ("typed", "e164"),
    [
        ("11 99000-0001", "+5511990000001"),
        ("(11) 99000-0001", "+5511990000001"),
        ("011 99000 0001", "+5511990000001"),
        ("0 15 11 99000-0001", "+5511990000001"),
        ("+55 11 99000-0001", "+5511990000001"),
        ("5511990000001", "+5511990000001"),
        ("11.99000.0001", "+5511990000001"),
        ("11 9000-0001", "+5511990000001"),
        ("meu número é 11 99000-0001, obrigado", "+5511990000001"),
        ("11 3000-0009", "+551130000009"),
        ("11 99000-0001 / 11 98000-0002", "+5511990000001"),
        ("11 99000-0001\n11 98000-0002", "+5511990000001"),
        ("+1 415 555 2671", "+14155552671"),
        ("+54 11 4321-0000", "+541143210000"),
    ],
)
def test_a_typed_number_is_understood(typed, e164):
    assert parse_typed(typed) == e164


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "não sei",
        "99000-0001",
        "123",
        "+0000000000",
        "9" * 40,
        "00 00000-0000",
        "529.982.247-25",
    ],
)
def test_what_is_no_number_is_refused(typed):
    assert parse_typed(typed) is None


@settings(deadline=None)
@given(st.text(max_size=60))
def test_anything_typed_gives_a_number_or_none(typed):
    found = parse_typed(typed)
    assert found is None or (found.startswith("+") and found[1:].isdigit())
