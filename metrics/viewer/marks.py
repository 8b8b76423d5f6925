"""Words of a text that are attributes: right, invented or missed ones."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

# A word with its hyphens, such as v-neck or 3/4-length; \w has letters of all languages.
_WORD = re.compile(r"\w+(?:[-/'’]\w+)*")
_PART = re.compile(r"\w+")
# Endings of English inflection, and what the lemma has in their place.
_ENDINGS = (
    ("ies", ("y", "ie")),
    ("ves", ("f", "fe", "ve")),
    ("es", ("", "e")),
    ("s", ("",)),
    ("ied", ("y",)),
    ("ed", ("", "e")),
    ("ing", ("", "e")),
    ("ier", ("y",)),
    ("iest", ("y",)),
    ("er", ("", "e")),
    ("est", ("", "e")),
)
_SHORTEST = 2


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text; `kind` is the set of lemmas that it is in, None for all other text."""

    text: str
    kind: str | None = None


def marked(text: str, lemmas: Mapping[str, Collection[str]]) -> list[Piece]:
    """Cut a text into pieces, those whose lemma is in one of the sets of `lemmas` apart; joined, they are the text.

    A lemma is found in words that are it, or it with an ending of English inflection (pockets, lined, striped); an
    irregular word (feet) is not found. A word with hyphens is looked for whole, then by its parts.
    """
    kinds = {lemma.casefold(): kind for kind, words in lemmas.items() for lemma in words}
    pieces: list[Piece] = []
    end = 0
    for start, stop, kind in _found(text, kinds):
        pieces += [Piece(text[end:start]), Piece(text[start:stop], kind)]
        end = stop
    pieces.append(Piece(text[end:]))
    return [piece for piece in pieces if piece.text]


def _found(text: str, kinds: Mapping[str, str]) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and kind of each word that is found."""
    for word in _WORD.finditer(text):
        if kind := _kind(word[0], kinds):
            yield word.start(), word.end(), kind
            continue
        for part in _PART.finditer(text, word.start(), word.end()):
            if kind := _kind(part[0], kinds):
                yield part.start(), part.end(), kind


def _kind(word: str, kinds: Mapping[str, str]) -> str | None:
    return next((kinds[lemma] for lemma in possible_lemmas(word.casefold()) if lemma in kinds), None)


def possible_lemmas(word: str) -> Sequence[str]:
    """Return the word and what it may be an inflected form of, the likeliest first; lower case."""
    lemmas = [word]
    for ending, replacements in _ENDINGS:
        stem = word.removesuffix(ending)
        if stem == word or len(stem) < _SHORTEST:
            continue
        lemmas += [stem + replacement for replacement in replacements]
        if stem[-1] == stem[-2] and ending[0] in "ei":  # trimmed
            lemmas.append(stem[:-1])
    return lemmas
