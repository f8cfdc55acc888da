"""Bodies as no provider should send them: real ones with parts broken, repeated, moved and mixed.

Each body follows from a seed and its index alone, so that whatever was found can be played again:

    Mutator(seed=1).body(4711)

Aimed at what is stored already: ids, people and numbers come from small pools, so that messages
repeat, statuses and edits meet their messages, and several bodies speak of one conversation.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PAYLOADS = Path(__file__).parent / "payloads"
MESSAGES = PAYLOADS / "whatsapp_cloud"
ANSWERS = PAYLOADS / "whatsapp_cloud_api_responses"

BEGAN = 1_795_000_000  # November 2026; one second a body from here
CROWD_EVERY = 4000  # one body in so many has very many items or a very long text
CROWD = 1500
ENOUGH = 3_000_000  # characters of such a crowd: no provider's body is larger
LONG = 100_000
PEOPLE = 40
NUMBERS = ("100000000000001", "100000000000001", "100000000000002", "999999999999999")

# Written into the JSON as they are: `json.dumps` has no way to say them.
LITERALS = ("1e400", "-1e400", "NaN", "Infinity", "-Infinity", "-0", "1E5", "9" * 400, "1.0")
_LITERAL = re.compile(rb'"\\u0001([^"\\]+)\\u0001"')

TEXTS = (
    "",
    " ",
    "0",
    "\x00",
    "Oi\x00tudo",
    "\ud800",
    "\udfff\ud800",
    "\u202etxet sihT\u202c",
    "مرحبا",
    "👩‍👩‍👧‍👦" * 50,
    "a" * 5000,
    "../../etc/passwd\x00.jpg",
    "{{ name }}{% include 'x' %}{0.__class__}%s",
    "<script>alert(1)</script>",
    "'; DROP TABLE leads_lead; --",
    "\u2028\u2029\ufeff",
    "\n\r\t\x0b\x1b[31m",
    "atendente",
    "menu",
    "sair",
    "sim",
    "1",
)
NUMERIC = (
    0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**18, 10**30, 1.5, -0.0, 1e308,
)  # fmt: skip
TIMES = (
    "0", "-1", "1795000000", "1795000000000", "1795000000000000", 1795000000, 1795000000.0,
    1795000000.5, "1e9", "", None, "ontem", "9" * 16, "9" * 17, "٣٤٥", True, [1795000000],
    "253402300800", " 1795000000 ",
)  # fmt: skip
KEYS = (
    "", "id", "from", "from_user_id", "wa_id", "user_id", "type", "text", "body", "timestamp",
    "errors", "context", "group_id", "metadata", "field", "value", "messages", "statuses",
    "contacts", "__proto__", "\x00", "\ud800", "payload", "kind", "media", "profile", "name",
)  # fmt: skip
KINDS = (
    "text", "image", "audio", "video", "document", "sticker", "location", "contacts", "button",
    "interactive", "reaction", "order", "edit", "revoke", "system", "request_welcome",
    "unsupported", "novidade", "", "errors", "type",
)  # fmt: skip
FIELDS = (
    "messages", "smb_message_echoes", "history", "standby", "user_preferences", "user_id_update",
    "message_template_status_update", "smb_app_state_sync", "novidade", "",
)  # fmt: skip
LISTS = ("messages", "statuses", "message_echoes", "user_preferences", "user_id_update", "errors")


Json = Any
Where = tuple[Any, Any]  # a container and the key or index in it


class Mutator:
    """Deterministic in (seed, index). `is_large` False leaves out the few bodies of megabytes."""

    def __init__(self, seed: int = 1, folder: Path = MESSAGES, *, is_large: bool = True) -> None:
        self.seed = seed
        self._files = [path.read_bytes() for path in sorted(folder.glob("*.json"))]
        self._is_large = is_large

    def body(self, index: int) -> bytes:
        rng = random.Random(f"{self.seed}:{index}")  # noqa: S311  # no secret
        document = self._document(rng)
        if rng.random() < 0.85:
            freshen(rng, document, index)
        for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5))):
            rng.choice(MUTATIONS)(rng, document)
        if self._is_large and rng.randrange(CROWD_EVERY) == 0:
            rng.choice((_crowd, _long_text))(rng, document)
        body = as_bytes(rng, document)
        return rng.choice(DAMAGES)(rng, body) if rng.random() < 0.15 else body

    def _document(self, rng: random.Random) -> Json:
        """One file, or the entries, changes and items of several in one body."""
        document = json.loads(rng.choice(self._files))
        for _ in range(rng.choice((0, 0, 0, 1, 1, 3))):
            _splice(rng, document, json.loads(rng.choice(self._files)))
        return document


def freshen(rng: random.Random, document: Json, index: int) -> None:
    """New ids, times and people for what would otherwise be the same message every time."""
    for number, (where, key) in enumerate(list(_places(document))):
        value = where[key]
        if key == "timestamp" and isinstance(value, str | int):
            where[key] = str(BEGAN + index - rng.choice((0, 0, 0, 5, 90_000)))
        elif key in {"id", "message_id", "original_message_id"} and _is_wamid(value):
            where[key] = _wamid(rng, index, number, is_own=key == "id" and _is_item(where))
        elif key == "biz_opaque_callback_data":
            where[key] = f"m{rng.randint(1, index + 1)}"
    if rng.random() < 0.6:
        _move_to_somebody(rng, document)


def _is_wamid(value: Json) -> bool:
    return isinstance(value, str) and value.startswith("wamid.")


def _is_item(where: Json) -> bool:
    return "type" in where or "status" in where or "timestamp" in where


def _wamid(rng: random.Random, index: int, number: int, *, is_own: bool) -> str:
    """Its own, else one that came before, or one of ours (`wamid.out.` and the row)."""
    if is_own and rng.random() < 0.8:
        return f"wamid.in.{index}.{number}"
    if rng.random() < 0.5:
        return f"wamid.out.{rng.randint(1, index + 1)}"
    return f"wamid.in.{rng.randint(max(0, index - 50), index)}.{rng.randint(0, 40)}"


def _move_to_somebody(rng: random.Random, document: Json) -> None:
    """The whole body to one of a few people, so that conversations get on."""
    person = rng.randrange(PEOPLE)
    phone, user = f"55119900{person:05d}", f"BR.7{person:019d}"
    for where, key in list(_places(document)):
        if key in {"from", "wa_id", "recipient_id", "to"} and isinstance(where[key], str):
            where[key] = phone if where[key] else ""
        elif key in {"user_id", "from_user_id", "recipient_user_id"} and isinstance(
            where[key], str
        ):
            where[key] = user


# --- Inside the document -----------------------------------------------------------------------


def _delete(rng: random.Random, document: Json) -> None:
    place = _any_place(rng, document)
    if place:
        del place[0][place[1]]


def _rename(rng: random.Random, document: Json) -> None:
    place = _any_place(rng, document, dict)
    if place:
        where, key = place
        where[rng.choice(KEYS)] = where.pop(key)


def _duplicate(rng: random.Random, document: Json) -> None:
    place = _any_place(rng, document)
    if place and isinstance(place[0], list):
        times = rng.choice((1, 1, 2, 5))
        place[0].extend(_copy(place[0][place[1]]) for _ in range(times))
    elif place:
        place[0][rng.choice(KEYS)] = _copy(place[0][place[1]])


def _replace(rng: random.Random, document: Json) -> None:
    place = _any_place(rng, document)
    if place:
        place[0][place[1]] = junk(rng)


def _swap_two(rng: random.Random, document: Json) -> None:
    places = list(_places(document))
    if len(places) < 2:
        return
    (one, at), (other, there) = rng.sample(places, 2)
    found = _copy(one[at])
    one[at], other[there] = _copy(other[there]), found


def _wrap(rng: random.Random, document: Json) -> None:
    place = _any_place(rng, document)
    if place:
        where, key = place
        inner = where[key]
        for _ in range(rng.choice((1, 1, 2, 10, 55, 200))):
            inner = [inner] if rng.random() < 0.5 else {rng.choice(KEYS): inner}
        where[key] = inner


def _retime(rng: random.Random, document: Json) -> None:
    for where, key in list(_places(document)):
        if key == "timestamp":
            where[key] = _copy(rng.choice(TIMES))


def _readdress(rng: random.Random, document: Json) -> None:
    """Other people, other business numbers, forms that are no address."""
    for where, key in list(_places(document)):
        if key == "phone_number_id" and rng.random() < 0.5:
            where[key] = rng.choice(NUMBERS)
        elif key in ADDRESS_KEYS and rng.random() < 0.5:
            where[key] = _copy(rng.choice(ADDRESSES))


ADDRESS_KEYS = {
    "from", "to", "wa_id", "recipient_id", "customer", "user_id", "from_user_id", "to_user_id",
}  # fmt: skip
ADDRESSES = (
    "5511990000001", "551190000001", "+55 (11) 99000-0001", "BR.10000000000000000001", "br.1",
    "US.ENT.abc", "BR." + "x" * 200, "", None, 0, 5511990000001, "12", "9" * 40, "551130000009",
    "100000000000001", "5511990000001\x00", "BR.1\n", [], {}, "1", "٥٥١١٩٩٠٠٠٠٠٠١",
)  # fmt: skip


def _retype(rng: random.Random, document: Json) -> None:
    for where, key in list(_places(document)):
        if key == "type" and rng.random() < 0.5:
            where[key] = rng.choice(KINDS)
        elif key == "field" and rng.random() < 0.3:
            where[key] = rng.choice(FIELDS)
        elif key == "status" and rng.random() < 0.5:
            where[key] = rng.choice(("sent", "delivered", "read", "played", "failed", "x", None))


def _reword(rng: random.Random, document: Json) -> None:
    """What a person may type, tap or call a file."""
    words = {"body", "title", "caption", "emoji", "name", "filename", "payload", "details", "text"}
    for where, key in list(_places(document)):
        if key in words and isinstance(where[key], str) and rng.random() < 0.7:
            where[key] = rng.choice(TEXTS)


def _rename_list(rng: random.Random, document: Json) -> None:
    """Messages as echoes, echoes as statuses …"""
    for where, key in list(_places(document)):
        if key in LISTS and rng.random() < 0.5:
            where[rng.choice(LISTS)] = where.pop(key)


def _repeat_items(rng: random.Random, document: Json) -> None:
    """The same wamids again, in another order."""
    for where, key in list(_places(document)):
        if key in LISTS and isinstance(where[key], list):
            where[key] = [_copy(one) for one in where[key] * rng.choice((2, 3))]
            rng.shuffle(where[key])


def _into_group(rng: random.Random, document: Json) -> None:
    for where, key in list(_places(document)):
        if key == "timestamp" and isinstance(where, dict) and rng.random() < 0.5:
            where["group_id"] = rng.choice(("Y2FwaV9ncm91cA==", "", None, 7, "\x00", []))
            return


MUTATIONS: tuple[Callable[[random.Random, Json], None], ...] = (
    _delete, _delete, _rename, _duplicate, _replace, _replace, _replace, _swap_two, _wrap, _retime,
    _readdress, _retype, _reword, _reword, _rename_list, _repeat_items, _into_group,
)  # fmt: skip


def junk(rng: random.Random) -> Json:
    """A value of any type."""
    return rng.choice(JUNK)(rng)


def _list_of_junk(rng: random.Random) -> Json:
    return [junk(rng) for _ in range(rng.randrange(4))]


def _object_of_junk(rng: random.Random) -> Json:
    return {rng.choice(KEYS): junk(rng) for _ in range(rng.randrange(4))}


def _literal(rng: random.Random) -> str:
    return f"\x01{rng.choice(LITERALS)}\x01"


def _hollow(rng: random.Random) -> Json:
    return rng.choice(([[]], {}, [{}], [[None]], {"id": []}, {"": {}}, [0] * 50))


JUNK: tuple[Callable[[random.Random], Json], ...] = (
    lambda _rng: None,
    lambda rng: rng.random() < 0.5,
    lambda rng: rng.choice(NUMERIC),
    lambda rng: rng.choice(TEXTS),
    lambda rng: rng.choice(TEXTS),
    _literal,
    _list_of_junk,
    _object_of_junk,
    _hollow,
)


def _crowd(rng: random.Random, document: Json) -> None:
    """As many items as a provider may send, and more; each with an id of its own."""
    lists = [
        where[key]
        for where, key in _places(document)
        if key in LISTS and isinstance(where[key], list) and where[key]
    ]
    if not lists:
        return
    items = rng.choice(lists)
    one = json.dumps(items[0])
    for number in range(min(CROWD, ENOUGH // len(one))):
        again = json.loads(one)
        if isinstance(again, dict) and rng.random() < 0.9:
            again["id"] = f"wamid.crowd.{rng.randrange(10**9)}.{number}"
        items.append(again)


def _long_text(rng: random.Random, document: Json) -> None:
    texts = [place for place in _places(document) if isinstance(place[0][place[1]], str)]
    if texts:
        where, key = rng.choice(texts)
        where[key] = rng.choice(("x", "é", "\x00", "😀", "9", "[")) * LONG


def _splice(rng: random.Random, document: Json, other: Json) -> None:
    """Entries, changes or items of another file beside or in place of this one's."""
    mine, theirs = list(_places(document)), list(_places(other))
    if not mine or not theirs:
        return
    where, key = rng.choice(mine)
    same = [place for place in theirs if place[1] == key] or theirs
    found, there = rng.choice(same)
    piece = found[there]
    if isinstance(where[key], list) and isinstance(piece, list):
        where[key] = [*where[key], *piece]
    elif isinstance(document, dict) and isinstance(other, dict) and rng.random() < 0.6:
        entries = document.get("entry"), other.get("entry")
        if all(isinstance(one, list) for one in entries):
            document["entry"] = [*entries[0], *entries[1]]
    else:
        where[key] = piece


