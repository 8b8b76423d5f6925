"""Spellings of one text: when two texts are the same, and what has UTF-8."""

import unicodedata


def plain_spelling(text: str) -> str:
    """Return the text in Unicode form NFC, its white space (U+00A0 included) single blanks, none at its ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def with_utf_8(text: str) -> str:
    """Return the text with a question mark for each lone surrogate: JSON can have some, tokenizers cannot read any."""
    return text.encode(errors="replace").decode()
