"""A score's signature: what determines the number, to be quoted with it."""

from collections.abc import Sequence

from metrics.common.version import installed_version
from metrics.records.captions import CaptionRecord
from metrics.text.ngrams import Integers


def signature(
    name: str, tokenizer: str, further: Sequence[str], items: Sequence[CaptionRecord], places: Integers
) -> str:
    """Return what determines a measure's number on the items at `places`, joined by bars.

    That is measure, tokenizer, references per item, number of items, what the measure adds (`further`: document
    frequencies, Java, ...) and Lookbook's version.
    """
    counts = [len(items[place].references) for place in places]
    low, high = min(counts), max(counts)
    parts = [
        "CIDEr-D" if name == "CIDEr" else name,
        f"tok:{tokenizer}",
        f"refs:{low}" if low == high else f"refs:{low}-{high}",
        f"n:{len(places)}",
        *further,
        f"lookbook:{installed_version()}",
    ]
    return "|".join(parts)
