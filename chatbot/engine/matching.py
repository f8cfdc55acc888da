"""What the customer meant: an option of a menu, or a word that works anywhere.

A menu is answered, in this order, by
1. the option's id, label or synonym, whatever the case, accents and punctuation;
2. its number: `1`, `1)`, `opção 1`, `um`, `1️⃣`;
3. words: all words of a label or synonym are in the answer, or all words of the answer are in it.
   Two words are the same when equal or, from four letters on, when difflib's ratio is at least
   TYPO_RATIO (one slip in a word of five letters or more). The share of common words (Dice) must
   reach COMMON_WORDS, and the best option must lead the next by CLEAR_LEAD, with no other option
   named in full by words of its own; else the answer is ambiguous.
A word that works anywhere must be the whole message, letter by letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

TYPO_RATIO = 0.82
COMMON_WORDS = 0.5
CLEAR_LEAD = 0.1

_READ = 300  # characters of an answer that are looked at
_WORDS = 12  # an answer with more words is a story, not a choice
_TYPO_LETTERS = 4
_SEPARATORS = re.compile(r"[\W_]+")
_KEYCAP_TEN = "\N{KEYCAP TEN}"
_BEFORE_A_NUMBER = frozenset(("opcao", "numero", "num", "n", "no", "item", "letra", "a", "o"))
_SMALL_WORDS = frozenset(
    ("a", "o", "as", "os", "e", "de", "do", "da", "dos", "das", "em", "no", "na", "com", "para",
     "pra", "por", "favor", "quero", "queria", "gostaria", "um", "uma", "eu", "meu", "minha")
)  # fmt: skip
_NUMBER_WORDS = (
    ("um", "uma", "primeiro", "primeira"),
    ("dois", "duas", "segundo", "segunda"),
    ("tres", "terceiro", "terceira"),
    ("quatro", "quarto", "quarta"),
    ("cinco", "quinto", "quinta"),
    ("seis", "sexto", "sexta"),
    ("sete", "setimo", "setima"),
    ("oito", "oitavo", "oitava"),
    ("nove", "nono", "nona"),
    ("dez", "decimo", "decima"),
)
_NUMBERS = {word: number for number, words in enumerate(_NUMBER_WORDS, 1) for word in words}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An option as the matcher sees it: its id and everything that may be said for it."""

    id: str
    phrases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """`id` is the option meant; `among` the options between which the answer is ambiguous."""

    id: str = ""
    among: tuple[str, ...] = ()


NO_MATCH = Match()


def normalise(text: str) -> str:
    """Lower case without accents, punctuation and emoji; words parted by one space."""
    text = text[:_READ]
    if not text.isascii():
        text = text.replace(_KEYCAP_TEN, "10")
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(one for one in decomposed if not unicodedata.combining(one))
    return _SEPARATORS.sub(" ", text.casefold()).strip()


def candidate(option_id: str, label: str, synonyms: Iterable[str] = ()) -> Candidate:
    """What `match_option` needs to know of an option; worth keeping."""
    phrases = dict.fromkeys(normalise(one) for one in (label, *synonyms, option_id))
    return Candidate(option_id, tuple(one for one in phrases if one))


def match_exact(said: str, candidates: Sequence[Candidate]) -> Match:
    """The option whose id, label or synonym was said; `said` is normalised."""
    return _only([one.id for one in candidates if said in one.phrases])


def match_option(text: str, candidates: Sequence[Candidate]) -> Match:
    """The option that the text means, as the module's docstring says."""
    said = normalise(text)
    if not said:
        return NO_MATCH
    exact = match_exact(said, candidates)
    if exact != NO_MATCH:
        return exact
    number = _number(said)
    if number is not None:
        return Match(candidates[number - 1].id) if 0 < number <= len(candidates) else NO_MATCH
    return _by_words(said, candidates)


def number_of(text: str) -> int | None:
    """The number that the text says, if it is one and nothing else: `2`, `opção 2`, `dois`."""
    return _number(normalise(text))


def way_of(text: str, candidates: Sequence[Candidate]) -> str:
    """By which rule a text was understood as an option: exact, number or words."""
    said = normalise(text)
    if match_exact(said, candidates).id:
        return "exact"
    return "number" if _number(said) is not None else "words"


def _only(ids: list[str]) -> Match:
    if len(ids) == 1:
        return Match(ids[0])
    return Match(among=tuple(ids))


def _number(said: str) -> int | None:
    words = [word for word in said.split() if word not in _BEFORE_A_NUMBER]
    if len(words) != 1:
        return None
    if words[0].isascii() and words[0].isdigit():
        return int(words[0][:4])
    return _NUMBERS.get(words[0])


@dataclass(frozen=True, slots=True)
class _Fit:
    """How well a phrase fits; `named` are the words said, when they hold the whole phrase."""

    score: float
    id: str
    named: frozenset[str]


def _by_words(said: str, candidates: Sequence[Candidate]) -> Match:
    words = _telling(said)
    if len(words) > _WORDS:
        return NO_MATCH
    fits = sorted((_best_fit(words, one) for one in candidates), key=lambda one: -one.score)
    best = fits[0]
    if best.score < COMMON_WORDS:
        return NO_MATCH
    return _only([one.id for one in fits if _is_rival(one, best)])


def _is_rival(one: _Fit, best: _Fit) -> bool:
    """As good as the best, or named beside it with words of its own."""
    return best.score - one.score < CLEAR_LEAD or not one.named <= best.named


def _best_fit(words: tuple[str, ...], option: Candidate) -> _Fit:
    fits = (_fit(words, phrase, option.id) for phrase in option.phrases)
    return max(fits, key=lambda one: one.score)


def _fit(words: tuple[str, ...], phrase: str, option_id: str) -> _Fit:
    wanted = _telling(phrase)
    pairs = [max((likeness(one, other), other) for other in words) for one in wanted]
    is_named = all(ratio for ratio, _ in pairs)
    if not is_named and not all(any(likeness(one, other) for other in wanted) for one in words):
        return _Fit(0.0, option_id, frozenset())
    score = 2 * sum(ratio for ratio, _ in pairs) / (len(words) + len(wanted))
    return _Fit(score, option_id, frozenset(word for _, word in pairs if is_named))


@lru_cache(maxsize=4096)
def _telling(phrase: str) -> tuple[str, ...]:
    words = phrase.split()
    return tuple(word for word in words if word not in _SMALL_WORDS) or tuple(words)


@lru_cache(maxsize=16384)
def likeness(one: str, other: str) -> float:
    """1 for equal words, the ratio for a typo, 0 for different words."""
    if one == other:
        return 1.0
    shorter, longer = sorted((len(one), len(other)))
    if shorter < _TYPO_LETTERS or 2 * shorter < TYPO_RATIO * (shorter + longer):
        return 0.0
    if any(letter.isdigit() for letter in one + other):
        return 0.0
    ratio = SequenceMatcher(None, one, other, autojunk=False).ratio()
    return ratio if ratio >= TYPO_RATIO else 0.0