def _places(document: Json) -> Iterator[Where]:
    """Every value in a document, as its container and key."""
    stack = [document]
    while stack:
        where = stack.pop()
        keys = list(where) if isinstance(where, dict) else range(len(where))
        for key in keys:
            yield where, key
            child = where[key] if isinstance(where, list) or key in where else None
            if isinstance(child, dict | list):
                stack.append(child)


def _any_place(rng: random.Random, document: Json, kind: type = object) -> Where | None:
    places = [one for one in _places(document) if isinstance(one[0], kind)]
    return rng.choice(places) if places else None


def _copy(value: Json) -> Json:
    return json.loads(json.dumps(value)) if isinstance(value, dict | list) else value


# --- Around and below the document -------------------------------------------------------------


def as_bytes(rng: random.Random, document: Json) -> bytes:
    """JSON as one of several programs would write it."""
    is_ascii = rng.random() < 0.7
    body = json.dumps(document, ensure_ascii=is_ascii, indent=rng.choice((*(None,) * 9, 2)))
    raw = body.encode("utf-8", "surrogatepass")
    return _LITERAL.sub(rb"\1", raw)


def _cut(rng: random.Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _flip(rng: random.Random, body: bytes) -> bytes:
    changed = bytearray(body)
    for _ in range(rng.choice((1, 1, 2, 8))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _drop(rng: random.Random, body: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + body[at + rng.randint(1, 30) :]


def _insert(rng: random.Random, body: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + rng.randbytes(rng.randint(1, 8)) + body[at:]


def _with_bom(_rng: random.Random, body: bytes) -> bytes:
    return b"\xef\xbb\xbf" + body


def _as_utf16(rng: random.Random, body: bytes) -> bytes:
    return body.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-16-be", "utf-32")))


def _as_latin1(_rng: random.Random, body: bytes) -> bytes:
    return body.decode("utf-8", "replace").encode("latin-1", "replace")


def _repeat_key(rng: random.Random, body: bytes) -> bytes:
    """A key twice in one object: the second counts."""
    key = rng.choice(("entry", "messages", "id", "from", "type", "value", "object")).encode()
    found = f'"{key.decode()}": {json.dumps(rng.choice((None, [], {}, "x", 1)))}, "'.encode()
    return body.replace(b'"' + key + b'"', found + key + b'"', 1)


def _with_tail(rng: random.Random, body: bytes) -> bytes:
    return body + rng.choice((b"\x00", b"}", b"{}", b" \n\t", b"<html>", b",", body[:40]))


def _nested(rng: random.Random, body: bytes) -> bytes:
    depth = rng.choice((10, 60, 1000, 50_000))
    deep = rng.choice((b"[" * depth + b"]" * depth, b'{"a":' * depth + b"0" + b"}" * depth))
    return body.replace(b"null", deep, 1) if b"null" in body else deep


DAMAGES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _cut, _flip, _flip, _drop, _insert, _with_bom, _as_utf16, _as_latin1, _repeat_key, _repeat_key,
    _with_tail, _nested,
)  # fmt: skip
