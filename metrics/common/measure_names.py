"""The measures by name: their order in tables, highest values, meanings. Imports nothing heavy: recipes stay light."""

from collections.abc import Collection

# As the papers print them.
ORDER = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE", "MAP", "MAR", "Attr-F1", "Acc")
# The measures that papers lead with come first, so that a phone shows them without scrolling.
HEADLINE = (
    "CIDEr",
    "SPICE",
    "METEOR",
    "ROUGE-L",
    "BLEU-4",
    "MAP",
    "MAR",
    "Attr-F1",
    "Acc",
    "BLEU-1",
    "BLEU-2",
    "BLEU-3",
)
# The highest value of each; papers print all of them x100.
MAXIMUM = dict.fromkeys(ORDER, 1) | {"CIDEr": 10}
# What each measures, in plain words.
MEANING = {
    ("CIDEr",): "words and phrases shared with the reference; those that are rare in the catalogue count more",
    ("SPICE",): "objects, attributes and relations shared with the reference",
    ("METEOR",): "words shared with the reference, synonyms and other forms of a word included",
    ("ROUGE-L",): "the longest run of words, gaps allowed, shared with the reference",
    ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"): "share of the runs of 1 to 4 words that the reference has, too",
    ("MAP",): "attribute precision: of the attributes that a caption names, the share that its reference has, too",
    ("MAR",): "attribute recall: of the attributes of the reference, the share that the caption names",
    ("Attr-F1",): "MAP and MAR in one number, their harmonic mean",
    ("Acc",): "category accuracy: share of captions from which a classifier predicts the item's own category",
}


def meanings(measures: Collection[str]) -> dict[str, str]:
    """Return what those among `measures` mean, by name; measures with one meaning together."""
    present = {tuple(name for name in names if name in measures): text for names, text in MEANING.items()}
    return {", ".join(names): text for names, text in present.items() if names}
