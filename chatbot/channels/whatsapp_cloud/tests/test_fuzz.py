"""Whatever the body holds, parsing gives items or Malformed."""

import copy
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from chatbot.channels.tests.helpers import PAYLOADS
from chatbot.tests.fuzzing import check_parse

SEEDS = [json.loads(path.read_bytes()) for path in sorted((PAYLOADS / "whatsapp_cloud").iterdir())]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "text", "BR.1", "5511990000001", "system", "\ud800", "\x00", 10**30]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def check(body):
    check_parse(0, body)


def places(document, path=()):
    """The path of every value in a document."""
    yield path
    children = document.items() if isinstance(document, dict) else ()
    children = enumerate(document) if isinstance(document, list) else children
    for key, child in children:
        yield from places(child, (*path, key))


def replaced(document, path, value):
    if not path:
        return value
    changed = copy.deepcopy(document)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return changed


@settings(deadline=None)
@given(JSON)
def test_any_json_is_read_or_refused(document):
    check(json.dumps(document).encode())


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body):
    check(body)


@settings(deadline=None)
@given(JSON, st.sampled_from(["messages", "smb_message_echoes", "user_preferences", "other"]))
def test_any_value_of_a_change_is_read(value, field):
    change = {"field": field, "value": value}
    check(json.dumps({"entry": [{"id": "1", "changes": [change]}]}).encode())


@settings(deadline=None, max_examples=400)
@given(st.data(), st.sampled_from(SEEDS))
def test_a_real_body_with_any_part_replaced_is_read(data, seed):
    document = seed
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(list(places(document))))
        document = replaced(document, path, data.draw(JSON))
    check(json.dumps(document).encode())


def test_every_single_value_of_every_real_body_may_have_any_type():
    for seed in SEEDS:
        for path in places(seed):
            for value in (None, True, 0, -1.5, "", "x", [], [None], {}, {"id": []}):
                check(json.dumps(replaced(seed, path, value)).encode())
