"""When two texts are the same one, spelled differently."""

import unicodedata


def plain_spelling(text: str) -> str:
    """Return the text in Unicode form NFC, its white space (U+00A0 included) single blanks, none at its ends."""
    return " ".join(unicodedata.normalize("NFC", text).split())
