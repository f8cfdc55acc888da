"""Finding rows by the words in their texts: folded case and accents, each word from its beginning.

PostgreSQL reads a GIN index over `atende_words(document)`. That function (`function_sql`) folds and
splits; its COST is what it takes, so that the planner does not call it for every row. A change of
`FOLDED` or of a document needs a new migration. SQLite has neither the index nor the size: there
words are looked for anywhere in the text, by a function of Python.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import BooleanField, F, Func, QuerySet, Subquery

Rows = TypeVar("Rows", bound=QuerySet[Any])

# What is folded into one plain letter; and what would make one word of two parts (an e-mail
# address, a path, a number with a dot) is a space.
_LETTERS = {
    "a": "áàâãäåāăą",
    "c": "çćĉċč",
    "d": "ďđ",
    "e": "éèêëēĕėęě",
    "g": "ĝğġģ",
    "i": "íìîïĩīĭį",
    "l": "ĺļľł",
    "n": "ñńņň",
    "o": "óòôõöøōŏő",
    "r": "ŕŗř",
    "s": "śŝşš",
    "t": "ţťŧ",
    "u": "úùûüũūŭůűų",
    "y": "ýÿŷ",
    "z": "źżž",
}
_BREAKS = "@.,;:!?-_/\\+*~#&=<>()[]{}|'\"\u00a0"
FOLDED = {
    **{one: plain for plain, accented in _LETTERS.items() for one in accented + accented.upper()},
    **dict.fromkeys(_BREAKS, " "),
}
_TABLE = str.maketrans(FOLDED)
_WORD = re.compile(r"[^\W_]+")
MOST_WORDS = 8
LONGEST_TEXT = 200  # characters of what somebody typed
MOST_FOUND = 100_000  # rows that one search looks through
COST = 5_000  # in units of a comparison
LONGEST_DOCUMENT = 10_000  # characters that are indexed: a tsvector has a limit, texts have none


def fold(text: str | None) -> str:
    """The text as it is compared: as long as it was, so that places in it stay places."""
    text = text or ""
    small = text.lower()
    if len(small) != len(text):  # a letter that is two when it is small
        small = "".join(one.lower() if len(one.lower()) == 1 else one for one in text)
    return small.translate(_TABLE)


def words_of(text: str) -> list[str]:
    """What somebody typed, as folded words; so many of them as a search uses."""
    composed = unicodedata.normalize("NFC", text[:LONGEST_TEXT].replace("\x00", " "))
    found = _WORD.findall(fold(composed))[:MOST_WORDS]
    return [word for word in found if len(word) > 1] or found  # "e" begins half a dictionary


@dataclass(frozen=True)
class Document:
    """The columns of one table that are searched together. Of `phone` also the ends are words:
    without the country, without the area, and the last four digits."""

    columns: tuple[str, ...]
    phone: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.columns, *([self.phone] if self.phone else []))

    def sql(self, columns: Sequence[str], *, has_ends: bool) -> str:
        """`columns` as one text; they come as SQL, in the order of `names`."""
        parts = list(columns)
        if self.phone and has_ends:
            parts += [f"substr({columns[-1]}, {start})" for start in (4, 6)]
            parts += [f"right({columns[-1]}, 4)"]
        return " || ' ' || ".join(parts)


class HasWords(Func):
    """True where the document has all the words; `document` belongs to the queryset's own model."""

    output_field = BooleanField()

    def __init__(self, document: Document, words: Sequence[str], **extra: Any) -> None:
        super().__init__(*(F(name) for name in document.names), **extra)
        self.document, self.words = document, list(words)

    def as_postgresql(
        self, compiler: Any, connection: Any, **_context: Any
    ) -> tuple[str, list[Any]]:
        columns, params = self._columns(compiler)
        document = self.document.sql(columns, has_ends=True)
        query = " & ".join(f"'{word}':*" for word in self.words)
        return f"atende_words({document}) @@ to_tsquery('simple', %s)", [*params, query]

    def as_sqlite(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, list[Any]]:
        columns, params = self._columns(compiler)
        document = self.document.sql(columns, has_ends=False)
        tests = [f"instr(fold({document}), %s) > 0" for _word in self.words]
        values = [value for word in self.words for value in (*params, word)]
        return f"({' AND '.join(tests)})", values

    def _columns(self, compiler: Any) -> tuple[list[str], list[Any]]:
        compiled = [compiler.compile(column) for column in self.source_expressions]
        return [sql for sql, _ in compiled], [value for _, params in compiled for value in params]


class Among(Func):
    """True for rows whose key a query gives. PostgreSQL makes a list of them first: it cannot know
    how rare a word is, and asked for the newest few by a join it would read the table backwards,
    to its end where there are none."""

    output_field = BooleanField()

    def __init__(self, keys: QuerySet[Any], **extra: Any) -> None:
        super().__init__(F("pk"), Subquery(keys), **extra)

    def as_postgresql(
        self, compiler: Any, connection: Any, **_context: Any
    ) -> tuple[str, list[Any]]:
        key, keys, params = self._compiled(compiler)
        return f"{key} = ANY(ARRAY{keys})", params

    def as_sqlite(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, list[Any]]:
        key, keys, params = self._compiled(compiler)
        return f"{key} IN {keys}", params

    def _compiled(self, compiler: Any) -> tuple[str, str, list[Any]]:
        (key, before), (keys, params) = map(compiler.compile, self.source_expressions)
        return key, keys, [*before, *params]


def function_sql() -> str:
    """What PostgreSQL indexes and compares. In plpgsql: the planner would put the body of an SQL
    function in the place of its call, and forget what it costs."""
    plain = "".join(FOLDED.values())
    accented = "".join(FOLDED).replace("'", "''")
    return f"""
        CREATE OR REPLACE FUNCTION atende_words(document text) RETURNS tsvector
        LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE COST {COST} AS $$
        BEGIN
            RETURN to_tsvector('pg_catalog.simple', translate(
                lower(left(document, {LONGEST_DOCUMENT})), '{accented}', '{plain}'));
        END $$
    """


def index_sql(name: str, table: str, document: Document) -> str:
    """The statement of a migration on PostgreSQL; writers go on meanwhile (CONCURRENTLY)."""
    words = f"atende_words({document.sql(document.names, has_ends=True)})"
    return f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {table} USING gin ({words})"


def with_words(queryset: Rows, document: Document, text: str) -> Rows:
    """Rows whose document has every word of the text; none when it has no word."""
    words = words_of(text)
    return queryset.filter(HasWords(document, words)) if words else queryset.none()


def in_any(queryset: Rows, *found: QuerySet[Any]) -> Rows:
    """Rows that one of the querysets finds, of each at most MOST_FOUND when it is the only one.

    Several are a union, so that each may use its own index, which an OR across tables would not.
    """
    first, *others = (one.order_by().values("pk") for one in found)
    return queryset.filter(Among(first.union(*others) if others else first[:MOST_FOUND]))


def give_sqlite_fold(connection: Any, **_signal: Any) -> None:
    """For `connection_created`: SQLite looks for words with `fold`."""
    if connection.vendor == "sqlite":
        connection.connection.create_function("fold", 1, fold, deterministic=True)


def places(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Where the words stand in the text, as (begin, end), in order and apart from each other."""
    folded = fold(text)
    found = [
        (match.start(), match.end())
        for word in words
        for match in re.finditer(re.escape(word), folded)
    ]
    apart: list[tuple[int, int]] = []
    for begin, end in sorted(found):
        if not apart or begin >= apart[-1][1]:
            apart.append((begin, end))
    return apart
