"""The words of `words.toml`, and where a text has them."""

import itertools
import re
import tomllib
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from string import Formatter
from typing import Any

_TOKEN = re.compile(r"\d+(?:[.,/]\d+)+|[^\W_]+(?:['&][^\W_]+)*|[.,;:!?()/]+")
_WORDS_KEPT = 50_000
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Term:
    """A name that a lexicon knows, and the groups (families of colours, fibres or fabrics, ...) that it belongs to.

    A lexicon has one object for each, whatever phrase it is found by: terms are equal if they are the same.
    """

    name: str
    groups: frozenset[str]


Entries = Mapping[str, Term | None]


def tokens(text: str) -> Words:
    """Return the words and runs of punctuation of a text: NFC, lower-cased, hyphens and other signs as blanks."""
    plain = text if text.isascii() else unicodedata.normalize("NFC", text).replace("’", "'")
    return tuple(itertools.chain.from_iterable(map(_tokens_of_word, plain.lower().split())))


@lru_cache(_WORDS_KEPT)
def _tokens_of_word(word: str) -> list[str]:
    """Return the tokens of what is between white space, which no token has in it: most words come again and again."""
    return _TOKEN.findall(word)


class Lexicon:
    """Finds terms in a text: word by word from its start, the longest phrase first, each word for one term alone.

    `entries` are phrases to what they name; None: the phrase means something else, and its words are no term's.
    """

    def __init__(self, entries: Entries) -> None:
        self._terms = {tokens(phrase): term for phrase, term in {**_plurals(entries), **entries}.items()}
        lengths: dict[str, set[int]] = {}
        for phrase in self._terms:
            lengths.setdefault(phrase[0], set()).add(len(phrase))
        self._lengths = {first: sorted(of_first, reverse=True) for first, of_first in lengths.items()}

    @property
    def first_words(self) -> Collection[str]:
        """The words that its phrases begin with."""
        return self._lengths.keys()

    def find(self, words: Words, places: Iterable[int]) -> tuple[Term, ...]:
        """Return the terms in the `tokens` of a text, each once, in its order; they begin at some of the `places`."""
        found: dict[Term, None] = {}
        end = 0
        for place in places:
            if place >= end and words[place] in self._lengths:
                phrase = self._longest(words, place)
                end = place + len(phrase)
                if term := self._terms.get(phrase):
                    found[term] = None
        return tuple(found)

    def _longest(self, words: Words, place: int) -> Words:
        for length in self._lengths[words[place]]:
            phrase = words[place : place + length]
            if phrase in self._terms:
                return phrase
        return ()


def _plurals(entries: Entries) -> dict[str, Term | None]:
    return {_plural(phrase): term for phrase, term in entries.items()}


def _plural(phrase: str) -> str:
    if re.search("[^aeiou]y$", phrase):
        return f"{phrase[:-1]}ies"
    return phrase + ("es" if re.search("(s|x|z|ch|sh)$", phrase) else "s")


@cache
def lexicons() -> Mapping[str, Lexicon]:
    """Return the lexicons `colours`, `materials`, `claims` and `sales`.

    A colour's groups are its families, a material's `fibres` or `fabrics`, those of the others their lists.
    """
    lists = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
    entries = {
        "colours": _colours(lists["colours"], lists["modifiers"]["words"]),
        "materials": {**_named(lists, "fibres"), **_named(lists, "fabrics")},
        "claims": _listed(lists["claims"], lists["parts"]),
        "sales": _listed(lists["sales"], lists["parts"]),
    }
    return {name: Lexicon({**of_one, **dict.fromkeys(lists["others"][name])}) for name, of_one in entries.items()}


@cache
def first_words() -> Collection[str]:
    """Return the words that the phrases of all lexicons begin with."""
    return frozenset(itertools.chain.from_iterable(lexicon.first_words for lexicon in lexicons().values()))


def _colours(families: Mapping[str, Sequence[str]], modifiers: Sequence[str]) -> Entries:
    """Every colour with every modifier; what a modifier refines stays in its family."""
    groups: dict[str, set[str]] = {}
    for family, names in families.items():
        for name in names:
            groups.setdefault(name, set()).add(family)
    plain = {name: Term(name, frozenset(of_name)) for name, of_name in groups.items()}
    refined = {
        f"{modifier} {name}": Term(f"{modifier} {name}", term.groups)
        for modifier, (name, term) in itertools.product(modifiers, plain.items())
    }
    return {**refined, **plain}


def _named(lists: Mapping[str, Any], kind: str) -> Entries:
    entries: dict[str, Term | None] = {}
    for name, others in lists[kind].items():
        entries |= dict.fromkeys((name, *others), Term(name, frozenset([kind])))
    return entries


def _listed(groups: Mapping[str, Sequence[str]], parts: Mapping[str, Sequence[str]]) -> Entries:
    return {
        phrase: Term(phrase, frozenset([group]))
        for group, phrases in groups.items()
        for phrase in itertools.chain.from_iterable(_filled(one, parts) for one in phrases)
    }


def _filled(phrase: str, parts: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the phrase with each of the phrases that its `{name}`s stand for."""
    names = [name for _, name, _, _ in Formatter().parse(phrase) if name]
    for chosen in itertools.product(*(parts[name] for name in names)):
        yield phrase.format(**dict(zip(names, chosen, strict=True)))
