"""What one text says: the terms, numbers, repetitions and left-over marks in it."""

import itertools
import operator
import re
from collections.abc import Iterator
from typing import NamedTuple

from metrics.reports.findings.lexicons import Term, Words, first_words, lexicons, tokens

_UNITS = r"cm|mm|m|met(?:er|re)s?|inch(?:es)?|ft|ml|cl|l|oz|g|kg|lbs?|denier|den|gsm|percent|packs?|pieces?|pcs?|pairs?"
# After x, too: 10x15 cm.
# A digit comes first, which `re` looks for fastest.
_NUMBER = re.compile(rf"(\d(?<![^\Wx]\d)(?<![.,/]\d)\d*(?:[.,/]\d+)*)(?:[\s-]?({_UNITS})\b|\s?(%|\"))?", re.IGNORECASE)
_FRACTIONS = str.maketrans({"½": ".5", "¼": ".25", "¾": ".75"})
_SAME_UNIT = {"inches": "inch", '"': "inch", "percent": "%", "den": "denier", "pc": "piece", "pcs": "piece"}
_SAME_UNIT |= dict.fromkeys(("meter", "meters", "metre", "metres"), "m")
_MARKS = re.compile(
    r"\b(?:user|assistant|human|system|question|answer|instruction)\s?:"
    r"|</?s>|<(?:pad|unk|image|bos|eos|mask|start_of_turn|end_of_turn)>|<\|[^|<>]{1,40}\|>|<</?sys>>|\[/?inst\]"
    r"|\[(?:cls|sep|pad|mask|unk)\]",
    re.IGNORECASE,
)


class Quantity(NamedTuple):
    """A number as it is compared (`1.5`, `3/4`) and its unit, if one follows."""

    value: str
    unit: str | None

    def __str__(self) -> str:
        return self.value if self.unit is None else f"{self.value} {self.unit}"


_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_SPELLED = {word: Quantity(str(number), None) for number, word in enumerate(_WORDS, 2)}


class Reading(NamedTuple):
    """What a text says.

    Attributes:
        length: its words, cut at white space.
        colours, claims, sales: the terms of those lexicons.
        materials: the fibres, and the fabrics.
        exclaims: whether it has an exclamation mark.
        numbers: its numbers in digits.
        spelled: its numbers in words, two to twelve.
        echo: one to three words that follow at once on the same ones, None without.
        repeated: four words or more that it has twice, None without.
        marks: names of speakers and special tokens of models.
    """

    length: int
    colours: tuple[Term, ...]
    materials: tuple[tuple[Term, ...], tuple[Term, ...]]
    claims: tuple[Term, ...]
    sales: tuple[Term, ...]
    exclaims: bool
    numbers: tuple[Quantity, ...]
    spelled: tuple[Quantity, ...]
    echo: str | None
    repeated: str | None
    marks: tuple[str, ...]


def read(text: str) -> Reading:
    """Read a text; its time grows only with its length."""
    words = tokens(text)
    firsts = first_words()
    places = [place for place, word in enumerate(words) if word in firsts]
    terms = {name: lexicon.find(words, places) for name, lexicon in lexicons().items()}
    return Reading(
        length=len(text.split()),
        colours=terms["colours"],
        materials=_by_group(terms["materials"]),
        claims=terms["claims"],
        sales=terms["sales"],
        exclaims="!" in text,
        numbers=tuple(dict.fromkeys(_numbers(text))),
        spelled=() if _SPELLED.keys().isdisjoint(words) else tuple(_SPELLED[word] for word in _SPELLED.keys() & words),
        echo=_echo(words),
        repeated=_repeated([word for word in words if word[0].isalnum()]),
        marks=_marks(text),
    )


def _by_group(materials: tuple[Term, ...]) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
    if not materials:
        return (), ()
    fibres = tuple(term for term in materials if "fibres" in term.groups)
    return fibres, tuple(term for term in materials if "fibres" not in term.groups)


def _numbers(text: str) -> Iterator[Quantity]:
    plain = text if text.isascii() else text.translate(_FRACTIONS)
    for digits, word, sign in _NUMBER.findall(plain):
        unit = (word or sign).lower()
        yield Quantity(_plain_number(digits), _SAME_UNIT.get(unit, unit.removesuffix("s")) or None)


def _plain_number(digits: str) -> str:
    """1,000 as 1000, 1,5 as 1.5 and 33.0 as 33."""
    if digits.isdecimal():
        return digits
    plain = re.sub(r",(?=\d{3}(?:\D|$))", "", digits).replace(",", ".")
    return plain.rstrip("0").rstrip(".") if plain.count(".") == 1 and "/" not in plain else plain


def _echo(words: Words) -> str | None:
    for size in range(1, 4):
        if sum(map(operator.eq, words, words[size:])) < size:
            continue
        same = [*map(operator.eq, words, words[size:])]
        for place in range(len(same) - size + 1):
            phrase = words[place : place + size]
            if all(same[place : place + size]) and any(word[0].isalpha() for word in phrase):
                return " ".join(phrase)
    return None


def _repeated(words: list[str]) -> str | None:
    if len(words) - len(set(words)) < 4:
        return None
    grams = [*zip(words, words[1:], words[2:], words[3:], strict=False)]
    if len(set(grams)) == len(grams):
        return None
    seen: dict[Words, int] = {}
    second = next(place for place, gram in enumerate(grams) if seen.setdefault(gram, place) < place)
    first = seen[grams[second]]
    pairs = zip(words[first:], words[second:], strict=False)
    return " ".join(word for word, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def _marks(text: str) -> tuple[str, ...]:
    if not any(sign in text for sign in ":<["):
        return ()
    return tuple(dict.fromkeys("".join(mark.lower().split()) for mark in _MARKS.findall(text)))
